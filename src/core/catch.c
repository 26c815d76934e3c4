/*
** catch.c - functions that catch errors, but not those of time limits
**
** Code that is stopped, since its time is over, must not go on by catching the
** error; but its to-be-closed variables have some time (timelimit.c), in which
** they may call what they like.  So in a state with a limit pcall, xpcall and
** load, whose reader can fail, raise an error again that they have caught, if
** the code was stopped since they were called.  In all other respects they do
** what Lua's functions do.  Those of the coroutine library are in coroutine.c.
**
** Takes no locks.
*/
#include "core/catch.h"

#include "core/timelimit.h"

#if MTS_HAS_CLOSE

/*
** What the continuation has to know: how far the code had been stopped, and
** how many values are below the results.
*/
#define STAGES 4
#define CONTEXT(below) ((lua_KContext)(below)*STAGES + mts_timelimit_stage())

/* Leaves `true` and the results, or `false` and the error value. */
static int finish_catch(lua_State *L, int status, lua_KContext context)
{
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L) - (int)(context / STAGES);
  if ((int)mts_timelimit_stage() > (int)(context % STAGES))
    return lua_error(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int catch_pcall(lua_State *L)
{
  const lua_KContext context = CONTEXT(0);
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish_catch(
      L,
      lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, context, finish_catch),
      context);
}

static int catch_xpcall(lua_State *L)
{
  const lua_KContext context = CONTEXT(2);
  const int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  return finish_catch(
      L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, context, finish_catch),
      context);
}

/* Upvalue: the one of Lua.  Nothing can yield in a reader. */
static int catch_load(lua_State *L)
{
  const mts_TimeStage before = mts_timelimit_stage();
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  if (mts_timelimit_stage() > before)
    return lua_error(L); /* the text is on top */
  return lua_gettop(L);
}

static const luaL_Reg catch_functions[] = {{"load", catch_load},
                                           {"pcall", catch_pcall},
                                           {"xpcall", catch_xpcall},
                                           {NULL, NULL}};

void mts_catch_patch(lua_State *L)
{
  const luaL_Reg *function;
  for (function = catch_functions; function->name; function++) {
    lua_getglobal(L, function->name);
    lua_pushcclosure(L, function->func, 1);
    lua_setglobal(L, function->name);
  }
}

#else

void mts_catch_patch(lua_State *L)
{
  (void)L;
}

#endif
