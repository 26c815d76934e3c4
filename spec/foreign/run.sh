#!/bin/sh
# run.sh [KIND...] - tries the module with Luas that were built in another way
#
# For each kind: builds a Lua from Debian's source, the module for it, and runs
# check.lua.  All is in build/foreign/KIND; a Lua that is there is not built
# again.
set -e
unset MAKEFLAGS MFLAGS MAKELEVEL # of the make that runs this
foreign=$PWD/build/foreign
sources=$PWD/build/lua-source
here=$PWD/spec/foreign

# As for a processor on which functions in C have no unwind tables.
no_tables='-fno-asynchronous-unwind-tables -fno-unwind-tables'

# What is special about a kind.  flags are those of Lua and of the module,
# module_flags only of the module.  The program is lua.c or, with host_flags,
# host.c.  without: files of Lua that are left out, a pattern.  linked: the
# module is part of the program, and there is no other.
describe() {
  lua=5.4 cc=gcc flags= module_flags= host_flags= without=none linked=
  case $1 in
    c++)      cc='g++ -x c++ -DLUA_CORE= -DLUA_LIB= -include lua.hpp'
              module_flags=$no_tables ;;
    32bits)   lua=5.3 flags=-DLUA_32BITS ;;
    nocvtn2s) flags='-DLUA_NOCVTN2S -DLUA_NOCVTS2N' ;;
    nocompat) lua=5.3 ;;
    static)   host_flags=-DHOST_ALL linked=yes ;;
    fewer)    host_flags=-DHOST_FEWER without='lio|los|lutf8|linit' ;;
    fewest)   host_flags=-DHOST_FEWEST linked=yes
              without='lcoro|ldblib|linit|lio|lmath|load|los|lutf8' ;;
    noffi)    lua=jit flags=-DLUAJIT_DISABLE_FFI ;;
    *)        echo "there is no kind '$1'" >&2; exit 2 ;;
  esac
  folder=$foreign/$1
  tree=$sources/lua$lua
  program=$folder/lua
}

# Runs a command that says much; what it says is shown if it fails.
quietly() {
  "$@" > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
}

build_luajit() {
  cp -R "$tree/." "$folder/tree"
  quietly make --silent -C "$folder/tree/src" CC=gcc CCOPT=-O0 \
    XCFLAGS="$flags" BUILDMODE=static TARGET_STRIP=:
  ln -sf tree/src/luajit "$program"
}

# The object files; they are linked when the module is there.
build_lua() {
  mkdir "$folder/lua.o"
  (cd "$folder/lua.o"
   { ls "$tree"/src/*.c; [ -z "$host_flags" ] || echo "$here/host.c"; } |
     grep -Ev "/(luac|${host_flags:+lua|}$without)[a-z0-9]*\.c$" |
     xargs -P "$(nproc)" -n 4 $cc -w -I"$tree/src" -DLUA_USE_POSIX \
       -DLUA_USE_DLOPEN $flags $host_flags -c)
}

link_lua() {
  ${cc%% *} -Wl,-E -o "$program" "$folder"/lua.o/*.o \
    ${linked:+"$folder"/obj/*.o "$folder"/obj/*/*.o} -lm -ldl -pthread
}

# The module, and one that calls states from native code.
build_module() {
  make --silent -j "$(nproc)" CC=gcc BUILD="build/foreign/$1" \
    LUA_VERSION=$lua LUA_INCDIR="$tree/src" \
    CFLAGS="-O2 $flags $module_flags" \
    "build/foreign/$1/mtstates.so" "build/foreign/$1/support/capidriver.so"
}

# The same with luarocks.
build_rock() {
  rm -rf "$folder/rock"
  mkdir "$folder/rock"
  cp -R src include library LICENSE mtstates-scm-0.rockspec "$folder/rock"
  (cd "$folder/rock"
   quietly luarocks --lua-version=$lua make --tree tree \
     LUA_INCDIR="$tree/src" CFLAGS="-O2 -fPIC $flags $module_flags")
}

# check KIND PATHS - runs check.lua where C modules are found like that.
check() {
  LUA_PATH="$here/rocks/?.lua" LUA_CPATH=$2 \
    timeout 60 "$program" "$here/check.lua" "$1" || failed="$failed $1"
}

failed=
for kind in ${@:-c++ 32bits nocvtn2s nocompat static fewer fewest noffi}; do
  describe "$kind"
  [ -d "$tree/src" ] || sh spec/sanitize/fetch_lua.sh "$tree"
  if [ ! -e "$folder/is_built" ] || [ "$0" -nt "$folder/is_built" ] ||
     [ "$here/host.c" -nt "$folder/is_built" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    case $lua in jit) build_luajit ;; *) build_lua ;; esac
    touch "$folder/is_built"
  fi
  build_module "$kind"
  [ $lua = jit ] || link_lua
  cpath="$folder/?.so;$folder/support/?.so"
  [ -z "$linked" ] || cpath=
  check "$kind" "$cpath"
  if [ "$kind" = c++ ]; then
    build_rock
    check "$kind" "$folder/rock/?.so;$folder/support/?.so"
  fi
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
