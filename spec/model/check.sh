#!/bin/sh
# Tries all interleavings of a model, as one of the runs in mk/model.mk:
#
#   check.sh RUN 'options of spin' 'options of gcc' 'options of pan'
#
# RUN is model-NAME-WHAT, of NAME.pml.  What has no error is noted in `proven`:
# the run, a sum of the model and the options, how many states there are, and
# the day.  The lines that name functions (see steps.lua) do not count.  The result depends on nothing else, so with NEW=1 only what is not
# noted there is run.
set -e
run=$1
name=${run#model-}
name=${name%%-*}
model=$PWD/spec/model/$name.pml
proven=$PWD/spec/model/proven
sum=$( (grep -v '^/\* C: ' "$model"; echo "$2 $3 $4") | sha256sum | cut -c 1-16)
if [ "$NEW" ] && grep -qs "^$run $sum " "$proven"; then
  exit
fi

rm -rf "build/$run"
mkdir -p "build/$run"
cd "build/$run"
# shellcheck disable=SC2086
spin $2 -a "$model"
# shellcheck disable=SC2086
gcc -w -O2 -DCOLLAPSE $3 -o pan pan.c
# pan ends with 0 even if it has found an error.
# shellcheck disable=SC2086
./pan -b -n -m8000000 -w26 $4 > log || true
if ! grep -q 'errors: 0' log || grep -q 'not completed' log; then
  cat log
  exit 1
fi
states=$(sed -n 's/ states, stored.*//p' log | tr -d ' ')
echo "$run: $states states, 0 errors"
{
  flock 9
  { grep -sv "^$run " "$proven" || true
    echo "$run $sum $states $(date +%F)"; } | sort > proven.new
  cat proven.new > "$proven"
} 9>> "$proven"
