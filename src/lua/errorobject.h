/*
** errorobject.h - errors taken apart
*/
#ifndef MTS_ERROROBJECT_H
#define MTS_ERROROBJECT_H

#include "luaapi/compat.h"
#include "base/compiler.h"

MTS_BEGIN_HIDDEN

/*
** Pushes the table of error names, which can be called to take an error
** apart.  Stack: [-0, +1, m]
*/
void mts_errorobject_open(lua_State *L);

MTS_END_HIDDEN

#endif
