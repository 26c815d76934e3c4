#!/bin/sh
# fetch_lua.sh FOLDER - puts the source of Debian's Lua 5.4 into FOLDER/src
#
# apt-get source, without a change to the system and without its rights: from
# the machine's own archives of Debian, by a list of sources in FOLDER.
set -e
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
get --download-only source lua5.4
dpkg-source --no-check -x lua5.4_*.dsc tree > /dev/null # apt-get has checked
mv tree/src src
rm -r lists tree

# What debian/rules makes beside it.
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
echo "#define DEB_HOST_MULTIARCH \"$multiarch\"" > src/lua5.4-deb-multiarch.h
