/*
** module.c - the functions of the module
**
** Those that make states are in creation.c, those about workers in
** modulework.c, the one that finds states in lookup.c.  As in stateobject.c,
** nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/module.h"

#include "error.h"
#include "lua/arguments.h"
#include "lua/creation.h"
#include "lua/each.h"
#include "lua/forkwork.h"
#include "lua/futurehandle.h"
#include "lua/futureobject.h"
#include "lua/here.h"
#include "lua/looking.h"
#include "lua/lookup.h"
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
    {"state", mts_lookup_state},
    {"singleton", mts_creation_singleton},
    {"id", module_id},
    {"type", module_type},
    {"class", module_class},
    {"workers", mts_modulework_workers},
    {"logger", mts_modulework_logger},
    {"sleep", mts_modulework_sleep},
    {"now", mts_modulework_now},
    {"stats", mts_looking_module_stats},
    {"states", mts_looking_states},
    {"promise", mts_promiseobject_promise},
    {"each", mts_each_each},
    {"thread", mts_creation_thread},
    {"pool", mts_poolobject_pool},
    {"fork", mts_forkwork_fork},
    {"here", mts_here_here},
    {"trace", mts_modulework_trace},
    {"quit", mts_modulework_quit},
    {"shutdown", mts_modulework_shutdown},
    {NULL, NULL}};

void mts_module_open(lua_State *L)
{
  static const char *const waiting[] = {"sleep", NULL};
  static const char *const timed[] = {"state", NULL};
  mts_statehandle_register(
      ((const mts_Context *)lua_touserdata(L, -1))->open_module);
  mts_futurehandle_register();
  mts_here_open(L);
  mts_arguments_open(L);
  mts_futureobject_open(L);
  mts_promiseobject_open(L);
  mts_each_open(L);
  mts_map_open(L);
  mts_stateobject_push_class(L);
  lua_pushvalue(L, -3); /* the module */
  mts_userdata_set_functions(L, module_functions);
  mts_waiting_wrap(L, waiting);
  mts_waiting_wrap_timed(L, timed);
  lua_pop(L, 2);
}
