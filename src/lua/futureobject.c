/*
** futureobject.c - futures as objects of Lua code
**
** An object has a reference to a future.  Code that runs while a method reads
** the answer can finalize the object, so the method has a reference of its
** own.  As in stateobject.c, nothing is held when an error is raised, and the
** host state knows what runs there whenever a reference is given back: with it
** the states that an answer names can be closed.
**
** Takes no locks of its own.
*/
#include "lua/futureobject.h"

#include <assert.h>

#include "core/deep.h"
#include "core/failure.h"
#include "core/interrupt.h"
#include "error.h"
#include "lua/numbers.h"
#include "lua/promiseobject.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "luaapi/yield.h"
#include "sched/request.h"
#include "sched/worker.h"

mts_FutureObject *mts_futureobject_push(lua_State *L)
{
  mts_FutureObject *object;
  mts_gcpressure_tell_object(&mts_userdata_context(L)->pressure, L);
  object = lua_newuserdatauv(L, sizeof(*object), 0);
  object->future = NULL;
  luaL_setmetatable(L, MTS_FUTURE_CLASS);
  return object;
}

/* ======================================================================= */
/* Answers                                                                 */
/* ======================================================================= */

/*
** Pushes what the future was answered with.  Returns MTS_OK; MTS_RAISED with
** the error on top of the stack; MTS_NO_MEMORY.
*/
static mts_Status push_answered(lua_State *L, mts_Future *future)
{
  mts_Failure failure;
  mts_Status status = future->status;
  if (status == MTS_RAISED) {
    mts_failure_push_copy(L, mts_request_text(future),
                          future->has_value ? &future->values : NULL);
    return MTS_RAISED;
  }
  mts_failure_open(&failure);
  if (status == MTS_OK)
    status = mts_deep_push_copies(L, &future->values, future->state, &failure);
  if (status != MTS_OK && status != MTS_RAISED)
    status = mts_error_compose_status(&failure.text, status, future->state);
  if (status == MTS_RAISED)
    mts_failure_push(L, &failure);
  return status;
}

void mts_futureobject_release(lua_State *L, mts_Future *future)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
}

/* The same as push_answered; gives the reference to the future back. */
static mts_Status take_answered(lua_State *L, mts_Future *future)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L); /* for __receive */
  const mts_Status status = push_answered(L, mts_future_read(future));
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
  return status;
}

int mts_futureobject_push_answer(lua_State *L, mts_Future *future)
{
  const int top = lua_gettop(L);
  const mts_Status status = take_answered(L, future);
  if (status == MTS_RAISED)
    return lua_error(L);
  if (status != MTS_OK)
    return mts_error_raise_status(L, status, "await");
  return lua_gettop(L) - top;
}

bool mts_futureobject_push_outcome(lua_State *L, mts_Future *future)
{
  const mts_Status status = take_answered(L, future);
  if (status != MTS_OK && status != MTS_RAISED)
    mts_failure_push_no_memory(L);
  return status == MTS_OK;
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* Stack: [-0, +1, v] */
static mts_FutureObject *check_future(lua_State *L)
{
  return mts_userdata_check(L, MTS_FUTURE_CLASS);
}

/* Stack: [-0, +0, v] */
static mts_Future *check_live_future(lua_State *L)
{
  mts_Future *future = check_future(L)->future;
  if (!future)
    mts_stateobject_raise_finalized(L);
  lua_pop(L, 1);
  return future;
}

/* How the answer is waited for: mts_Pending.method. */
typedef enum Await { AWAIT, TAWAIT } Await;

/* The wait is over: gives back its future, and returns the answer. */
static int finish_await(lua_State *L, mts_Pending *pending, mts_Status status)
{
  const bool is_timed = pending->method == TAWAIT;
  char description[MTS_DESCRIPTION_SIZE];
  assert(pending->future);
  if (status == MTS_OK) {
    if (is_timed)
      lua_pushboolean(L, true);
    return is_timed + mts_futureobject_push_answer(L, pending->future);
  }
  mts_state_describe(pending->future->state, description);
  mts_futureobject_release(L, pending->future);
  if (status != MTS_BUSY)
    return mts_waiting_raise(L, status, description);
  lua_pushboolean(L, false);
  return 1;
}

/* A reference to the future of the first argument. */
static mts_Future *keep_future(lua_State *L)
{
  mts_Future *future = check_live_future(L);
  mts_future_retain(future);
  return future;
}

/* Takes the reference to the future. */
static int await_future(lua_State *L, mts_Future *future, mts_Waiting *waiting,
                        Await method, bool may_suspend)
{
  mts_Pending pending = {.finish = finish_await,
                         .deadline = waiting->patience.deadline,
                         .future = future,
                         .method = (char)method};
  mts_Status status = MTS_OK;
  if (!mts_future_is_answered(future)) {
    if (may_suspend && pending.deadline > 0 &&
        mts_waiting_can_suspend(waiting))
      return mts_waiting_suspend(L, &pending, 0);
    do {
      status = mts_future_wait(future, &waiting->patience);
    } while (mts_waiting_goes_on(waiting, status));
  }
  return finish_await(L, &pending, status);
}

int mts_futureobject_await(lua_State *L, mts_Future *future, bool has_success)
{
  mts_Waiting waiting;
  mts_waiting_open(L, &waiting, MTS_FOREVER);
  return await_future(L, future, &waiting, has_success ? TAWAIT : AWAIT,
                      MTS_YIELDS_GO_ON); /* calls are not wrapped */
}

/* future:await() */
static int future_await(lua_State *L)
{
  mts_Waiting waiting;
  check_future(L);
  mts_waiting_open(L, &waiting, MTS_FOREVER);
  lua_pop(L, 1);
  if (!mts_future_is_answered(check_live_future(L)) &&
      mts_waiting_can_suspend(&waiting))
    mts_promiseobject_keep_waiting(L);
  return await_future(L, keep_future(L), &waiting, AWAIT, true);
}

/* future:tawait(timeout) */
static int future_tawait(lua_State *L)
{
  mts_Waiting waiting;
  lua_Number timeout;
  check_live_future(L);
  timeout = mts_numbers_check_seconds(L, 2);
  mts_waiting_open(L, &waiting, mts_numbers_deadline(timeout));
  return await_future(L, keep_future(L), &waiting, TAWAIT, true);
}

/* Returns: false if it was answered. */
static bool cancel_future(lua_State *L, mts_Future *future)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  bool is_cancelled;
  mts_future_retain(future);
  is_cancelled = mts_future_cancel(future);
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
  return is_cancelled;
}

