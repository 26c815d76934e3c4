/*
** staterequest.h - requests of Lua code to states
*/
#ifndef MTS_STATEREQUEST_H
#define MTS_STATEREQUEST_H

#include "base/compiler.h"
#include "luaapi/compat.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/* The methods state:send(...) and state:tsend(timeout, ...). */
int mts_staterequest_send(lua_State *L);
int mts_staterequest_tsend(lua_State *L);

/* state:async(...), state:await(...), and state:tawait(timeout, ...). */
int mts_staterequest_async(lua_State *L);
int mts_staterequest_await(lua_State *L);
int mts_staterequest_tawait(lua_State *L);

/*
** The last call of another function that asks as state:async does: its first
** argument is the object, and those of the request are the ones from the index
** first on.
** Returns: how many results have been pushed: one, the future.
** Errors: those of async; raise has those about arguments.
** Stack: [-0, +1, v]
*/
int mts_staterequest_ask(lua_State *L, int first, mts_RaiseArgument raise);

/*
** The call of a state that has a thread of its own by another thread: a
** request that waits in line.  The arguments are those from the index first
** on; object and arguments are all that is on the stack.
** timeout: seconds until it has to have begun.
** Returns: how many results have been pushed; -1 if it has not begun in time.
** Stack: [-0, +n, v]
*/
int mts_staterequest_call(lua_State *L, int first, double timeout);

MTS_END_HIDDEN

#endif
