/*
** map.h - loops over the results of a state for many items
*/
#ifndef MTS_MAP_H
#define MTS_MAP_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Makes the class of the objects behind such loops.  The context is on top of
** the stack.
** Stack: [-0, +0, m]
*/
void mts_map_open(lua_State *L);

/*
** The method state:map([name,] list), or
** state:map([name,] iterator [, state, control [, closing]])
*/
int mts_map_map(lua_State *L);

/*
** What the code of such loops asks by, a function of the class of states:
** ask(state, argument, item, ...).  The values are to be item number `item` of
** that argument of state:map.
** Returns: the future.
*/
int mts_map_ask(lua_State *L);

MTS_END_HIDDEN

#endif
