/*
** taskcall.c - running the callback of a state in a coroutine
**
** As in call.c, but the callback runs in a coroutine of the state, so that it
** can yield.  The coroutine is empty before and afterwards, since Lua takes
** all that is on it for results.
**
** From 5.4 on the outermost function of the coroutine is one of ours, which
** calls the callback in protected mode: so to-be-closed variables are closed
** as in a call, and can be interrupted.  Before that nothing can be around the
** callback that lets it yield, in all versions; so an error ends the
** coroutine, and what the message handler would do is done then, while its
** frames are there.
**
** Arguments that need no memory are pushed while the coroutine is idle.
** Others are converted by that outermost function, before the protected call;
** an error there ends the coroutine, too.  Before 5.4 a protected call on the
** idle coroutine does it, as with results in all versions: nothing can yield
** there.
**
** Takes no locks: the calling thread holds the state.
*/
#include "core/taskcall.h"

#include <limits.h>

#include "core/call.h"
#include "core/coroutine.h"
#include "core/deep.h"
#include "core/dispatch.h"
#include "core/exchange.h"
#include "core/hook.h"
#include "core/interrupt.h"
#include "luaapi/protect.h"
#include "value/decode.h"

/* Runs in the main Lua thread: [1] the coroutine, which gets its hook. */
static int copy_hook(lua_State *L, void *data)
{
  (void)data;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, 2, LUA_DBLIBNAME);
  lua_getfield(L, 3, "sethook");
  lua_pushvalue(L, 1);
  lua_getfield(L, 3, "gethook");
  lua_pushthread(L);
  lua_call(L, 1, 3);
  lua_call(L, 4, 0);
  return 0;
}

void mts_taskcall_copy_hook(const mts_State *s, lua_State *co)
{
  lua_State *L = s->L;
  if (MTS_HOOKS_ARE_GLOBAL || !mts_hook_is_foreign(L))
    return;
  mts_protect_push(L);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  if (mts_protect(L, copy_hook, NULL, 1, 0, 0) != LUA_OK)
    lua_pop(L, 1); /* no library, or no memory: it runs without */
}

void mts_taskcall_clear_hook(lua_State *co)
{
  if (!MTS_HOOKS_ARE_GLOBAL && lua_gethook(co))
    lua_sethook(co, NULL, 0, 0);
}

void mts_taskcall_enter(mts_Stretch *stretch, mts_State *s, lua_State *co)
{
  stretch->state = s;
  stretch->co = co;
  stretch->opening = NULL;
  atomic_store_explicit(&s->innermost, co, memory_order_release);
  stretch->outer = mts_interrupt_enter(s, &stretch->link, s->L, co);
}

void mts_taskcall_leave(mts_Stretch *stretch)
{
  mts_State *s = stretch->state;
  atomic_store_explicit(&s->innermost, NULL, memory_order_relaxed);
  mts_interrupt_leave(s, &stretch->link, stretch->outer);
}

/* ======================================================================= */
/* Arguments                                                               */
/* ======================================================================= */

/*
** Runs on the coroutine, with the callback on top.  Returns how many values
** are on top then: what is to run, and its arguments.
*/
static int push_call(lua_State *co, mts_Opening *opening)
{
  mts_Call *call = &opening->call;
  mts_Message *message = opening->message;
  const int count = message ? (int)message->count : 0;
  if (message && message->is_deep)
    mts_decode_push(&opening->decoder, co, message, lua_gettop(co));
  else if (message)
    (void)mts_exchange_push_args(call, co, 0);
  call->is_running = true;
  if (message && !message->handles) /* what they name stays open */
    mts_codec_free(message);
  return mts_dispatch_resolve(co, count);
}

/* Why that failed: the error value is on top of call->callee. */
static mts_Status opening_error(const mts_Opening *opening, int result)
{
  const mts_Call *call = &opening->call;
  const mts_Decoder *decoder = &opening->decoder;
  if (!call->is_running &&
      (result == LUA_ERRMEM || call->is_growing || decoder->is_out_of_memory))
    return MTS_NO_MEMORY;
  if (!call->is_running && decoder->has_unknown)
    return mts_deep_report_unknown(decoder, call);
  if (call->state->is_service)
    return mts_deep_report(call);
  return mts_exchange_report(call, MTS_ERROR_INVOKING_STATE, call->callee);
}

static void open_opening(mts_Opening *opening, const mts_Stretch *stretch,
                         mts_Message *message, mts_Failure *failure)
{
  opening->message = message;
  opening->call = (mts_Call){.state = stretch->state,
                             .callee = stretch->co,
                             .source = {.message = message},
                             .sink = {.message = &failure->value},
                             .failure = failure};
  mts_decode_open(&opening->decoder, MTS_WAY_OF_ARGUMENT);
}

