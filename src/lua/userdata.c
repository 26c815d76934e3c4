/*
** userdata.c - objects that Lua code sees, and what all functions share
**
** Takes no locks.
*/
#include "lua/userdata.h"

#include "core/anchor.h"
#include "value/classes.h"

/* Of the context in the Lua registry. */
#define CONTEXT_KEY "mtstates.context"

void mts_userdata_push_context(lua_State *L, lua_CFunction open_module)
{
  mts_Context *context = lua_newuserdatauv(L, sizeof(*context), 0);
  *context = (mts_Context){.host_state = mts_anchor_find_state(L),
                           .main = mts_compat_mainthread(L),
                           .open_module = open_module};
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, CONTEXT_KEY);
}

void mts_userdata_tell_object(lua_State *L)
{
  mts_Context *context;
  lua_getfield(L, LUA_REGISTRYINDEX, CONTEXT_KEY);
  context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  mts_gcpressure_tell_object(&context->pressure, L);
}

void mts_userdata_set_functions(lua_State *L, const luaL_Reg *functions)
{
  lua_pushvalue(L, -2); /* the metatable */
  lua_pushvalue(L, -4); /* the context */
  luaL_setfuncs(L, functions, 2);
}

/* The one that is registered under the name, or a new one, which is not. */
static void push_metatable(lua_State *L, const char *name)
{
  luaL_getmetatable(L, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, MTS_NAME_KEY);
  }
}

void mts_userdata_push_class(lua_State *L, const char *name,
                             const luaL_Reg *methods,
                             const luaL_Reg *metamethods)
{
  push_metatable(L, name);
  lua_newtable(L);
  mts_userdata_set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  mts_userdata_set_functions(L, metamethods);
  lua_setfield(L, LUA_REGISTRYINDEX, name);
}
