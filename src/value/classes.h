/*
** classes.h - classes: metatables that are known by a name
**
** A table is the metatable of the class NAME if the Lua registry has it under
** NAME and its own __name is NAME, too; luaL_newmetatable makes such tables
** from Lua 5.3 on.  The names tell the module's own objects apart and, where a
** value crosses, which metatable it gets on the other side.
*/
#ifndef MTS_CLASSES_H
#define MTS_CLASSES_H

#include "base/compiler.h"

#include <stddef.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* State objects. */
#define MTS_STATE_CLASS "mtstates.state"

/* Futures, and promises. */
#define MTS_FUTURE_CLASS "mtstates.future"
#define MTS_PROMISE_CLASS "mtstates.promise"

/* Error objects; the names of errors begin with it, too. */
#define MTS_ERROR_CLASS "mtstates.error"

/* Where a metatable has the name of its class. */
#define MTS_NAME_KEY "__name"

/*
** The name of the class that has this metatable.  Both indices are absolute;
** at name_key is the string MTS_NAME_KEY.  Needs two free slots.  Runs no Lua
** code and allocates nothing.
** Returns: NULL if it is the metatable of no class; the name belongs to the
** metatable.
** Stack: [-0, +0, -]
*/
const char *mts_classes_name(lua_State *L, int metatable, int name_key,
                             size_t *length);

/*
** Replaces the name on top of the stack by the metatable of that class, or by
** nil if there is no such class.  Needs two free slots.  Runs no Lua code.
** Stack: [-1, +1, m]
*/
void mts_classes_push(lua_State *L);

/*
** For a C function with the arguments name and metatable, a string and a table
** or nil: pushes the metatable of the class.  If there is no such class, the
** given table becomes its metatable, or a new one.  Removes other arguments.
** Errors: argument errors, if the name is taken, or the other table differs.
** Stack: [-n, +1, v]
*/
void mts_classes_claim(lua_State *L);

MTS_END_HIDDEN

#endif
