/*
** deep.h - messages of deep values in and out of the calls of a service
*/
#ifndef MTS_DEEP_H
#define MTS_DEEP_H

#include "base/compiler.h"

#include "core/exchange.h"
#include "value/decode.h"

MTS_BEGIN_HIDDEN

/*
** Calls the callback with the values of the source, a deep message.  On top of
** the callee is what mts_protect_push has pushed, and the callback; or nil, if
** that is the first value of the message.
** Returns: as mts_protect, with *status set if that is not LUA_OK.
** Stack of callee: [-2, +n, -]
*/
int mts_deep_run(mts_Call *call, int handler, mts_Status *status);

/*
** Gives the results of the call, from the index first on, to its sink.  If
** that has a message, it gets them; it is not fixed any more then.
** Returns: as mts_exchange_deliver.
** Stack of callee: [-0, +n, -]
*/
mts_Status mts_deep_deliver(mts_Call *call, int first);

/*
** Reports the error value on top of the callee, which code of a service has
** raised and mts_deep_handler has seen.
** Returns: as mts_exchange_report.
*/
mts_Status mts_deep_report(const mts_Call *call);

/*
** Reports what the decoder of the arguments of the call does not know.
** Returns: as mts_exchange_report.
*/
mts_Status mts_deep_report_unknown(const mts_Decoder *d, const mts_Call *call);

/*
** The message handler for calls into services: strings become as with
** mts_error_handler; other values stay, with a text for those who cannot take
** them.
** Stack: [-1, +1, e]
*/
int mts_deep_handler(lua_State *L);

/*
** The same for the error value on top of the stack, which the Lua thread L1
** has raised; is_service: whether other values than strings stay.
** Stack: [-1, +1, e]
*/
void mts_deep_handle(lua_State *L, lua_State *L1, bool is_service);

/*
** Pushes the values of a message, which are results of s, and frees it.
** Returns: MTS_OK; MTS_RAISED with *failure set; MTS_NO_MEMORY.
** Stack: [-0, +(message->count|1), -]
*/
mts_Status mts_deep_push_results(lua_State *L, mts_Message *message,
                                 const mts_State *s, mts_Failure *failure);

/* The same, but the message stays as it is and can be read again. */
mts_Status mts_deep_push_copies(lua_State *L, const mts_Message *message,
                                const mts_State *s, mts_Failure *failure);

MTS_END_HIDDEN

#endif
