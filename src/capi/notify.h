/*
** notify.h - state objects offer the Notify C API
*/
#ifndef MTS_NOTIFY_H
#define MTS_NOTIFY_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Adds the API to the metatable of state objects, which is there already.
** Stack: [-0, +0, m]
*/
void mts_notify_open(lua_State *L);

MTS_END_HIDDEN

#endif
