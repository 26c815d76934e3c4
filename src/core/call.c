/*
** call.c - running the callback of a state
**
** Two Lua states take part: the caller's and the callee's, which the thread
** holds.  Each has its own chain of protected calls, so an error that one of
** them raises must be caught in that same one:
**
** 1. Plain values need no memory: they are copied from stack to stack.
** 2. What needs memory of the callee runs in a protected call of the callee.
** 3. What needs memory of the caller while the callee is held runs in a
**    protected call of the caller.
** 4. Short results and texts of errors do without that: they are kept as bytes
**    and become Lua strings when the callee has been left.
**
** A call without strings goes through mts_call, mts_state_enter, begin_call,
** run_callback, mts_exchange_deliver, end_call and mts_state_leave: one
** protected call, two atomic operations, no allocation.  All of these are
** inline; what each way to call knows beforehand costs nothing there.
**
** A nested call runs on the Lua thread of the callee that is running at that
** moment, above whatever is on its stack.
**
** Takes no locks beyond the call lock of the state.
*/
#include "core/call.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/deep.h"
#include "core/dispatch.h"
#include "core/exchange.h"
#include "core/interrupt.h"
#include "core/memory.h"
#include "core/timelimit.h"
#include "core/trace.h"
#include "error.h"
#include "luaapi/protect.h"

static inline MTS_ALWAYS_INLINE mts_Call begin_call(mts_State *s,
                                                    mts_Source source,
                                                    mts_Sink sink,
                                                    mts_Failure *failure)
{
  lua_State *callee =
      atomic_load_explicit(&s->interrupt.running, memory_order_relaxed);
  mts_Call call = {
      .state = s,
      .callee = callee,
      .outer = atomic_load_explicit(&s->innermost, memory_order_relaxed),
      .base = s->depth == 1 ? MTS_CALLBACK_SLOT : lua_gettop(callee),
      .top = MTS_TOP_UNKNOWN,
      .is_running = true,
      .source = source,
      .sink = sink,
      .failure = failure};
  atomic_store_explicit(&s->innermost, callee, memory_order_release);
  mts_interrupt_check(s);
  return call;
}

/*
** Between calls, message handler and callback lie at the base of the main Lua
** thread.
*/
static inline void push_callback(const mts_Call *call)
{
  const mts_State *s = call->state;
  if (s->depth == 1)
    lua_pushvalue(call->callee, MTS_CALLBACK_SLOT);
  else
    lua_rawgeti(call->callee, LUA_REGISTRYINDEX, s->callback_ref);
}

/*
** Runs in `callee`: [1] the callback, [2...] the arguments if they were on the
** stack of `callee`.
*/
static int push_args_and_call(lua_State *callee, void *data)
{
  mts_Call *call = data;
  int base = 0, count;
  if (call->own > 0) {
    base = 1 + call->own;
    lua_pushvalue(callee, 1);
  }
  count = mts_exchange_push_args(call, callee, 2);
  call->is_running = true;
  lua_call(callee, count, LUA_MULTRET);
  return lua_gettop(callee) - base;
}

/* Calls the callback with arguments that need memory of `callee`. */
static int run_protected(mts_Call *call, int handler)
{
  const mts_Values *values = call->source.values;
  lua_State *callee = call->callee;
  mts_protect_push(callee);
  push_callback(call);
  call->own = values ? mts_exchange_push_own(callee, values) : 0;
  call->is_running = false;
  return mts_protect(callee, push_args_and_call, call, 1 + call->own,
                     LUA_MULTRET, handler);
}

/* Why the call failed. */
static mts_Status run_error(const mts_Call *call, int result)
{
  if (call->is_growing || (result == LUA_ERRMEM && !call->is_running))
    return MTS_NO_MEMORY;
  if (call->state->is_service)
    return mts_deep_report(call);
  return mts_exchange_report(call, MTS_ERROR_INVOKING_STATE, call->callee);
}

