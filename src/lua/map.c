/*
** map.c - loops over the results of a state for many items
**
** The iterator of such a loop asks the state as state:async does, some items
** ahead, and gives the answers in the order of the items.  What has been asked
** is in a ring of the object of the loop: the futures, and in a table the
** items.
**
** Each turn asks for one item more, in the place of the one that it gives, and
** for others only while it would have to wait.  So workers have something to
** do while the body of the loop runs, and an iterator of the user that is slow
** does not keep back what is there.
**
** When the loop is left, or its object collected, what has not begun never
** begins; what has goes on unheard.
**
** Takes no locks of its own.
*/
#include "lua/map.h"

#include "core/interrupt.h"
#include "lua/futureobject.h"
#include "lua/loop.h"
#include "lua/stateobject.h"
#include "lua/staterequest.h"
#include "lua/userdata.h"
#include "lua/waiting.h"

#define MAP_CLASS "mtstates.map"

/* Items that are asked for and not given, at most. */
#define MOST 128

/* Where the closing value of the user's iterator is in the table of items. */
#define CLOSING (MOST + 1)

static const char map_code[] =
    "local methods = ... "
    "local wants, keep, lacks, wait, take = methods.wants, methods.keep, "
    "methods.lacks, methods.wait, methods.take "
    "return function(object, ask, is_list, state, name, iterator, invariant, "
    "control) "
    "if is_list then "
    "local list, i = iterator, 0 "
    "iterator = function() i = i + 1 return list[i] end "
    "end "
    "local count = 0 "
    "local function add(item, ...) "
    "control = item "
    "local future "
    "if item ~= nil then "
    "count = count + 1 "
    "if name then future = ask(state, 2, count, name, item, ...) "
    "else future = ask(state, 1, count, item, ...) end "
    "end "
    "keep(object, item, future) "
    "end "
    "return function() "
    "while wants(object) do add(iterator(invariant, control)) end "
    "while lacks(object) do wait(object) end "
    "return take(object) "
    "end end";

typedef struct MapLoop {
  bool has_all;   /* there are no further items, or the loop was left */
  bool has_kept;  /* an item, since one was given */
  unsigned first; /* in the ring */
  unsigned count; /* there */
  mts_Future *futures[MOST];
} MapLoop;

static mts_Future *head_of(const MapLoop *loop)
{
  return loop->count > 0 ? loop->futures[loop->first] : NULL;
}

/* Takes the first future, and its reference, out of the ring. */
static mts_Future *remove_head(MapLoop *loop)
{
  mts_Future *future = loop->futures[loop->first];
  loop->first = (loop->first + 1) % MOST;
  loop->count--;
  return future;
}

static void end_map(lua_State *L, MapLoop *loop)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  loop->has_all = true;
  while (loop->count > 0) {
    mts_Future *future = remove_head(loop);
    if (!mts_future_is_answered(future) && mts_future_withdraw(future))
      mts_future_release(future); /* for the request */
    mts_future_release(future);
  }
  mts_interrupt_switch(host_state, outer);
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* Stack: [-1, +0, v], the metatable of mts_userdata_check included. */
static MapLoop *check_map(lua_State *L)
{
  MapLoop *loop = mts_userdata_check(L, MAP_CLASS);
  lua_pop(L, 1);
  return loop;
}

/* Whether a further item is to be asked for now. */
static int map_wants(lua_State *L)
{
  const MapLoop *loop = check_map(L);
  const mts_Future *head = head_of(loop);
  lua_pushboolean(
      L, !loop->has_all && loop->count < MOST &&
             (!loop->has_kept || !head || !mts_future_is_answered(head)));
  return 1;
}

/* Keeps an item and the future for it; nil: there are no further items. */
static int map_keep(lua_State *L)
{
  MapLoop *loop = check_map(L);
  const unsigned place = (loop->first + loop->count) % MOST;
  const mts_FutureObject *object;
  if (lua_isnil(L, 2)) {
    loop->has_all = true;
    return 0;
  }
  object = luaL_checkudata(L, 3, MTS_FUTURE_CLASS);
  if (loop->has_all || !object->future)
    return 0; /* the loop was left meanwhile, by another coroutine */
  if (loop->count == MOST)
    return luaL_error(L, "too many coroutines ask for items at once");
  mts_compat_getuservalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (int)place + 1);
  mts_future_retain(object->future);
  loop->futures[place] = object->future;
  loop->count++;
  loop->has_kept = true;
  return 0;
}

/* Whether the next item has to be waited for. */
static int map_lacks(lua_State *L)
{
  const mts_Future *head = head_of(check_map(L));
  lua_pushboolean(L, head && !mts_future_is_answered(head));
  return 1;
}

static int finish_head(lua_State *L, mts_Pending *pending, mts_Status status)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(pending->future->state, description);
  mts_futureobject_release(L, pending->future);
  return status == MTS_OK ? 0 : mts_waiting_raise(L, status, description);
}

