/*
** module.c - the functions of the module
**
** Those that make states are in creation.c, those about workers in
** modulework.c.  As in stateobject.c, nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/module.h"

#include <math.h>
#include <stdio.h>

#include "core/registry.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/creation.h"
#include "lua/each.h"
#include "lua/forkwork.h"
#include "lua/futurehandle.h"
#include "lua/futureobject.h"
#include "lua/here.h"
#include "lua/map.h"
#include "lua/modulework.h"
#include "lua/numbers.h"
#include "lua/poolobject.h"
#include "lua/promiseobject.h"
#include "lua/statehandle.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "value/classes.h"

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

static int raise_about_name(lua_State *L, mts_Status status, const char *name,
                            size_t length)
{
  char what[MTS_QUOTED_SIZE + 5] = "name ";
  mts_util_quote(what + 5, name, length);
  return mts_waiting_raise(L, status, what);
}

static int find_state_by_name(lua_State *L, mts_Waiting *waiting)
{
  size_t length;
  const char *name = lua_tolstring(L, 1, &length);
  mts_StateObject *object = mts_stateobject_push(L);
  mts_Status status;
  do {
    status = mts_registry_find_name(name, length, &waiting->patience,
                                    &object->state);
  } while (mts_waiting_goes_on(waiting, status));
  if (status == MTS_OK)
    return 1;
  return raise_about_name(L, status, name, length);
}

static int find_state_by_id(lua_State *L, mts_Waiting *waiting)
{
  char what[32];
  lua_Integer id = check_id(L);
  mts_StateObject *object = mts_stateobject_push(L);
  mts_Status status;
  do {
    status = mts_registry_find_id(id, &waiting->patience, &object->state);
  } while (mts_waiting_goes_on(waiting, status));
  if (status == MTS_OK)
    return 1;
  snprintf(what, sizeof(what), "id %lld", (long long)id);
  return mts_waiting_raise(L, status, what);
}

/* mtstates.state(id or name [, timeout]) */
static int module_state(lua_State *L)
{
  const int type = lua_type(L, 1);
  mts_Waiting waiting;
  waiting.patience.deadline = 0;
  waiting.patience.host = NULL;
  waiting.patience.attach = NULL;
  waiting.L = L;
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_typeerror(L, 1, "integer or string");
  if (lua_gettop(L) > 1 && !lua_isnil(L, 2))
    mts_waiting_open(L, &waiting,
                     mts_numbers_deadline(mts_numbers_check_seconds(L, 2)));
  if (type == LUA_TSTRING)
    return find_state_by_name(L, &waiting);
  return find_state_by_id(L, &waiting);
}

/* mtstates.id() */
static int module_id(lua_State *L)
{
  const mts_State *s = mts_userdata_context(L)->host_state;
  if (s)
    lua_pushinteger(L, s->id);
  else
    lua_pushnil(L);
  return 1;
}

/*
** mtstates.type(x): the registered class name of a userdata, else what type
** returns.
*/
static int module_type(lua_State *L)
{
  const char *name = NULL;
  size_t length;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
    lua_pushliteral(L, MTS_NAME_KEY);
    name = mts_classes_name(L, 2, 3, &length);
  }
  if (name)
    lua_pushlstring(L, name, length);
  else
    lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}

/* mtstates.class(name [, metatable]) */
static int module_class(lua_State *L)
{
  if (lua_type(L, 1) != LUA_TSTRING)
    luaL_typeerror(L, 1, "string");
  if (!lua_isnoneornil(L, 2))
    luaL_checktype(L, 2, LUA_TTABLE);
  mts_classes_claim(L);
  return 1;
}

static const luaL_Reg module_functions[] = {
    {"newstate", mts_creation_newstate},
    {"state", module_state},
    {"singleton", mts_creation_singleton},
    {"id", module_id},
    {"type", module_type},
    {"class", module_class},
    {"workers", mts_modulework_workers},
    {"logger", mts_modulework_logger},
    {"sleep", mts_modulework_sleep},
    {"now", mts_modulework_now},
    {"stats", mts_modulework_stats},
    {"promise", mts_promiseobject_promise},
    {"each", mts_each_each},
    {"thread", mts_creation_thread},
    {"pool", mts_poolobject_pool},
    {"fork", mts_forkwork_fork},
    {"here", mts_here_here},
    {"quit", mts_modulework_quit},
    {"shutdown", mts_modulework_shutdown},
    {NULL, NULL}};

void mts_module_open(lua_State *L)
{
  static const char *const waiting[] = {"sleep", NULL};
  mts_statehandle_register(
      ((const mts_Context *)lua_touserdata(L, -1))->open_module);
  mts_futurehandle_register();
  mts_arguments_open(L);
  mts_futureobject_open(L);
  mts_promiseobject_open(L);
  mts_each_open(L);
  mts_map_open(L);
  mts_stateobject_push_class(L);
  lua_pushvalue(L, -3); /* the module */
  mts_userdata_set_functions(L, module_functions);
  mts_waiting_wrap(L, waiting);
  lua_pop(L, 2);
}