static void copy_callback(const mts_Stretch *stretch)
{
  lua_State *L = stretch->state->L;
  lua_pushvalue(L, MTS_CALLBACK_SLOT);
  lua_xmove(L, stretch->co, 1);
}

/* ======================================================================= */
/* The outermost function                                                  */
/* ======================================================================= */

#if MTS_HAS_CLOSE

/* Lies above the error value, if the callback has failed. */
static const char failed;

/* [1] the handler, then the results, or the error value. */
static int finish_frame(lua_State *co, int status, lua_KContext context)
{
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(co) - 1;
  lua_pushlightuserdata(co, (void *)&failed);
  return 2;
}

/* [1] the handler, [2] the callback, then its arguments. */
static int frame(lua_State *co)
{
  const int count = lua_gettop(co) - 2;
  return finish_frame(
      co, lua_pcallk(co, count, LUA_MULTRET, 1, 0, finish_frame), 0);
}

/* [1] the handler, [2] the callback, [3] an mts_Opening. */
static int opening_frame(lua_State *co)
{
  mts_Opening *opening = lua_touserdata(co, 3);
  int base, count, i;
  lua_settop(co, 2);
  count = push_call(co, opening);
  base = lua_gettop(co) - count;
  for (i = 1; base > 1 && i <= count; i++)
    lua_copy(co, base + i, 1 + i);
  lua_settop(co, 1 + count);
  return frame(co);
}

static bool has_failed(lua_State *co)
{
  return lua_gettop(co) > 0 && lua_islightuserdata(co, -1) &&
         lua_touserdata(co, -1) == &failed;
}

static void push_frame(const mts_State *s, lua_State *co,
                       lua_CFunction function)
{
  lua_pushcfunction(co, function);
  lua_pushcfunction(co, mts_call_handler(s->is_service));
}

void mts_taskcall_push_frame(const mts_State *s, lua_State *co)
{
  push_frame(s, co, frame);
}

/* The rest is done when the coroutine is resumed. */
static mts_Status prepare_opening(mts_Stretch *stretch, mts_Opening *opening)
{
  lua_State *co = stretch->co;
  push_frame(stretch->state, co, opening_frame);
  copy_callback(stretch);
  lua_pushlightuserdata(co, opening);
  stretch->opening = opening;
  return MTS_OK;
}

#else

static bool has_failed(lua_State *co)
{
  (void)co;
  return false;
}

void mts_taskcall_push_frame(const mts_State *s, lua_State *co)
{
  (void)s;
  (void)co;
}

/* Runs on the coroutine: [1] the callback. */
static int push_protected(lua_State *co, void *data)
{
  return push_call(co, data);
}

static mts_Status prepare_opening(mts_Stretch *stretch, mts_Opening *opening)
{
  lua_State *co = stretch->co;
  mts_Status status = MTS_OK;
  int result;
  mts_protect_push_kept(co, MTS_HANDLER_KEY,
                        mts_call_handler(stretch->state->is_service));
  mts_protect_push(co);
  copy_callback(stretch);
  result = mts_protect(co, push_protected, opening, 1, LUA_MULTRET, 1);
  mts_decode_close(&opening->decoder);
  if (result != LUA_OK)
    status = opening_error(opening, result);
  else
    lua_remove(co, 1);
  return status;
}

#endif

