/*
** promiseobject.c - promises as objects of Lua code
**
** See futureobject.c for what holds while references are given back.  Values
** are encoded before the promise is asked whether it is answered, so that what
** cannot cross leaves it as it is.
**
** A task that waits for the future of a promise can be all that knows that.
** So its coroutine is not kept by the Lua registry, but by the object of the
** promise, in a table that is its user value.  A weak table finds the promise
** for the object of its future.  When the promise is collected, and with it
** perhaps the coroutine, its finalizer is called: the registry keeps the
** coroutine again, and the task goes on, as the future is abandoned.
**
** The finalizers of all else that only the coroutine reaches are called with
** it.  So the promise keeps the coroutine only as long as nobody else can
** answer, and it is not answered.
**
** Takes no locks of its own.
*/
#include "lua/promiseobject.h"

#include "core/interrupt.h"
#include "core/thread.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/futureobject.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "sched/task.h"
#include "sched/worker.h"

/* A key in the Lua registry. */
#define PROMISES_KEY "mtstates.promises"

/* Stack: [-0, +1, v] */
static mts_PromiseObject *check_promise(lua_State *L)
{
  return mts_userdata_check(L, MTS_PROMISE_CLASS);
}

/* Stack: [-0, +0, v] */
static mts_Future *check_live_promise(lua_State *L)
{
  mts_Future *future = check_promise(L)->future;
  if (!future)
    mts_stateobject_raise_finalized(L);
  lua_pop(L, 1);
  return future;
}

/* Pushes the table of promises by objects of futures. */
static void push_promises(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, PROMISES_KEY);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "kv");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, PROMISES_KEY);
  }
}

/*
** Pushes the table of coroutines that the promise at index keeps, or nil.
** Itself is a key there, too: in 5.1 user values can be other tables.
*/
static void push_waiting(lua_State *L, int index)
{
  mts_compat_getuservalue(L, index);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1))
    lua_replace(L, -2);
  else
    lua_pop(L, 1);
}

/* Whether at index is a promise that nobody else can answer. */
static bool is_the_only_one(lua_State *L, int index)
{
  const mts_PromiseObject *promise = lua_touserdata(L, index);
  return promise && promise->future && !mts_promise_is_shared(promise->future);
}

void mts_promiseobject_keep_waiting(lua_State *L)
{
  const int top = lua_gettop(L);
  mts_Task *task = mts_self.task;
  push_promises(L);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  if (is_the_only_one(L, top + 2)) {
    push_waiting(L, top + 2);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_createtable(L, 0, 2);
      lua_pushvalue(L, top + 2);
      lua_pushboolean(L, 1);
      lua_rawset(L, -3);
      lua_pushvalue(L, -1);
      mts_compat_setuservalue(L, top + 2);
    }
    lua_pushthread(task->co);
    if (task->co != L)
      lua_xmove(task->co, L, 1);
    lua_pushinteger(L, task->reference);
    lua_rawset(L, -3);
    mts_task_unkeep(task, L);
  }
  lua_settop(L, top);
}

void mts_promiseobject_release_waiting(lua_State *L, int index)
{
  push_waiting(L, index);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      if (lua_isthread(L, -2)) {
        lua_pushvalue(L, -2);
        mts_task_keep(L, (int)lua_tointeger(L, -2));
      }
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

int mts_promiseobject_promise(lua_State *L)
{
  mts_FutureObject *future = mts_futureobject_push(L);
  mts_PromiseObject *promise = lua_newuserdatauv(L, sizeof(*promise), 1);
  promise->future = NULL;
  luaL_setmetatable(L, MTS_PROMISE_CLASS);
  future->future = promise->future = mts_promise_new();
  if (!promise->future)
    return mts_error_raise_status(L, MTS_NO_MEMORY, "promise");
  push_promises(L);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return 2;
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* Gives back what hold_promise has returned. */
static void release_promise(lua_State *L, mts_Future *future)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  mts_promise_release(future);
  mts_interrupt_switch(host_state, outer);
}

/*
** The promise in the first argument, which is kept, even if __transfer of the
** other arguments finalizes the object; these, the count from the second on,
** are encoded.
*/
static mts_Future *hold_promise(lua_State *L, int count, mts_Message *message)
{
  mts_Misfit misfit;
  mts_Encoding encoding;
  mts_Future *future = check_live_promise(L);
  if (mts_worker_is_forked())
    mts_error_raise_status(L, MTS_FORKED, "promise");
  mts_promise_retain(future);
  encoding = mts_arguments_try(L, 2, count, message, &misfit);
  if (encoding != MTS_ENCODED) {
    release_promise(L, future);
    mts_arguments_raise(L, 2, encoding, &misfit, luaL_argerror);
  }
  return future;
}

/* promise:set(...) */
static int promise_set(lua_State *L)
{
  mts_Message values = {0};
  mts_Future *future = hold_promise(L, lua_gettop(L) - 1, &values);
  const bool is_first = mts_promise_set(future, &values);
  mts_promiseobject_release_waiting(L, 1);
  release_promise(L, future);
  lua_pushboolean(L, is_first);
  return 1;
}

/* promise:fail(err) */
static int promise_fail(lua_State *L)
{
  mts_Message value = {0};
  mts_Buffer text = {0};
  mts_Future *future;
  size_t length;
  const char *string;
  bool is_first;
  check_live_promise(L);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  string = mts_error_push_value(L, 2, &length);
  future = hold_promise(L, 1, &value);
  if (!mts_buffer_append(&text, string, length)) {
    mts_arguments_free(L, &value);
    release_promise(L, future);
    return mts_error_raise_status(L, MTS_NO_MEMORY, "promise");
  }
  is_first = mts_promise_raise(future, &text, &value);
  mts_promiseobject_release_waiting(L, 1);
  release_promise(L, future);
  lua_pushboolean(L, is_first);
  return 1;
}

static const luaL_Reg promise_methods[] = {
    {"set", promise_set}, {"fail", promise_fail}, {NULL, NULL}};

/* ======================================================================= */
/* Metamethods                                                             */
/* ======================================================================= */

static int promise_tostring(lua_State *L)
{
  const mts_PromiseObject *object = check_promise(L);
  lua_pushfstring(L, "%s: %p (%s)", MTS_PROMISE_CLASS, (const void *)object,
                  mts_futureobject_status(object->future));
  return 1;
}

/* Whether both answer the same future; finalized objects answer none. */
static int promise_eq(lua_State *L)
{
  const mts_PromiseObject *a = luaL_testudata(L, 1, MTS_PROMISE_CLASS);
  const mts_PromiseObject *b = luaL_testudata(L, 2, MTS_PROMISE_CLASS);
  if (!a && !b) /* not called by Lua itself */
    luaL_typeerror(L, 1, MTS_PROMISE_CLASS);
  lua_pushboolean(L, a && b && a->future && a->future == b->future);
  return 1;
}

/* Finalizers should not raise: what is no promise is left alone. */
static int promise_gc(lua_State *L)
{
  mts_PromiseObject *object = mts_userdata_to(L);
  if (object && object->future) {
    mts_Future *future = object->future;
    object->future = NULL;
    mts_promiseobject_release_waiting(L, 1);
    release_promise(L, future);
  }
  return 0;
}

static const luaL_Reg promise_metamethods[] = {
    {"__tostring", promise_tostring},
    {"__eq", promise_eq},
    {"__gc", promise_gc},
    {NULL, NULL}};

void mts_promiseobject_open(lua_State *L)
{
  mts_userdata_push_class(L, MTS_PROMISE_CLASS, promise_methods,
                          promise_metamethods);
  lua_pop(L, 1);
}
