/*
** lookup.c - finds states by id or name
**
** A state that is not there can be waited for.  What a suspended task looks
** for is a copy, as in Lua 5.1 its name would not stay on the stack.
**
** Takes no locks of its own.
*/
#include "lua/lookup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "error.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/waiting.h"
#include "luaapi/yield.h"
#include "util.h"

/* The id in the first argument, which is a number. */
static lua_Integer check_id(lua_State *L)
{
  lua_Number n;
  if (lua_isinteger(L, 1))
    return lua_tointeger(L, 1);
  n = lua_tonumber(L, 1);
  luaL_argcheck(L, n == floor(n) && !isinf(n), 1,
                "number has no integer representation");
  luaL_argcheck(L, fabs(n) < (double)(1LL << MTS_EXACT_BITS), 1,
                "number is too large for an id");
  return (lua_Integer)n;
}

/* Fills in what the first argument says.  Stack: [-0, +0, v] */
static void check_search(lua_State *L, mts_Search *search)
{
  const int type = lua_type(L, 1);
  search->name = NULL;
  search->length = 0;
  search->wait = NULL;
  if (type == LUA_TSTRING) {
    search->name = lua_tolstring(L, 1, &search->length);
    search->hash = mts_util_hash(search->name, search->length);
  }
  else if (type == LUA_TNUMBER)
    search->id = check_id(L);
  else
    luaL_typeerror(L, 1, "integer or string");
}

static int raise_about_search(lua_State *L, mts_Status status,
                              const mts_Search *search)
{
  char what[MTS_QUOTED_SIZE + 5] = "name ";
  if (search->name)
    mts_util_quote(what + 5, search->name, search->length);
  else
    snprintf(what, sizeof(what), "id %lld", (long long)search->id);
  return mts_waiting_raise(L, status, what);
}

static int finish_search(lua_State *L, mts_Pending *pending,
                         mts_Status status);

/* A copy of the search that does not need the Lua stack, or NULL. */
static mts_Search *copy_search(const mts_Search *search)
{
  mts_Search *copy = malloc(sizeof(*copy) + search->length);
  if (copy) {
    *copy = *search;
    if (search->name)
      copy->name = memcpy(copy + 1, search->name, search->length);
  }
  return copy;
}

/*
** Waits for what was not found, which is the first argument.
** may_suspend: not if that would be the second time, and Lua cannot do that.
*/
static int await_state(lua_State *L, mts_Search *search, mts_Waiting *waiting,
                       bool may_suspend)
{
  mts_StateObject *object;
  mts_Status status;
  if (may_suspend && mts_waiting_can_suspend(waiting)) {
    const mts_Pending pending = {.finish = finish_search,
                                 .deadline = waiting->patience.deadline,
                                 .search = copy_search(search)};
    lua_pushvalue(L, 1);
    if (pending.search)
      return mts_waiting_suspend(L, &pending, 1);
    return raise_about_search(L, MTS_NO_MEMORY, search);
  }
  object = mts_stateobject_push(L);
  do {
    status = mts_registry_await(search, &waiting->patience, &object->state);
  } while (mts_waiting_goes_on(waiting, status));
  return status == MTS_OK ? 1 : raise_about_search(L, status, search);
}

/* Returns: the state, or 0: it is unknown.  Raises what else there is. */
static int find_now(lua_State *L, const mts_Search *search)
{
  mts_StateObject *object = mts_stateobject_push(L);
  const mts_Status status = mts_registry_find(search, &object->state);
  if (status == MTS_OK)
    return 1;
  if (status != MTS_UNKNOWN)
    return raise_about_search(L, status, search);
  lua_pop(L, 1);
  return 0;
}

/* The wait is over; what was looked for is on top of the stack. */
static int finish_search(lua_State *L, mts_Pending *pending, mts_Status status)
{
  const double deadline = pending->deadline;
  mts_Waiting waiting;
  mts_Search search;
  free(pending->search);
  lua_insert(L, 1);
  lua_settop(L, 1);
  check_search(L, &search);
  if (status != MTS_OK)
    return raise_about_search(L, status == MTS_BUSY ? MTS_UNKNOWN : status,
                              &search);
  if (find_now(L, &search))
    return 1;
  mts_waiting_open(L, &waiting, deadline);
  return await_state(L, &search, &waiting, MTS_YIELDS_GO_ON);
}

int mts_lookup_state(lua_State *L)
{
  mts_Search search;
  mts_Waiting waiting;
  double deadline = 0;
  check_search(L, &search);
  if (!lua_isnoneornil(L, 2))
    deadline = mts_numbers_deadline(mts_numbers_check_seconds(L, 2));
  if (find_now(L, &search))
    return 1;
  if (deadline <= 0)
    return raise_about_search(L, MTS_UNKNOWN, &search);
  mts_waiting_open(L, &waiting, deadline);
  return await_state(L, &search, &waiting, true);
}