mts_Status mts_taskcall_prepare(mts_Stretch *stretch, mts_Opening *opening,
                                mts_Message *message, mts_Failure *failure,
                                int *count)
{
  lua_State *co = stretch->co;
  const size_t values = message ? message->count : 0;
  mts_Status status = MTS_OK;
  if (values > INT_MAX - MTS_CALL_SLOTS ||
      !mts_protect_grow(co, 0, (int)values + MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  if ((values == 0 || !message->needs_memory) &&
      !mts_dispatch_is(stretch->state->L, MTS_CALLBACK_SLOT)) {
    mts_taskcall_push_frame(stretch->state, co);
    copy_callback(stretch);
    if (message) {
      mts_decode_push_plain(co, message);
      mts_codec_free(message);
    }
  }
  else {
    open_opening(opening, stretch, message, failure);
    status = prepare_opening(stretch, opening);
  }
  if (status == MTS_OK)
    *count = lua_gettop(co) - 1;
  else
    lua_settop(co, 0);
  return status;
}

/* ======================================================================= */
/* Results                                                                 */
/* ======================================================================= */

int mts_taskcall_resume(const mts_Stretch *stretch, int count)
{
  int results;
  const int result =
      lua_resume(stretch->co, stretch->state->L, count, &results);
  if (stretch->opening)
    mts_decode_close(&stretch->opening->decoder);
  if (result != LUA_OK || !has_failed(stretch->co))
    return result;
  lua_pop(stretch->co, 1);
  return MTS_TASK_FAILED;
}

/* Results that are not plain: for what converts them with a handler. */
static mts_Status deliver_slowly(mts_Call *call)
{
  lua_State *co = call->callee;
  if (!mts_protect_grow(co, call->top, MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  mts_protect_push_kept(co, MTS_HANDLER_KEY,
                        mts_call_handler(call->state->is_service));
  lua_insert(co, 1);
  call->handler = 1;
  call->first = 2;
  call->top++;
  return mts_exchange_deliver_message(call, call->first);
}

mts_Status mts_taskcall_deliver(const mts_Stretch *stretch,
                                mts_Message *results, mts_Failure *failure)
{
  lua_State *co = stretch->co;
  mts_Status status = MTS_OK;
  mts_Call call = {.state = stretch->state,
                   .callee = co,
                   .first = 1,
                   .top = lua_gettop(co),
                   .is_running = true,
                   .may_defer = true,
                   .sink = {.message = results},
                   .failure = failure};
  if (results && call.top > 0 && !mts_exchange_store(&call, 1))
    status = deliver_slowly(&call);
  lua_settop(co, 0);
  return status;
}

/* ======================================================================= */
/* Errors                                                                  */
/* ======================================================================= */

typedef struct Raised {
  lua_State *co;
  bool is_service;
  bool has_yielded; /* there is no error value */
} Raised;

/* Runs in the main Lua thread: [1] the error value. */
static int handle_error(lua_State *L, void *data)
{
  const Raised *raised = data;
  if (raised->has_yielded) {
    lua_pushliteral(L, "attempt to yield a task");
    lua_replace(L, 1);
  }
  mts_deep_handle(L, raised->co, raised->is_service);
  return 1;
}

/*
** Moves the error value from the coroutine, which has ended with that result,
** to the main Lua thread, as the message handler of a call would leave it.
** Returns: LUA_OK; LUA_ERRMEM.
*/
static int take_error(const mts_Stretch *stretch, int result)
{
  lua_State *L = stretch->state->L;
  Raised raised = {stretch->co, stretch->state->is_service,
                   result == LUA_YIELD};
  mts_InterruptNode *interrupt = &stretch->state->interrupt;
  mts_Resume *resumes = interrupt->resumes;
  lua_State *outer;
  interrupt->resumes = stretch->link.outer; /* L runs now */
  outer = mts_interrupt_switch(stretch->state, L);
  mts_protect_push(L);
  if (raised.has_yielded)
    lua_pushnil(L);
  else
    lua_xmove(stretch->co, L, 1);
  result = mts_protect(L, handle_error, &raised, 1, 1, 0);
  interrupt->resumes = resumes;
  mts_interrupt_switch(stretch->state, outer);
  return result;
}

mts_Status mts_taskcall_report(const mts_Stretch *stretch, int result,
                               bool wants_value, mts_Failure *failure,
                               bool *is_idle)
{
  mts_State *s = stretch->state;
  lua_State *L = s->L;
  const int top = lua_gettop(L);
  const mts_Call call = {
      .state = s,
      .callee = L,
      .is_running = true,
      .sink = {.message = wants_value ? &failure->value : NULL},
      .failure = failure};
  mts_Status status;
  *is_idle = result == MTS_TASK_FAILED;
  if (*is_idle || result == LUA_ERRMEM)
    lua_xmove(stretch->co, L, 1);
  else {
    (void)take_error(stretch, result);
    if (MTS_HAS_CLOSE)
      (void)lua_closethread(stretch->co, L);
  }
  if (stretch->opening && !*is_idle) {
    stretch->opening->call.callee = L;
    stretch->opening->call.sink = call.sink;
    status = opening_error(stretch->opening, result);
  }
  else
    status = s->is_service
                 ? mts_deep_report(&call)
                 : mts_exchange_report(&call, MTS_ERROR_INVOKING_STATE, L);
  lua_settop(L, top);
  return status;
}

/* Closes one of the coroutines. */
static void close_one(const mts_Stretch *stretch, lua_State *co)
{
  mts_State *s = stretch->state;
  lua_State *L = s->L;
  lua_State *outer = mts_interrupt_switch(s, co);
  (void)L; /* not all versions want it */
  if (lua_closethread(co, L) != LUA_OK && lua_type(co, -1) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(co, -1, &length);
    mts_upcalls.report(s, text, length);
  }
  mts_interrupt_switch(s, outer);
}

void mts_taskcall_close(const mts_Stretch *stretch)
{
  lua_State *closed = NULL;
  while (MTS_HAS_CLOSE && closed != stretch->co) { /* the innermost first */
    lua_State *inner;
    closed = stretch->co;
    while ((inner = mts_coroutine_find_inner(closed)) != NULL)
      closed = inner;
    close_one(stretch, closed);
  }
}
