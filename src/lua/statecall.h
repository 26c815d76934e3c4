/*
** statecall.h - calls of states by Lua code
*/
#ifndef MTS_STATECALL_H
#define MTS_STATECALL_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* The methods state:call(...) and state:tcall(timeout, ...). */
int mts_statecall_call(lua_State *L);
int mts_statecall_tcall(lua_State *L);

MTS_END_HIDDEN

#endif
