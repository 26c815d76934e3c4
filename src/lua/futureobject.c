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

#include "core/deep.h"
#include "core/interrupt.h"
#include "error.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"

mts_FutureObject *mts_futureobject_push(lua_State *L)
{
  mts_FutureObject *object = lua_newuserdatauv(L, sizeof(*object), 0);
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
static mts_Status push_answered(lua_State *L, const mts_Future *future)
{
  mts_Failure failure;
  mts_Status status = future->status;
  if (status == MTS_RAISED) {
    mts_failure_push_copy(L, &future->text,
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
  mts_State *host_state = mts_userdata_context(L)->host_state;
  lua_State *outer = mts_interrupt_switch(host_state, L);
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
}

int mts_futureobject_push_answer(lua_State *L, mts_Future *future)
{
  const int top = lua_gettop(L);
  mts_State *host_state = mts_userdata_context(L)->host_state;
  lua_State *outer = mts_interrupt_switch(host_state, L); /* for __receive */
  mts_Status status = push_answered(L, future);
  mts_future_note_read(future);
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
  if (status == MTS_RAISED)
    return lua_error(L);
  if (status != MTS_OK)
    return mts_error_raise_status(L, status, "await");
  return lua_gettop(L) - top;
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

/*
** Waits for the answer until the deadline and pushes it.  Returns how many
** results there are, or -1 if it is not there in time.
*/
static int await_future(lua_State *L, mts_Future *future, double deadline)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_Status status;
  mts_future_retain(future);
  status = mts_future_wait(future, deadline);
  if (status == MTS_OK)
    return mts_futureobject_push_answer(L, future);
  mts_state_describe(future->state, description);
  mts_futureobject_release(L, future);
  if (status != MTS_BUSY)
    mts_error_raise_status(L, status, description);
  return -1;
}

/* future:await() */
static int future_await(lua_State *L)
{
  return await_future(L, check_live_future(L), MTS_FOREVER);
}

/* future:tawait(timeout) */
static int future_tawait(lua_State *L)
{
  mts_Future *future = check_live_future(L);
  const lua_Number timeout = mts_numbers_check_seconds(L, 2);
  int results;
  lua_pushboolean(L, true);
  results = await_future(L, future, mts_numbers_deadline(timeout));
  if (results < 0)
    lua_pushboolean(L, false);
  return results < 0 ? 1 : results + 1;
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
                                          {NULL, NULL}};

/* ======================================================================= */
/* Metamethods                                                             */
/* ======================================================================= */

static int future_tostring(lua_State *L)
{
  const mts_FutureObject *object = check_future(L);
  const char *text = "finalized";
  if (object->future)
    text =
        mts_future_is_answered(object->future) ? "answered" : "not answered";
  lua_pushfstring(L, "%s: %p (%s)", MTS_FUTURE_CLASS, (const void *)object,
                  text);
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

/*
** The end of the scope of a to-be-closed variable: what has not begun never
** begins.
*/
static int future_end_of_scope(lua_State *L)
{
  mts_Future *future = check_future(L)->future;
  if (future && !mts_future_is_answered(future)) {
    mts_State *host_state = mts_userdata_context(L)->host_state;
    lua_State *outer = mts_interrupt_switch(host_state, L);
    if (mts_future_withdraw(future))
      mts_future_fail(future, MTS_CANCELLED);
    mts_interrupt_switch(host_state, outer);
  }
  return 0;
}

static const luaL_Reg future_metamethods[] = {{"__tostring", future_tostring},
                                              {"__eq", future_eq},
                                              {"__gc", future_gc},
                                              {"__close", future_end_of_scope},
                                              {NULL, NULL}};

void mts_futureobject_open(lua_State *L)
{
  mts_userdata_push_class(L, MTS_FUTURE_CLASS, future_methods,
                          future_metamethods);
  lua_pop(L, 1);
}
