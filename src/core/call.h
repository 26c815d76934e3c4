/*
** call.h - running the callback of a state
*/
#ifndef MTS_CALL_H
#define MTS_CALL_H

#include "base/compiler.h"

#include "core/deep.h"
#include "core/failure.h"
#include "core/setup.h"
#include "error.h"
#include "state.h"
#include "util.h"
#include "value/codec.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/*
** Where the main Lua thread of a state has message handler and callback
** between calls; newstate.c pushes them in this order.  Nested calls get them
** from the Lua registry: the callback by s->callback_ref, the handler by its
** key (see protect.h).
*/
#define MTS_HANDLER_SLOT 1
#define MTS_CALLBACK_SLOT 2
#define MTS_HANDLER_KEY "mtstates.handler"

/* Returns: the message handler for the calls of a state. */
static inline lua_CFunction mts_call_handler(bool is_service)
{
  return is_service ? mts_deep_handler : mts_error_handler;
}

/* Results of more bytes than that are copied while the state is held. */
#define MTS_RESULTS_SIZE 1100

/* Results of a call. */
typedef struct mts_Results {
  int pushed;       /* how many are on the caller's stack */
  mts_Message rest; /* the others, which need memory there; borrows bytes */
  char bytes[MTS_RESULTS_SIZE];
} mts_Results;

/*
** Calls the callback of s with args and pushes its first results onto args->L;
** the caller pushes the rest, with mts_decode_push_plain, as there is room.
** args: scanned, and examined if they need that.
** timeout: seconds to wait for s to become free.
** Returns: MTS_OK; MTS_RAISED or MTS_DEFERRED, with *failure set; what
** mts_state_enter returns; MTS_NO_MEMORY.  Never raises.
** Stack of args->L: [-0, +results->pushed, -]
*/
mts_Status mts_call(mts_State *s, const mts_Values *args, double timeout,
                    mts_Results *results, mts_Failure *failure);

/*
** The same for a service, with deep values: the results are pushed onto L.  If
** results->rest is deep, mts_deep_push_results has to push it instead.
** message: the encoded arguments; it stays the caller's.
*/
mts_Status mts_call_deep(mts_State *s, lua_State *L,
                         const mts_Message *message, double timeout,
                         mts_Results *results, mts_Failure *failure);

/*
** Gets the message of an error; valid during the call only.  No lock and no
** state is held then.  If it leaves by longjmp or an exception, nothing but
** the message is lost.
*/
typedef void (*mts_ErrorHandler)(void *data, const char *message,
                                 size_t length);

/*
** Tells the handler, unless it is NULL, why something that was to be done with
** s has failed; failure: of MTS_RAISED.  Behind the message is a zero byte.
*/
void mts_call_tell(mts_State *s, mts_Status status, mts_Failure *failure,
                   mts_ErrorHandler handler, void *data);

/*
** Calls the callback of s with the values of the message (NULL: without
** arguments) and discards its results.  For threads without a Lua state.  If
** that fails in another way than MTS_CLOSED or MTS_BUSY, handler, if it is not
** NULL, is called when s has been left.
** Returns: as mts_call.
*/
mts_Status mts_call_native(mts_State *s, const mts_Message *message,
                           double timeout, mts_ErrorHandler handler,
                           void *data);

/*
** Calls the callback of s, which the calling thread has entered, with the
** values of the message.  Its results go into *results, which grows; without
** that they are discarded.
** Returns: MTS_OK; MTS_RAISED or MTS_DEFERRED, with *failure set;
** MTS_NO_MEMORY.
*/
mts_Status mts_call_entered(mts_State *s, const mts_Message *message,
                            mts_Message *results, mts_Failure *failure);

/*
** Calls the last function of s, if there is one, before s is closed, and
** reports its error.  The calling thread has entered s.
*/
void mts_call_last(mts_State *s);

/*
** Runs the setup function, which stands in the callback slot of s or is in the
** message, in the state that the calling thread holds.  The first result, a
** function or, of a service, a table of functions, becomes the callback; the
** others are pushed onto setup->args.L.
** Returns: as mts_call.
*/
mts_Status mts_call_setup(mts_State *s, const mts_Setup *setup,
                          mts_Failure *failure);

MTS_END_HIDDEN

#endif
