/*
** looking.h - what the module and its states do, for Lua code
*/
#ifndef MTS_LOOKING_H
#define MTS_LOOKING_H

#include "base/compiler.h"

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* state:stats() */
int mts_looking_stats(lua_State *L);

/* state:traceback([timeout]) */
int mts_looking_traceback(lua_State *L);

/* mtstates.states() and mtstates.stats() */
int mts_looking_states(lua_State *L);
int mts_looking_module_stats(lua_State *L);

MTS_END_HIDDEN

#endif
