/*
** handle.h - states as Lua code sees them
*/
#ifndef MTS_HANDLE_H
#define MTS_HANDLE_H

#include "state.h"

/*
** Adds the functions newstate, state, singleton and id to the table on top of
** the stack.  Stack: [-0, +0, m]
*/
void mts_handle_open(lua_State *L);

/*
** The state that the object at index refers to; NULL if it is no state
** object.  Slow: it asks the Lua registry.  Stack: [-0, +0, m]
*/
mts_State *mts_handle_to_state(lua_State *L, int index);

#endif
