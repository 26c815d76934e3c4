/*
** handle.h - states as Lua code sees them
*/
#ifndef MTS_HANDLE_H
#define MTS_HANDLE_H

#include "base/compiler.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Adds the functions newstate, state, singleton and id to the table on top of
** the stack.  open_module is for the states that newstate makes: it opens this
** module there.  Stack: [-0, +0, m]
*/
void mts_handle_open(lua_State *L, lua_CFunction open_module);

/*
** The state that the object at index refers to; NULL if it is no state
** object.  Slow: it asks the Lua registry.  Stack: [-0, +0, m]
*/
mts_State *mts_handle_to_state(lua_State *L, int index);

MTS_END_HIDDEN

#endif
