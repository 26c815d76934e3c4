/*
** module.h - the functions of the module
*/
#ifndef MTS_MODULE_H
#define MTS_MODULE_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Adds the functions of the module, and makes the classes of states and
** futures.  The stack has the module below and the context on top.
** Stack: [-0, +0, m]
*/
void mts_module_open(lua_State *L);

MTS_END_HIDDEN

#endif
