/*
** staterequest.h - requests of Lua code to states
*/
#ifndef MTS_STATEREQUEST_H
#define MTS_STATEREQUEST_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* The methods state:send(...) and state:tsend(timeout, ...). */
int mts_staterequest_send(lua_State *L);
int mts_staterequest_tsend(lua_State *L);

/* state:async(...), state:await(...), and state:tawait(timeout, ...). */
int mts_staterequest_async(lua_State *L);
int mts_staterequest_await(lua_State *L);
int mts_staterequest_tawait(lua_State *L);

/* state:stats() */
int mts_staterequest_stats(lua_State *L);

MTS_END_HIDDEN

#endif
