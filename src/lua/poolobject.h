/*
** poolobject.h - new pools
*/
#ifndef MTS_POOLOBJECT_H
#define MTS_POOLOBJECT_H

#include "base/compiler.h"

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* mtstates.pool([name,] [n or options,] setup, ...) */
int mts_poolobject_pool(lua_State *L);

MTS_END_HIDDEN

#endif
