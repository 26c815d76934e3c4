/*
** lookup.h - finds states by id or name
*/
#ifndef MTS_LOOKUP_H
#define MTS_LOOKUP_H

#include "base/compiler.h"

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* mtstates.state(id or name [, timeout]) */
int mts_lookup_state(lua_State *L);

MTS_END_HIDDEN

#endif
