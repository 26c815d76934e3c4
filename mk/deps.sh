#!/bin/sh
# deps.sh PACKAGE... - installs those Debian packages that are not there
set -e

missing=
for package; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
    grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

stop() {
  echo "make deps: $1.  To be installed, by their names in Debian 12:" >&2
  echo " $missing" | fold -s >&2
  exit 1
}

command -v apt-get > /dev/null || stop 'apt-get not found'
as_root=
if [ "$(id -u)" != 0 ]; then
  as_root=sudo
  command -v sudo > /dev/null || stop 'not root, and no sudo'
fi
$as_root apt-get -q update
$as_root env DEBIAN_FRONTEND=noninteractive \
  apt-get -q -y --no-install-recommends install $missing