/* Calls the callback with the values of a deep message. */
static mts_Status run_deep(mts_Call *call, int handler)
{
  lua_State *callee = call->callee;
  mts_Status status = MTS_OK;
  mts_protect_push(callee);
  if (call->source.has_callback)
    lua_pushnil(callee);
  else
    push_callback(call);
  if (mts_deep_run(call, handler, &status) == LUA_OK)
    call->top = lua_gettop(callee);
  return status;
}

/*
** Calls the callback.  On MTS_OK the results are on top of `callee`, from
** call->first on.
*/
static inline MTS_ALWAYS_INLINE mts_Status run_callback(mts_Call *call,
                                                        mts_Source source)
{
  const size_t count = mts_exchange_count(&source);
  lua_State *callee = call->callee;
  int handler = MTS_HANDLER_SLOT, result;
  if (count > INT_MAX - MTS_CALL_SLOTS ||
      !mts_protect_grow(callee, call->base, (int)count + MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  call->first = call->base + 1;
  if (call->state->depth > 1) {
    mts_protect_push_kept(callee, MTS_HANDLER_KEY,
                          mts_call_handler(call->state->is_service));
    handler = call->first++;
  }
  call->handler = handler;
  if (source.message && source.message->is_deep)
    return run_deep(call, handler);
  if (mts_exchange_need(&source) == MTS_NEED_NOTHING) {
    push_callback(call);
    mts_exchange_push_plain(callee, &source);
    result = lua_pcall(callee, (int)count, LUA_MULTRET, handler);
  }
  else
    result = run_protected(call, handler);
  if (result != LUA_OK)
    return run_error(call, result);
  call->top = lua_gettop(callee);
  return MTS_OK;
}

/* Moves the results, which are on top of `callee`, to where they belong. */
static void move_results(const mts_Call *call)
{
  lua_State *callee = call->callee;
  const int pushed = call->sink.pushed;
  int first = lua_gettop(callee) - pushed + 1;
  int i;
  for (i = 0; i < pushed; i++)
    lua_copy(callee, first + i, call->base + 1 + i);
  lua_settop(callee, call->base + pushed);
}

/* Clears the stack of `callee`, which can be that of the caller. */
static inline MTS_ALWAYS_INLINE void end_call(const mts_Call *call)
{
  if (call->callee == call->sink.L)
    move_results(call);
  else if (call->top != call->base)
    lua_settop(call->callee, call->base);
  atomic_store_explicit(&call->state->innermost, call->outer,
                        memory_order_relaxed);
}

/*
** Calls the callback of s, which has been entered.  pushed: results that the
** stack of the sink has got.  runtime: NULL: no time limit matters.
*/
static inline MTS_ALWAYS_INLINE mts_Status
run_entered(mts_State *s, mts_Source source, mts_Sink sink, int *pushed,
            mts_Failure *failure, mts_Runtime *runtime)
{
  mts_Call call = begin_call(s, source, sink, failure);
  mts_Status status;
  mts_trace_begin(MTS_TRACE_CALL, s);
  mts_usage_note_call(&s->usage);
  status = run_callback(&call, source);
  call.may_defer = true;
  if (runtime)
    status = mts_timelimit_judge(runtime, status, failure);
  if (status == MTS_OK)
    status = mts_exchange_deliver(&call, sink, call.first);
  if (status != MTS_OK && status != MTS_DEFERRED)
    mts_usage_note_error(&s->usage);
  end_call(&call);
  mts_memory_settle(s);
  mts_trace_end();
  *pushed = call.sink.pushed;
  return status;
}

/* run_call, where time limits matter: of s, or of the calling code. */
static mts_Status run_timed(mts_State *s, double timeout, mts_Source source,
                            mts_Sink sink, int *pushed, mts_Failure *failure)
{
  mts_Runtime runtime;
  mts_Status status;
  mts_timelimit_reset(&runtime, s);
  mts_timelimit_open(&runtime, s);
  status = mts_state_enter(s, timeout);
  if (status == MTS_OK) {
    mts_timelimit_begin(&runtime);
    status = run_entered(s, source, sink, pushed, failure, &runtime);
    mts_timelimit_pause_one(&runtime);
    mts_state_leave(s);
  }
  mts_timelimit_close(&runtime);
  return status;
}

/* The same; enters s before and leaves it afterwards. */
static inline MTS_ALWAYS_INLINE mts_Status run_call(mts_State *s,
                                                    double timeout,
                                                    mts_Source source,
                                                    mts_Sink sink, int *pushed,
                                                    mts_Failure *failure)
{
  mts_Status status;
  if (mts_timelimit_concerns(s))
    return run_timed(s, timeout, source, sink, pushed, failure);
  status = mts_state_enter(s, timeout);
  if (status != MTS_OK)
    return status;
  status = run_entered(s, source, sink, pushed, failure, NULL);
  mts_state_leave(s);
  return status;
}

/* ======================================================================= */
/* The ways to call                                                        */
/* ======================================================================= */

static inline void open_results(mts_Results *results)
{
  mts_buffer_borrow(&results->rest.bytes, results->bytes,
                    sizeof(results->bytes));
  results->rest.count = 0;
  results->rest.is_deep = false;
}

mts_Status mts_call(mts_State *s, const mts_Values *args, double timeout,
                    mts_Results *results, mts_Failure *failure)
{
  const mts_Source source = {.values = args};
  const mts_Sink sink = {.L = args->L, .message = &results->rest};
  open_results(results);
  return run_call(s, timeout, source, sink, &results->pushed, failure);
}

mts_Status mts_call_deep(mts_State *s, lua_State *L,
                         const mts_Message *message, double timeout,
                         mts_Results *results, mts_Failure *failure)
{
  const mts_Source source = {.message = message};
  const mts_Sink sink = {.L = L, .message = &results->rest};
  open_results(results);
  return run_call(s, timeout, source, sink, &results->pushed, failure);
}

void mts_call_tell(mts_State *s, mts_Status status, mts_Failure *failure,
                   mts_ErrorHandler handler, void *data)
{
  mts_Buffer composed = {0};
  mts_Buffer *text = &composed;
  if (!handler)
    return;
  if (status == MTS_RAISED)
    text = &failure->text;
  else
    status = mts_error_compose_status(text, status, s);
  if (status == MTS_RAISED && mts_buffer_append(text, "", 1))
    handler(data, text->data, text->length - 1);
  else
    handler(data, mts_error_no_memory, strlen(mts_error_no_memory));
  mts_buffer_free(&composed);
}

mts_Status mts_call_native(mts_State *s, const mts_Message *message,
                           double timeout, mts_ErrorHandler handler,
                           void *data)
{
  const mts_Source source = {.message = message};
  const mts_Sink discard = {.L = NULL};
  mts_Failure failure;
  int pushed;
  mts_Status status;
  mts_failure_open(&failure);
  status = run_call(s, timeout, source, discard, &pushed, &failure);
  if (status != MTS_OK && status != MTS_CLOSED && status != MTS_BUSY)
    mts_call_tell(s, status, &failure, handler, data);
  mts_failure_close(&failure);
  return status;
}

mts_Status mts_call_entered(mts_State *s, const mts_Message *message,
                            mts_Message *results, mts_Failure *failure)
{
  const mts_Source source = {.message = message};
  const mts_Sink sink = {.message = results};
  mts_Runtime runtime;
  int pushed;
  mts_Status status;
  mts_timelimit_reset(&runtime, s);
  mts_timelimit_open(&runtime, s);
  mts_timelimit_begin(&runtime);
  status = run_entered(s, source, sink, &pushed, failure, &runtime);
  mts_timelimit_pause_one(&runtime);
  mts_timelimit_close(&runtime);
  return status;
}

static void report_to_logger(void *s, const char *text, size_t length)
{
  mts_upcalls.report(s, text, length);
}

/*
** It takes the place of the callback, as no other call follows.  It can close
** further states, whose last functions close others: at some depth they are
** not run any more.
*/
void mts_call_last(mts_State *s)
{
  mts_Failure failure;
  mts_Status status;
  if (s->last_ref == LUA_NOREF)
    return;
  lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->last_ref);
  lua_replace(s->L, MTS_CALLBACK_SLOT);
  s->last_ref = LUA_NOREF;
  mts_failure_open(&failure);
  status = mts_thread_is_too_deep(mts_self.nesting)
               ? MTS_TOO_DEEP
               : mts_call_entered(s, NULL, NULL, &failure);
  if (status != MTS_OK)
    mts_call_tell(s, status, &failure, report_to_logger, s);
  mts_failure_close(&failure);
}

/* Composes the text for a setup whose first result is of a wrong type. */
static mts_Status report_no_callback(const mts_Call *call)
{
  char text[100];
  int length = snprintf(
      text, sizeof(text), "result #1 of the setup is not a function%s but %s",
      call->state->is_service ? " or table of functions" : "",
      luaL_typename(call->callee, call->first));
  return mts_error_compose(&call->failure->text, MTS_ERROR_STATE_RESULT,
                           call->state, text, (size_t)length);
}

static int get_last_function(lua_State *callee)
{
  lua_getfield(callee, 1, MTS_DISPATCH_CLOSE);
  return 1;
}

/*
** Runs in the new state: [1] the table of functions.  Stores the reference to
** the function that is to be called last, if there is one that can be found.
*/
static int make_callback(lua_State *callee, void *data)
{
  int *last_ref = data;
  int result;
  lua_pushcfunction(callee, get_last_function);
  lua_pushvalue(callee, 1);
  result = lua_pcall(callee, 1, 1, 0);
  if (result == LUA_ERRMEM)
    lua_error(callee);
  if (result != LUA_OK || lua_isnil(callee, -1))
    lua_pop(callee, 1);
  else
    *last_ref = luaL_ref(callee, LUA_REGISTRYINDEX);
  mts_dispatch_push(callee, 1);
  return 1;
}

/*
** Checks that the first result of the setup can be the callback, and replaces
** a table of functions by a function.
*/
static mts_Status accept_callback(const mts_Call *call)
{
  lua_State *callee = call->callee;
  int result;
  if (lua_isfunction(callee, call->first))
    return MTS_OK;
  if (!call->state->is_service || !lua_istable(callee, call->first))
    return report_no_callback(call);
  if (!mts_protect_grow(callee, lua_gettop(callee), MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  mts_protect_push(callee);
  lua_pushvalue(callee, call->first);
  result = mts_protect(callee, make_callback, &call->state->last_ref, 1, 1, 0);
  if (result == LUA_ERRMEM)
    return MTS_NO_MEMORY;
  if (result != LUA_OK) /* of a finalizer, before 5.4 */
    return mts_exchange_report(call, MTS_ERROR_INVOKING_STATE, callee);
  lua_replace(callee, call->first);
  if (call->state->last_ref != LUA_NOREF)
    mts_state_keep_for_closing(call->state);
  return MTS_OK;
}

mts_Status mts_call_setup(mts_State *s, const mts_Setup *setup,
                          mts_Failure *failure)
{
  const mts_Source source = {.values = setup->message ? NULL : &setup->args,
                             .message = setup->message,
                             .has_callback = !setup->code,
                             .skipped = setup->skipped};
  const mts_Sink sink = {.L = setup->args.L};
  mts_Call call = begin_call(s, source, sink, failure);
  mts_Status status = run_callback(&call, source);
  status = mts_timelimit_judge(mts_self.runtime, status, failure);
  if (status == MTS_OK) /* a table of functions can run code, too */
    status =
        mts_timelimit_judge(mts_self.runtime, accept_callback(&call), failure);
  if (status == MTS_OK)
    status = mts_exchange_deliver(&call, sink, call.first + 1);
  if (status == MTS_OK) {
    lua_copy(call.callee, call.first, MTS_CALLBACK_SLOT);
    lua_settop(call.callee, call.first); /* the callback, on top */
    lua_rawseti(call.callee, LUA_REGISTRYINDEX, s->callback_ref);
  }
  end_call(&call);
  mts_memory_settle(s);
  return status;
}
