#!/bin/sh
# uninstall.sh LIBDIR INCDIR DATADIR - removes what `make install` has copied
#
# DESTDIR and PREFIX are in the environment.  The headers and the library are
# shared by the modules of all Lua versions: they stay while there is another
# one below PREFIX.  What is empty then goes, too: each of the folders, and
# those around it up to PREFIX or, if given, DESTDIR.  Folders that a system
# has anyway, like /usr/local/lib, stay.
set -e
DESTDIR=${DESTDIR%/} PREFIX=${PREFIX%/}
libdir=$1 incdir=$2 library=$3/library

# may_go FOLDER - one around a folder that was removed
may_go() {
  [ -z "$DESTDIR" ] || { [ "$1" != / ]; return; }
  case $1 in
    /usr | /usr/lib | /usr/include | /usr/share) return 1 ;;
    /usr/local | /usr/local/lib | /usr/local/include) return 1 ;;
    /usr/local/share | /opt) return 1 ;;
    "$PREFIX" | "$PREFIX"/*) return 0 ;;
    *) return 1 ;;
  esac
}

remove_if_empty() {
  folder=$1
  while rmdir "$DESTDIR$folder" 2> /dev/null; do
    folder=$(dirname "$folder")
    may_go "$folder" || break
  done
}

rm -f "$DESTDIR$libdir/mtstates.so"
remove_if_empty "$libdir"
ls "$DESTDIR$PREFIX"/lib/lua/*/mtstates.so > /dev/null 2>&1 && exit
for header in include/mtstates/*.h; do
  rm -f "$DESTDIR$incdir/$(basename "$header")"
done
rm -f "$DESTDIR$library/mtstates.lua"
remove_if_empty "$incdir"
remove_if_empty "$library"
