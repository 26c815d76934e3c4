#!/bin/sh
# fetch_lua.sh FOLDER/PACKAGE - puts Debian's source of a Lua there
#
# PACKAGE is lua5.4 or the like, or luajit; the code is in FOLDER/PACKAGE/src.
# apt-get source, without a change to the system and without its rights: from
# the machine's own archives of Debian, by a list of sources in FOLDER.
set -e
package=$(basename "$1")
command -v dpkg-source > /dev/null ||
  { echo 'dpkg-source not found: make deps-dev' >&2; exit 1; }
rm -rf "$1"
mkdir -p "$1/lists/partial"
cd "$1"

apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) main' \
  'Created-By: Packages' 'Origin: Debian' 'Component: main' | sort -u > list
[ -s list ] || { echo "Debian is not in apt's lists; apt-get update" >&2
                 exit 1; }

get() {
  apt-get -qq -o Dir::Etc::SourceList="$PWD/list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$PWD/lists" -o Dir::Cache::pkgcache= \
    -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User= "$@"
}
get update
get --download-only source "$package"
dpkg-source --no-check -x "$package"_*.dsc tree > /dev/null # apt-get has checked
mv tree/* .
rm -r lists tree

# What debian/rules makes beside it.
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
echo "#define DEB_HOST_MULTIARCH \"$multiarch\"" > \
  "src/$package-deb-multiarch.h"
