/*
** catch.h - functions that catch errors, but not those of time limits
*/
#ifndef MTS_CATCH_H
#define MTS_CATCH_H

#include "base/compiler.h"

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Replaces the basic functions that catch errors in L, a new state with a time
** limit, and debug.sethook.
** Stack: [-0, +0, m]
*/
void mts_catch_patch(lua_State *L);

MTS_END_HIDDEN

#endif