/* future:cancel() */
static int future_cancel(lua_State *L)
{
  mts_Future *future = check_live_future(L);
  if (mts_worker_is_forked())
    return mts_error_raise_status(L, MTS_FORKED, "cancel");
  lua_pushboolean(L, cancel_future(L, future));
  return 1;
}

/* future:ready() */
static int future_ready(lua_State *L)
{
  lua_pushboolean(L, mts_future_is_answered(check_live_future(L)));
  return 1;
}

static const luaL_Reg future_methods[] = {{"await", future_await},
                                          {"tawait", future_tawait},
                                          {"ready", future_ready},
                                          {"cancel", future_cancel},
                                          {NULL, NULL}};

/* ======================================================================= */
/* Metamethods                                                             */
/* ======================================================================= */

const char *mts_futureobject_status(const mts_Future *future)
{
  if (!future)
    return "finalized";
  return mts_future_is_answered(future) ? "answered" : "not answered";
}

static int future_tostring(lua_State *L)
{
  const mts_FutureObject *object = check_future(L);
  lua_pushfstring(L, "%s: %p (%s)", MTS_FUTURE_CLASS, (const void *)object,
                  mts_futureobject_status(object->future));
  return 1;
}

/* Whether both refer to the same future; finalized objects refer to none. */
static int future_eq(lua_State *L)
{
  const mts_FutureObject *a = luaL_testudata(L, 1, MTS_FUTURE_CLASS);
  const mts_FutureObject *b = luaL_testudata(L, 2, MTS_FUTURE_CLASS);
  if (!a && !b) /* not called by Lua itself */
    luaL_typeerror(L, 1, MTS_FUTURE_CLASS);
  lua_pushboolean(L, a && b && a->future && a->future == b->future);
  return 1;
}

/* Finalizers should not raise: what is no future is left alone. */
static int future_gc(lua_State *L)
{
  mts_FutureObject *object = mts_userdata_to(L);
  if (object && object->future) {
    mts_Future *future = object->future;
    object->future = NULL;
    mts_futureobject_release(L, future);
  }
  return 0;
}

/* The end of the scope of a to-be-closed variable. */
static int future_end_of_scope(lua_State *L)
{
  mts_Future *future = check_future(L)->future;
  if (future)
    (void)cancel_future(L, future);
  return 0;
}

static const luaL_Reg future_metamethods[] = {{"__tostring", future_tostring},
                                              {"__eq", future_eq},
                                              {"__gc", future_gc},
                                              {"__close", future_end_of_scope},
                                              {NULL, NULL}};

void mts_futureobject_open(lua_State *L)
{
  static const char *const waiting[] = {"await", "tawait", NULL};
  mts_userdata_push_class(L, MTS_FUTURE_CLASS, future_methods,
                          future_metamethods);
  lua_getfield(L, -1, "__index");
  mts_waiting_wrap(L, waiting);
  lua_pop(L, 2);
}
