/*
** receiver_capi_impl.h - state objects offer the Receiver C API
*/
#ifndef MTS_RECEIVER_CAPI_IMPL_H
#define MTS_RECEIVER_CAPI_IMPL_H

#include "compat.h"

/* Adds the API to the metatable at index.  Stack: [-0, +0, m] */
void mts_receiver_offer(lua_State *L, int index);

#endif
