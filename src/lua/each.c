/*
** each.c - loops over futures in the order in which they are answered
**
** The object of a loop has its futures (sched/arrivals.c), and keeps their
** objects in a table, so that the loop gives the same ones.  When it is closed
** or collected, or the loop was given all futures, no future knows of it any
** more.
**
** The iterator can be shared by coroutines.  Each future goes to one of them:
** what one has found, and not taken as it was interrupted, the next one gets.
**
** Takes no locks of its own.
*/
#include "lua/each.h"

#include "core/interrupt.h"
#include "error.h"
#include "lua/futureobject.h"
#include "lua/loop.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "sched/arrivals.h"

#define EACH_CLASS "mtstates.each"

static const char each_code[] =
    "local methods = ... "
    "local lacks, wait, take = methods.lacks, methods.wait, methods.take "
    "return function(object) "
    "return function() "
    "while lacks(object) do wait(object) end "
    "return take(object) "
    "end end";

typedef struct EachLoop {
  mts_Arrivals *arrivals; /* NULL: not yet, or the loop has ended */
  mts_Future *next;       /* that is to be taken, or NULL */
  size_t number;          /* of that one */
  mts_Future *bell;       /* to be waited for, or NULL */
} EachLoop;

/* Gives a reference back, if there is one. */
static void drop(lua_State *L, mts_Future **future)
{
  mts_Future *dropped = *future;
  *future = NULL;
  if (dropped)
    mts_futureobject_release(L, dropped);
}

