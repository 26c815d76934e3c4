/*
** dispatch.h - a table of functions as the callback of a service
*/
#ifndef MTS_DISPATCH_H
#define MTS_DISPATCH_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Pushes a function that calls what its first argument chooses from the table
** at index, with the other arguments.
** Stack: [-0, +1, m]
*/
void mts_dispatch_push(lua_State *L, int index);

MTS_END_HIDDEN

#endif
