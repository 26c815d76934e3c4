/*
** notify_capi_impl.h - state objects offer the Notify C API
*/
#ifndef MTS_NOTIFY_CAPI_IMPL_H
#define MTS_NOTIFY_CAPI_IMPL_H

#include "compiler.h"
#include "compat.h"

MTS_BEGIN_HIDDEN

/*
** Adds the API to the metatable of state objects, which is there already.
** Stack: [-0, +0, m]
*/
void mts_notify_open(lua_State *L);

MTS_END_HIDDEN

#endif
