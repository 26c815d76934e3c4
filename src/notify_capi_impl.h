/*
** notify_capi_impl.h - state objects offer the Notify C API
*/
#ifndef MTS_NOTIFY_CAPI_IMPL_H
#define MTS_NOTIFY_CAPI_IMPL_H

#include "compat.h"

/* Adds the API to the metatable at index.  Stack: [-0, +0, m] */
void mts_notify_offer(lua_State *L, int index);

#endif