static void end_each(lua_State *L, EachLoop *loop)
{
  mts_Arrivals *arrivals = loop->arrivals;
  loop->arrivals = NULL;
  drop(L, &loop->next);
  drop(L, &loop->bell);
  if (arrivals) {
    mts_State *host_state = mts_userdata_state(L);
    lua_State *outer = mts_interrupt_switch(host_state, L);
    mts_arrivals_end(arrivals);
    mts_interrupt_switch(host_state, outer);
  }
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* Stack: [-0, +0, v] */
static EachLoop *check_each(lua_State *L)
{
  EachLoop *loop = mts_userdata_check(L, EACH_CLASS);
  lua_settop(L, 1);
  return loop;
}

/* Whether there may be a future, but not now. */
static int each_lacks(lua_State *L)
{
  EachLoop *loop = check_each(L);
  mts_Future *future = NULL;
  mts_Status status = MTS_OK;
  if (loop->arrivals && !loop->next) {
    status = mts_arrivals_take(loop->arrivals, &loop->number, &future);
    if (status == MTS_BUSY) {
      drop(L, &loop->bell);
      loop->bell = future;
    }
    else if (status != MTS_OK)
      return mts_error_raise_status(L, status, "each");
    else if (future)
      loop->next = future;
    else
      end_each(L, loop);
  }
  lua_pushboolean(L, status == MTS_BUSY);
  return 1;
}

static int finish_bell(lua_State *L, mts_Pending *pending, mts_Status status)
{
  mts_futureobject_release(L, pending->future);
  return status == MTS_OK ? 0 : mts_waiting_raise(L, status, "each");
}

/* Waits until it is to be looked again. */
static int each_wait(lua_State *L)
{
  EachLoop *loop = check_each(L);
  mts_Pending pending = {.finish = finish_bell, .deadline = MTS_FOREVER};
  mts_Waiting waiting;
  mts_Status status;
  mts_waiting_open(L, &waiting, MTS_FOREVER);
  if (!loop->bell)
    return 0;
  pending.future = loop->bell;
  loop->bell = NULL;
  if (mts_waiting_can_suspend(&waiting))
    return mts_waiting_suspend(L, &pending, 0);
  do {
    status = mts_future_wait(pending.future, &waiting.patience);
  } while (mts_waiting_goes_on(&waiting, status));
  return finish_bell(L, &pending, status);
}

/* Gives the object of the next future and its answer, or nil at the end. */
static int each_take(lua_State *L)
{
  EachLoop *loop = check_each(L);
  mts_Future *future = loop->next;
  bool is_ok;
  if (!future) {
    lua_pushnil(L);
    return 1;
  }
  mts_compat_getuservalue(L, 1);
  lua_rawgeti(L, 2, (int)loop->number + 1);
  lua_pushnil(L);
  lua_rawseti(L, 2, (int)loop->number + 1);
  lua_pushnil(L); /* the place of the boolean */
  loop->next = NULL;
  is_ok = mts_futureobject_push_outcome(L, future);
  lua_pushboolean(L, is_ok);
  lua_replace(L, 4);
  return lua_gettop(L) - 2;
}

/* Also the end of the scope of the closing value. */
static int each_end(lua_State *L)
{
  EachLoop *loop = mts_userdata_to(L);
  if (loop) /* finalizers should not raise */
    end_each(L, loop);
  return 0;
}

static const luaL_Reg each_methods[] = {{"lacks", each_lacks},
                                        {"wait", each_wait},
                                        {"take", each_take},
                                        {NULL, NULL}};

static const luaL_Reg each_metamethods[] = {
    {"__gc", each_end}, {"__close", each_end}, {NULL, NULL}};

void mts_each_open(lua_State *L)
{
  mts_loop_open(L, EACH_CLASS, each_methods, each_metamethods);
}

/* ======================================================================= */
/* Begin                                                                   */
/* ======================================================================= */

/* Stack: [-0, +1, v] */
static EachLoop *push_each(lua_State *L, size_t count)
{
  EachLoop *loop = lua_newuserdatauv(L, sizeof(*loop), 1);
  *loop = (EachLoop){NULL, NULL, 0, NULL};
  luaL_setmetatable(L, EACH_CLASS);
  lua_createtable(L, (int)count, 0);
  mts_compat_setuservalue(L, -2);
  loop->arrivals = mts_arrivals_new(count);
  if (!loop->arrivals)
    mts_error_raise_status(L, MTS_NO_MEMORY, "each");
  return loop;
}

/* On top of the stack is no future. */
static void raise_no_future(lua_State *L, int argument, int index)
{
  if (index == 0)
    luaL_typeerror(L, argument, MTS_FUTURE_CLASS);
  lua_pushfstring(L, "index %d: %s expected, got %s", index, MTS_FUTURE_CLASS,
                  luaL_typename(L, -1));
  luaL_argerror(L, argument, lua_tostring(L, -1));
}

/* The future on top of the stack; index: in the list, or 0. */
static mts_Future *check_element(lua_State *L, int argument, int index)
{
  const mts_FutureObject *object = luaL_testudata(L, -1, MTS_FUTURE_CLASS);
  if (!object) {
    raise_no_future(L, argument, index);
    return NULL;
  }
  if (!object->future)
    mts_stateobject_raise_finalized(L);
  return object->future;
}

/*
** Has the loop, whose object is on top of the stack, take the count futures in
** the list that is the first argument, or that are the arguments.
*/
static void take_futures(lua_State *L, const EachLoop *loop, bool is_list,
                         int count)
{
  const int object = lua_gettop(L);
  int i;
  mts_compat_getuservalue(L, object);
  for (i = 1; i <= count; i++) {
    if (is_list)
      lua_rawgeti(L, 1, i);
    else
      lua_pushvalue(L, i);
    mts_arrivals_set(loop->arrivals, (size_t)i - 1,
                     check_element(L, is_list ? 1 : i, is_list ? i : 0));
    lua_rawseti(L, object + 1, i);
  }
  lua_pop(L, 1);
}

int mts_each_each(lua_State *L)
{
  const bool is_list = lua_istable(L, 1);
  const int top = lua_gettop(L);
  const int count = is_list ? (int)lua_rawlen(L, 1) : top;
  EachLoop *loop;
  luaL_argcheck(L, !is_list || top == 1, 2, "a list is the only argument");
  loop = push_each(L, (size_t)count);
  take_futures(L, loop, is_list, count);
  mts_arrivals_begin(loop->arrivals);
  return mts_loop_return(L, EACH_CLASS, each_code, 0);
}
