/*
** dispatch.h - a table of functions as the callback of a service
*/
#ifndef MTS_DISPATCH_H
#define MTS_DISPATCH_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* What runs when the service is closed; nobody can choose it. */
#define MTS_DISPATCH_CLOSE "__close"

/*
** Pushes a function that calls what its first argument chooses from the table
** at index, with the other arguments.
** Stack: [-0, +1, m]
*/
void mts_dispatch_push(lua_State *L, int index);

/* Whether the value at index is such a function. */
bool mts_dispatch_is(lua_State *L, int index);

/*
** On top of the stack are a function and count arguments.  If it is such a
** function, puts what it would call in the place of that and its first
** argument.
** Returns: how many values there are then.
** Stack: [-(0|1), +0, e]
*/
int mts_dispatch_resolve(lua_State *L, int count);

MTS_END_HIDDEN

#endif
