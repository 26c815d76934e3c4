/*
** exchange.h - what goes into a call and what it gives back
*/
#ifndef MTS_EXCHANGE_H
#define MTS_EXCHANGE_H

#include "base/compiler.h"

#include "core/failure.h"
#include "error.h"
#include "luaapi/compat.h"
#include "luaapi/protect.h"
#include "state.h"
#include "util.h"
#include "value/codec.h"
#include "value/decode.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/*
** Where the arguments are: on a stack, scanned and examined if they need that;
** in a message; or, if both are NULL, there are none.
*/
typedef struct mts_Source {
  const mts_Values *values;
  const mts_Message *message;
  bool has_callback; /* it is the first value of the message */
  int skipped;       /* arguments before the first one */
} mts_Source;

/*
** Where the results go: onto the stack of L.  From the first one that needs
** memory of L on, they go into the message instead, if there is one and they
** all fit into it.  Deep values all go into the message; it is not fixed any
** more then.  Without L all go into the message, which grows; without both
** they are discarded.
*/
typedef struct mts_Sink {
  lua_State *L;
  mts_Message *message;
  int pushed; /* results that the stack has got */
} mts_Sink;

/* Differs from the top of any stack, also of an empty one. */
#define MTS_TOP_UNKNOWN (-1)

/* A call in progress. */
typedef struct mts_Call {
  mts_State *state;
  lua_State *callee; /* the Lua thread that is called */
  lua_State *outer;  /* the Lua thread of the call around this one */
  int base;          /* top of `callee` before the call */
  int own;           /* arguments that were on the stack of `callee` */
  int first;         /* first result in `callee`, */
  int top;           /* and last one, or MTS_TOP_UNKNOWN */
  int handler;       /* index of the message handler in `callee` */
  bool is_growing;   /* a stack is being grown: errors mean no memory */
  bool is_running;   /* all arguments are copied */
  bool may_defer;    /* the results can be a future that is the answer */
  mts_Source source;
  mts_Sink sink;
  mts_Failure *failure;
} mts_Call;

/*
** A call needs so many stack slots besides those of arguments or results.  The
** caller may have used as many besides those of its own arguments.
*/
#define MTS_CALL_SLOTS 6

/* Returns: how many arguments there are. */
static inline size_t mts_exchange_count(const mts_Source *source)
{
  if (source->values)
    return (size_t)source->values->count;
  return source->message ? source->message->count : 0;
}

/* Returns: what it takes to push them. */
static inline mts_Need mts_exchange_need(const mts_Source *source)
{
  if (source->values)
    return source->values->need;
  return source->message && source->message->needs_memory ? MTS_NEED_MEMORY
                                                          : MTS_NEED_NOTHING;
}

/*
** Pushes arguments that need nothing; `callee` has room for them.
** Stack of callee: [-0, +count, -]
*/
static inline MTS_ALWAYS_INLINE void
mts_exchange_push_plain(lua_State *callee, const mts_Source *source)
{
  if (source->values)
    mts_transfer_push_scanned(callee, source->values);
  else if (source->message)
    mts_decode_push_plain(callee, source->message);
}

/*
** A function that runs in a protected call of L sees other stack indices than
** its caller.  So values to be copied that are on the stack of L itself,
** because a state calls itself, are pushed as further arguments of it.
** Returns: how many.
** Stack: [-0, +returned, -]
*/
static inline int mts_exchange_push_own(lua_State *L, const mts_Values *values)
{
  int i;
  if (values->L != L)
    return 0;
  for (i = 0; i < values->count; i++)
    lua_pushvalue(L, values->first + i);
  return values->count;
}

/*
** Pushes any arguments of the call.  Runs in a protected call of `callee`,
** which has call->own arguments from the index own on.
** Errors: LUA_ERRMEM, or any one that leaves call->is_growing true, means that
** there is no memory.
** Stack of callee: [-0, +count, e]
*/
int mts_exchange_push_args(mts_Call *call, lua_State *callee, int own);

/*
** Stores the results in the message of the sink, if they are plain and it has
** room for them, or can grow.
** Returns: whether all are stored; else none is.
*/
bool mts_exchange_store(const mts_Call *call, int first);

/* Parts of mts_exchange_deliver. */
mts_Status mts_exchange_deliver_rest(mts_Call *call, int first);
mts_Status mts_exchange_deliver_message(mts_Call *call, int first);

/*
** Gives the results of the call, from the index first on, to its sink.
** Returns: MTS_OK; MTS_RAISED or MTS_DEFERRED, with *call->failure set;
** MTS_NO_MEMORY.
** Stack of call->callee: [-0, +n, -]
** Stack of sink.L: [-0, +call->sink.pushed, -]
*/
static inline MTS_ALWAYS_INLINE mts_Status mts_exchange_deliver(mts_Call *call,
                                                                mts_Sink sink,
                                                                int first)
{
  const int count = call->top - first + 1;
  int pushed;
  if (!sink.L)
    return sink.message ? mts_exchange_deliver_message(call, first) : MTS_OK;
  if (!mts_protect_grow(sink.L, MTS_CALL_SLOTS, count + MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  pushed = mts_transfer_push_plain(sink.L, call->callee, first, count);
  call->sink.pushed = pushed;
  if (pushed == count)
    return MTS_OK;
  return mts_exchange_deliver_rest(call, first);
}

/*
** Composes the text of an error from the error value on top of L.
** Returns: MTS_RAISED with *call->failure set; MTS_NO_MEMORY.
** Stack: [-0, +0, -]
*/
mts_Status mts_exchange_report(const mts_Call *call, mts_Error error,
                               lua_State *L);

MTS_END_HIDDEN

#endif
