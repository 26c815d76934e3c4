/*
** receiver_capi_impl.h - state objects offer the Receiver C API
*/
#ifndef MTS_RECEIVER_CAPI_IMPL_H
#define MTS_RECEIVER_CAPI_IMPL_H

#include "compiler.h"
#include "compat.h"

MTS_BEGIN_HIDDEN

/*
** Adds the API to the metatable of state objects, which is there already.
** Stack: [-0, +0, m]
*/
void mts_receiver_open(lua_State *L);

MTS_END_HIDDEN

#endif
