/*
** statehandle.h - states among the values that cross
*/
#ifndef MTS_STATEHANDLE_H
#define MTS_STATEHANDLE_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Lets state objects cross.  open_module: opens the module in Lua states that
** get one and have not loaded it.
*/
void mts_statehandle_register(lua_CFunction open_module);

/*
** Pushes the metatable of that class of the module's, for a new object, and
** opens the module before if L has not loaded it.
** Stack: [-0, +1, e]
*/
void mts_statehandle_push_class(lua_State *L, const char *name);

MTS_END_HIDDEN

#endif
