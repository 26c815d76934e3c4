/*
** preload.h - what require finds in a new state without a file
*/
#ifndef MTS_PRELOAD_H
#define MTS_PRELOAD_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Has to be called before mts_preload_add_libs: finds out which libraries this
** build of Lua has, once per process.
** Returns: false if there is no memory.
*/
bool mts_preload_find_libs(void);

/*
** Adds loaders for all libraries but the basic one, package and coroutine to
** the table on top of the stack.
** Stack: [-0, +0, m]
*/
void mts_preload_add_libs(lua_State *L);

/*
** Adds the module itself, opened by that function, to the table on top of the
** stack.
** Stack: [-0, +0, m]
*/
void mts_preload_add_module(lua_State *L, lua_CFunction open);

MTS_END_HIDDEN

#endif
