/*
** futurehandle.c - futures and promises among the values that cross
**
** A message that names a future has a reference to it; so has each object that
** is made of it on the other side.  One that names a promise can answer it, as
** far as that is counted.
**
** Takes no locks of its own.
*/
#include "lua/futurehandle.h"

#include "lua/futureobject.h"
#include "lua/promiseobject.h"
#include "lua/statehandle.h"
#include "value/classes.h"
#include "value/handle.h"

static void *find_future(const void *block)
{
  const mts_FutureObject *object = block;
  return object->future;
}

static bool hold_future(void *object)
{
  mts_future_retain(object);
  return true;
}

static void unhold_future(void *object, bool is_kept_open)
{
  (void)is_kept_open;
  mts_future_release(object);
}

static void push_future(lua_State *L, void *object)
{
  mts_FutureObject *future;
  mts_statehandle_push_class(L, MTS_FUTURE_CLASS);
  future = lua_newuserdatauv(L, sizeof(*future), 0);
  future->future = NULL; /* its finalizer can run before it has one */
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  mts_future_retain(object);
  future->future = object;
}

static const mts_HandleClass future_handles = {.find = find_future,
                                               .hold = hold_future,
                                               .unhold = unhold_future,
                                               .push = push_future};

static void *find_promised(const void *block)
{
  const mts_PromiseObject *object = block;
  return object->future;
}

static bool hold_promised(void *object)
{
  mts_promise_retain(object);
  return true;
}

static void unhold_promised(void *object, bool is_kept_open)
{
  (void)is_kept_open;
  mts_promise_release(object);
}

static void share_promise(lua_State *L)
{
  mts_promiseobject_release_waiting(L, lua_gettop(L));
}

static void push_promise(lua_State *L, void *object)
{
  mts_PromiseObject *promise;
  mts_statehandle_push_class(L, MTS_PROMISE_CLASS);
  promise = lua_newuserdatauv(L, sizeof(*promise), 0);
  promise->future = NULL;
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  mts_promise_retain(object);
  promise->future = object;
}

static const mts_HandleClass promise_handles = {.find = find_promised,
                                                .hold = hold_promised,
                                                .unhold = unhold_promised,
                                                .share = share_promise,
                                                .push = push_promise};

void mts_futurehandle_register(void)
{
  mts_handle_register(MTS_FUTURE_CLASS, &future_handles);
  mts_handle_register(MTS_PROMISE_CLASS, &promise_handles);
}
