/*
** errorobject.h - errors as objects of Lua code
*/
#ifndef MTS_ERROROBJECT_H
#define MTS_ERROROBJECT_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Pushes the table of error names, which can be called to make an error
** object, and makes their class.
** Stack: [-0, +1, m]
*/
void mts_errorobject_push_names(lua_State *L);

MTS_END_HIDDEN

#endif
