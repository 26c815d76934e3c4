/*
** catch.c - functions that catch errors, but not those of time limits
**
** Code that is stopped, since its time is over, must not go on by catching the
** error; but its to-be-closed variables have some time (timelimit.c), in which
** they may call what they like.  So in a state with a limit pcall and xpcall
** raise an error again that they have caught, if the code was stopped since
** they were called.  Where there are no such variables the next operation does
** that.  In all other respects they do what Lua's functions do.
**
** Lua calls the handler of xpcall inside the hook that has raised the error,
** where no hooks run, so the handler could loop for ever.  A function around
** it looks whether the code was stopped, and does not call it then; in all
** versions.
**
** load raises the error of a reader that was stopped again; in all versions,
** as LuaJIT runs no hooks any more when one has raised an error in a reader,
** until pcall or the like catches another one.  The functions of the coroutine
** library are in coroutine.c.
**
** Code that calls debug.sethook again and again would not be stopped for long:
** the hook is most often set while that runs, which then takes it away.  So
** debug.sethook sets the hook again at its end, if there is a reason to.
**
** Locks: only those of mts_interrupt_check.
*/
#include "core/catch.h"

#include <string.h>

#include "core/anchor.h"
#include "core/interrupt.h"
#include "core/timelimit.h"

static int push_stage(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)mts_timelimit_stage());
  return 1;
}

/*
** Arguments: push_stage, debug.traceback.  Returns what makes a handler of
** another one; the second stays as it is, as it would see the other.
*/
static const char handler_code[] =
    "local stage, traceback = ...\n"
    "return function(handle)\n"
    "  if handle == traceback then return handle end\n"
    "  local before = stage()\n"
    "  return function(...)\n"
    "    if stage() > before then return ... end\n"
    "    return handle(...)\n"
    "  end\n"
    "end";

static void push_result_of_code(lua_State *L, const char *code, int arguments)
{
  if (luaL_loadbuffer(L, code, strlen(code), "=mtstates") != LUA_OK)
    lua_error(L);
  lua_insert(L, -1 - arguments);
  lua_call(L, arguments, 1);
}

static void push_handler_maker(lua_State *L)
{
  lua_pushcfunction(L, push_stage);
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    lua_replace(L, -2);
  }
  push_result_of_code(L, handler_code, 2);
}

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
  int status;
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  status =
      lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, context, finish_catch);
  return finish_catch(L, status, context);
}

/* Upvalue: what push_handler_maker pushes. */
static int catch_xpcall(lua_State *L)
{
  const lua_KContext context = CONTEXT(2);
  const int count = lua_gettop(L);
  int status;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  lua_replace(L, 2);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  status = lua_pcallk(L, count - 2, LUA_MULTRET, 2, context, finish_catch);
  return finish_catch(L, status, context);
}

static void push_xpcall(lua_State *L)
{
  push_handler_maker(L);
  lua_pushcclosure(L, catch_xpcall, 1);
}

#else

/* In Lua, so that code can yield in it where that is possible. */
static void push_xpcall(lua_State *L)
{
  static const char code[] =
      "local xpcall, type, make = ...\n"
      "return function(f, handle, ...)\n"
      "  if type(handle) == 'function' then handle = make(handle) end\n"
      "  return xpcall(f, handle, ...)\n"
      "end";
  lua_getglobal(L, "xpcall");
  lua_getglobal(L, "type");
  push_handler_maker(L);
  push_result_of_code(L, code, 3);
}

#endif

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

/* Upvalues: the anchor of the state, and the one of Lua. */
static int set_hook(lua_State *L)
{
  mts_State *s = mts_anchor_to_state(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 0);
  if (s)
    mts_interrupt_check(s);
  return 0;
}

/* The library is on top. */
static void patch_debug(lua_State *L)
{
  mts_anchor_push(L);
  lua_getfield(L, -2, "sethook");
  lua_pushcclosure(L, set_hook, 2);
  lua_setfield(L, -2, "sethook");
}

/* The loader in package.preload; upvalue: the one that was there. */
static int load_debug(lua_State *L)
{
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  patch_debug(L);
  return 1;
}

static void patch_library(lua_State *L)
{
  const int top = lua_gettop(L);
  lua_getglobal(L, LUA_DBLIBNAME);
  if (lua_istable(L, -1))
    patch_debug(L);
  else {
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, LUA_DBLIBNAME);
    lua_pushcclosure(L, load_debug, 1);
    lua_setfield(L, -2, LUA_DBLIBNAME);
  }
  lua_settop(L, top);
}

void mts_catch_patch(lua_State *L)
{
  patch_library(L);
  lua_getglobal(L, "load");
  lua_pushcclosure(L, catch_load, 1);
  lua_setglobal(L, "load");
#if MTS_HAS_CLOSE
  lua_pushcfunction(L, catch_pcall);
  lua_setglobal(L, "pcall");
#endif
  push_xpcall(L);
  lua_setglobal(L, "xpcall");
}
