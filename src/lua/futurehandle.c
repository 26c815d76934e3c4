/*
** futurehandle.c - futures among the values that cross
**
** A message that names a future has a reference to it; so has each object that
** is made of it on the other side.
**
** Takes no locks of its own.
*/
#include "lua/futurehandle.h"

#include "lua/futureobject.h"
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

void mts_futurehandle_register(void)
{
  mts_handle_register(MTS_FUTURE_CLASS, &future_handles);
}