/* Waits for the answer for the next item. */
static int map_wait(lua_State *L)
{
  const MapLoop *loop = check_map(L);
  mts_Pending pending = {.finish = finish_head, .deadline = MTS_FOREVER};
  mts_Waiting waiting;
  mts_Status status;
  mts_waiting_open(L, &waiting, MTS_FOREVER);
  pending.future = head_of(loop);
  if (!pending.future)
    return 0;
  mts_future_retain(pending.future);
  if (mts_waiting_can_suspend(&waiting))
    return mts_waiting_suspend(L, &pending, 0);
  do {
    status = mts_future_wait(pending.future, &waiting.patience);
  } while (mts_waiting_goes_on(&waiting, status));
  return finish_head(L, &pending, status);
}

/* Gives the next item and its results, or raises its error; nil at the end. */
static int map_take(lua_State *L)
{
  MapLoop *loop = check_map(L);
  const mts_Future *head = head_of(loop);
  const int place = (int)loop->first + 1;
  if (!head || !mts_future_is_answered(head)) {
    lua_pushnil(L);
    return 1;
  }
  loop->has_kept = false;
  lua_settop(L, 1);
  mts_compat_getuservalue(L, 1);
  lua_rawgeti(L, 2, place);
  lua_pushnil(L);
  lua_rawseti(L, 2, place);
  return 1 + mts_futureobject_push_answer(L, remove_head(loop));
}

/* Finalizers should not raise: what is no loop is left alone. */
static int map_collect(lua_State *L)
{
  MapLoop *loop = mts_userdata_to(L);
  if (loop)
    end_map(L, loop);
  return 0;
}

/*
** The end of the scope of the closing value, with the error: that of the
** user's iterator is closed, too.
*/
static int map_close(lua_State *L)
{
  MapLoop *loop = check_map(L);
  lua_settop(L, 2);
  end_map(L, loop);
  mts_compat_getuservalue(L, 1);
  lua_rawgeti(L, 3, CLOSING);
  lua_pushnil(L);
  lua_rawseti(L, 3, CLOSING);
  if (!luaL_getmetafield(L, 4, "__close"))
    return 0;
  lua_insert(L, 4);
  lua_pushvalue(L, 2);
  (void)mts_compat_lastcall(L, 2);
  return 0;
}

static const luaL_Reg map_methods[] = {
    {"wants", map_wants}, {"keep", map_keep}, {"lacks", map_lacks},
    {"wait", map_wait},   {"take", map_take}, {NULL, NULL}};

static const luaL_Reg map_metamethods[] = {
    {"__gc", map_collect}, {"__close", map_close}, {NULL, NULL}};

void mts_map_open(lua_State *L)
{
  mts_loop_open(L, MAP_CLASS, map_methods, map_metamethods);
}

/* ======================================================================= */
/* Begin                                                                   */
/* ======================================================================= */

/*
** Argument number index has to be something that can be called, or else a
** list.  Returns whether it is a list.
*/
static bool check_items(lua_State *L, int index)
{
  if (lua_isfunction(L, index))
    return false;
  if (luaL_getmetafield(L, index, "__call")) {
    lua_pop(L, 1);
    return false;
  }
  if (!lua_istable(L, index))
    luaL_typeerror(L, index, "table or function");
  return true;
}

/* Pushes the object of a loop; the value at index is to be closed with it. */
static void push_map(lua_State *L, int closing)
{
  MapLoop *loop = lua_newuserdatauv(L, sizeof(*loop), 1);
  loop->has_all = loop->has_kept = false;
  loop->first = loop->count = 0;
  luaL_setmetatable(L, MAP_CLASS);
  lua_newtable(L);
  lua_pushvalue(L, closing);
  lua_rawseti(L, -2, CLOSING);
  mts_compat_setuservalue(L, -2);
}

int mts_map_map(lua_State *L)
{
  int items = 2, i;
  bool is_list;
  mts_stateobject_check_live(L);
  lua_pop(L, 1);
  if (lua_type(L, 2) == LUA_TSTRING)
    items = 3;
  is_list = check_items(L, items);
  lua_settop(L, items + 3);
  push_map(L, items + 3);
  lua_getfield(L, MTS_METATABLE, "ask");
  lua_pushboolean(L, is_list);
  lua_pushvalue(L, 1);
  if (items == 3)
    lua_pushvalue(L, 2);
  else
    lua_pushnil(L);
  for (i = items; i < items + 3; i++)
    lua_pushvalue(L, i);
  return mts_loop_return(L, MAP_CLASS, map_code, 7);
}

/* ======================================================================= */
/* Ask                                                                     */
/* ======================================================================= */

/* The argument error of mts_map_ask: one of state:map, where the loop is. */
static int raise_item(lua_State *L, int index, const char *text)
{
  const int argument = (int)lua_tointeger(L, 2);
  const int item = (int)lua_tointeger(L, 3);
  const int value = index - argument - 2; /* there is a name if it is 2 */
  mts_loop_push_position(L);
  if (value == 1)
    lua_pushfstring(L, "bad argument #%d to 'map' (item %d: %s)", argument,
                    item, text);
  else
    lua_pushfstring(L, "bad argument #%d to 'map' (item %d, value %d: %s)",
                    argument, item, value, text);
  lua_concat(L, 2);
  return lua_error(L);
}

int mts_map_ask(lua_State *L)
{
  return mts_staterequest_ask(L, 4, raise_item);
}
