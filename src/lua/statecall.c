/*
** statecall.c - calls of states by Lua code
**
** See stateobject.c for what holds while errors are raised, and while code of
** other states runs.
**
** Takes no locks of its own.
*/
#include "lua/statecall.h"

#include "core/call.h"
#include "core/deep.h"
#include "core/interrupt.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/futureobject.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/staterequest.h"
#include "sched/host.h"
#include "sched/teamcall.h"
#include "value/decode.h"

/*
** Calls the state of the object, which can be finalized meanwhile, with the
** message, which it frees, or without one with the values.  Pushes the results
** and returns how many, or BUSY if the state was busy, or DEFERRED with
** *deferral; raises all other errors.
*/
#define BUSY (-1)
#define DEFERRED (-2)
static inline MTS_ALWAYS_INLINE int
call_state(lua_State *L, mts_StateObject *object, const mts_Values *args,
           mts_Message *message, double timeout, mts_Future **deferral)
{
  mts_State *s = object->state;
  mts_State *host_state = mts_stateobject_caller(L, object);
  mts_Failure failure;
  mts_Results results;
  lua_State *outer = mts_interrupt_switch(host_state, L);
  mts_Status status;
  mts_failure_open(&failure);
  object->calls++;
  if (!message)
    status =
        mts_state_is_pool(s)
            ? mts_teamcall_call_plain(s, args, timeout, &results, &failure)
            : mts_call(s, args, timeout, &results, &failure);
  else if (s->is_host)
    status = mts_host_call(s, L, message, timeout, &results, &failure);
  else if (mts_state_is_pool(s))
    status = mts_teamcall_call(s, L, message, timeout, &results, &failure);
  else
    status = mts_call_deep(s, L, message, timeout, &results, &failure);
  if (message)
    mts_codec_free(message);
  if (status == MTS_OK && results.rest.is_deep) {
    results.pushed = (int)results.rest.count;
    status = mts_deep_push_results(L, &results.rest, s, &failure);
  }
  if (status != MTS_OK && status != MTS_BUSY && status != MTS_RAISED &&
      status != MTS_DEFERRED)
    status = mts_error_compose_status(&failure.text, status, s);
  if (status == MTS_RAISED)
    mts_failure_push(L, &failure);
  object->calls--;
  mts_stateobject_release(object);
  mts_interrupt_switch(host_state, outer);
  if (status == MTS_BUSY)
    return BUSY;
  *deferral = failure.deferral;
  if (status == MTS_DEFERRED)
    return DEFERRED;
  if (status == MTS_RAISED)
    lua_error(L);
  if (status != MTS_OK)
    mts_error_raise_status(L, status, "call");
  if (results.rest.count > 0)
    mts_decode_push_plain(L, &results.rest);
  return results.pushed + (int)results.rest.count;
}

/* Messages of so many bytes need no memory but the C stack. */
#define SHORT_MESSAGE 512

/* The same with values to be examined: for a service as a message. */
static int call_examined(lua_State *L, mts_StateObject *object,
                         mts_Values *args, double timeout,
                         mts_Future **deferral)
{
  mts_Message message = {0};
  char space[SHORT_MESSAGE];
  if (!object->state->is_service) {
    mts_transfer_examine_args(args, luaL_argerror);
    if (object->is_finalized) /* by a finalizer that the collector has run */
      mts_stateobject_raise_finalized(L);
    return call_state(L, object, args, NULL, timeout, deferral);
  }
  mts_buffer_start(&message.bytes, space, sizeof(space));
  mts_arguments_encode(L, args->first, args->count, &message);
  if (!object->state || object->is_finalized) { /* by __transfer */
    mts_arguments_free(L, &message);
    mts_stateobject_raise_finalized(L);
  }
  return call_state(L, object, NULL, &message, timeout, deferral);
}

/* Whether one thread only runs code of s; or none, as it is a pool. */
static inline bool has_own_thread(const mts_State *s)
{
  return atomic_load_explicit(&s->own_thread, memory_order_relaxed) != 0;
}

/*
** Whether only another thread runs code of s; or this one, but neither now nor
** in a call that goes on: it does so while it waits.
*/
static bool runs_elsewhere(const mts_State *s)
{
  if (mts_state_is_pool(s))
    return mts_teamcall_runs_elsewhere(s);
  return atomic_load(&s->own_thread) != mts_thread_id() ||
         (s->is_host && !mts_host_can_nest(s));
}

/* state:call(...) */
int mts_statecall_call(lua_State *L)
{
  mts_Values args;
  mts_StateObject *object;
  mts_Future *deferral;
  int results;
  mts_transfer_scan(&args, L, 2);
  object = mts_stateobject_check_live(L);
  if (has_own_thread(object->state)) {
    if (runs_elsewhere(object->state)) {
      lua_pop(L, 1); /* the metatable */
      return mts_staterequest_call(L, 2, MTS_FOREVER);
    }
    if (!mts_state_is_pool(object->state))
      args.need = MTS_NEED_EXAMINATION; /* for these they are a message */
  }
  if (args.need == MTS_NEED_EXAMINATION)
    results = call_examined(L, object, &args, MTS_FOREVER, &deferral);
  else
    results = call_state(L, object, &args, NULL, MTS_FOREVER, &deferral);
  return results == DEFERRED ? mts_futureobject_await(L, deferral, false)
                             : results;
}

/* state:tcall(timeout, ...) */
int mts_statecall_tcall(lua_State *L)
{
  mts_Values args;
  mts_StateObject *object;
  mts_Future *deferral;
  lua_Number timeout;
  int results, success, below;
  mts_transfer_scan(&args, L, 3);
  object = mts_stateobject_check_live(L);
  lua_pop(L, 1);
  timeout = mts_numbers_check_seconds(L, 2);
  if (has_own_thread(object->state) && runs_elsewhere(object->state)) {
    results = mts_staterequest_call(L, 3, timeout);
    lua_pushboolean(L, results >= 0);
    if (results > 0)
      lua_insert(L, -results - 1);
    return results < 0 ? 1 : results + 1;
  }
  lua_pushboolean(L, true);
  success = lua_gettop(L);
  if (args.need == MTS_NEED_EXAMINATION ||
      (has_own_thread(object->state) && !mts_state_is_pool(object->state)))
    results = call_examined(L, object, &args, timeout, &deferral);
  else
    results = call_state(L, object, &args, NULL, timeout, &deferral);
  if (results == DEFERRED)
    return mts_futureobject_await(L, deferral, true);
  if (results < 0) {
    lua_pushboolean(L, false);
    return 1;
  }
  below = lua_gettop(L) - results; /* it may be what kept the arguments */
  if (below != success)
    lua_copy(L, success, below);
  return results + 1;
}
