/*
** call.h - running the callback of a state
*/
#ifndef MTS_CALL_H
#define MTS_CALL_H

#include "message.h"
#include "state.h"
#include "transfer.h"

/*
** Where the main Lua thread of a state has the two between calls; newstate.c
** pushes them in this order.  Nested calls take them from the Lua registry
** (see mts_State).
*/
#define MTS_HANDLER_SLOT 1
#define MTS_CALLBACK_SLOT 2

/*
** Calls the callback of s with args and pushes its results onto args->L.
** args: scanned, and examined if they are of MTS_KIND_OTHER.
** timeout: seconds to wait for s to become free.
** Returns: MTS_OK; MTS_RAISED with *error_text set; what mts_state_enter
** returns; MTS_NO_MEMORY.  Never raises.
** Stack of args->L: [-0, +results, -]
*/
mts_Status mts_call(mts_State *s, const mts_Values *args, double timeout,
                    mts_Buffer *error_text);

/* Gets the message of an error; valid during the call only. */
typedef void (*mts_ErrorHandler)(void *data, const char *message,
                                 size_t length);

/*
** Calls the callback of s with the values of the message (NULL: without
** arguments) and drops its results.  For threads without a Lua state.  If
** that fails in another way than MTS_CLOSED or MTS_BUSY, handler, if it is not
** NULL, is called when s has been left.
** Returns: as mts_call.
*/
mts_Status mts_call_native(mts_State *s, const mts_Message *message,
                           double timeout, mts_ErrorHandler handler,
                           void *data);

/*
** Runs the setup function, which stands in the callback slot of s, in the
** state that the calling thread holds.  The first result becomes the
** callback, the others are pushed onto args->L.
** Returns: as mts_call.
*/
mts_Status mts_call_setup(mts_State *s, const mts_Values *args,
                          mts_Buffer *error_text);

#endif
