/*
** receiver.h - state objects offer the Receiver C API
*/
#ifndef MTS_RECEIVER_H
#define MTS_RECEIVER_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Adds the API to the metatable of state objects, which is there already.
** Stack: [-0, +0, m]
*/
void mts_receiver_open(lua_State *L);

MTS_END_HIDDEN

#endif
