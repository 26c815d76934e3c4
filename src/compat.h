/*
** compat.h - the Lua API as all other rooms see it: that of Lua 5.4
*/
#ifndef MTS_COMPAT_H
#define MTS_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#if LUA_VERSION_NUM != 504
#error "mtstates is built for Lua 5.4"
#endif

#endif
