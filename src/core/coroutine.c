/*
** coroutine.c - a coroutine library that tells which coroutine runs
**
** To interrupt code, or to nest a call, it must be known which Lua thread of
** a state is running.  So in the states of this module three functions are
** replaced, those that make another Lua thread run: resume, close and what
** wrap returns.  They note the running Lua thread in s->interrupt.running
** before and afterwards, by mts_interrupt_enter and mts_interrupt_leave;
** nothing that could raise an error may happen in between.  In all other
** respects, but for texts of argument errors, they do what Lua's functions do.
** Whatever makes no other Lua thread run is left to Lua's functions.
**
** Locks: only those of mts_interrupt_switch.
*/
#include "core/coroutine.h"

#include <stdbool.h>

#include "core/anchor.h"
#include "core/interrupt.h"
#include "luaapi/libs.h"

/* Upvalue of all functions: the anchor of the state (see anchor.h). */
#define ANCHOR lua_upvalueindex(1)

/* Further ones of the functions in the library: those that Lua has there. */
#define ORIGINAL_RESUME lua_upvalueindex(2)
#define ORIGINAL_WRAP lua_upvalueindex(3)

/* Further ones of what wrap returns: the coroutine and what Lua returned. */
#define COROUTINE lua_upvalueindex(2)
#define ORIGINAL_WRAPPED lua_upvalueindex(3)

static lua_State *check_coroutine(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  if (!co)
    luaL_typeerror(L, 1, "thread");
  return co;
}

/* Whether co has been started and neither yields nor has ended. */
static bool is_active(lua_State *co)
{
  lua_Debug ar;
  return lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar);
}

static bool can_be_resumed(lua_State *co)
{
  if (lua_status(co) == LUA_OK)
    return !is_active(co) && lua_gettop(co) > 0; /* the function */
  return lua_status(co) == LUA_YIELD;
}

/*
** Resumes co with the values on top of L.  Pushes onto L, in their place, the
** results or the error value; returns false for the latter.
*/
static bool resume_coroutine(lua_State *L, lua_State *co, int count)
{
  mts_State *s = mts_anchor_to_state(L, ANCHOR);
  mts_Resume link;
  lua_State *outer;
  int results, status;
  if (!lua_checkstack(co, count)) {
    lua_pop(L, count);
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  lua_xmove(L, co, count);
  outer = mts_interrupt_enter(s, &link, L, co);
  status = lua_resume(co, L, count, &results);
  mts_interrupt_leave(s, &link, outer);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return false;
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return false;
  }
  lua_xmove(co, L, results);
  return true;
}

static int co_resume(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  if (!can_be_resumed(co)) { /* Lua's own function says why */
    lua_pushvalue(L, ORIGINAL_RESUME);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  }
  else {
    bool is_ok = resume_coroutine(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, is_ok);
    lua_replace(L, 1); /* in the place of the coroutine */
  }
  return lua_gettop(L);
}

/* Closes co and leaves the error value, if any, on top of it. */
static int close_coroutine(lua_State *L, lua_State *co)
{
  mts_State *s = mts_anchor_to_state(L, ANCHOR);
  mts_Resume link;
  lua_State *outer = mts_interrupt_enter(s, &link, L, co);
  int status = lua_closethread(co, L);
  mts_interrupt_leave(s, &link, outer);
  return status;
}

/* Pushes the error of Lua for a coroutine that cannot be resumed. */
static bool refuse(lua_State *L)
{
  lua_pushvalue(L, ORIGINAL_WRAPPED);
  lua_insert(L, 1);
  return lua_pcall(L, lua_gettop(L) - 1, 0, 0) == LUA_OK;
}

static int wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, COROUTINE);
  bool is_ok =
      can_be_resumed(co) ? resume_coroutine(L, co, lua_gettop(L)) : refuse(L);
  if (is_ok)
    return lua_gettop(L);
  if (lua_status(co) > LUA_YIELD) { /* it ended with an error */
    int status;
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* closing expects the error value there */
    status = close_coroutine(L, co);
    if (status != LUA_OK) {
      lua_pop(L, 1);
      lua_xmove(co, L, 1);
    }
    if (status == LUA_ERRMEM)
      return lua_error(L);
  }
  if (mts_compat_iserrortext(L, -1)) { /* add where it was called */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_wrap(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, ANCHOR);
  lua_pushvalue(L, ORIGINAL_WRAP);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_getupvalue(L, -1, 1); /* the coroutine */
  lua_insert(L, -2);
  lua_pushcclosure(L, wrapped, 3);
  return 1;
}

static int close_running(lua_State *L)
{
  if (lua_pushthread(L))
    return luaL_error(L, "cannot close main thread");
  if (L == mts_anchor_to_state(L, ANCHOR)->innermost)
    return luaL_error(L, "cannot close a coroutine that a call runs on");
  return lua_closethread(L, L); /* does not return */
}

static int co_close(lua_State *L)
{
  lua_State *co;
  if (MTS_CAN_CLOSE_RUNNING && (lua_isnone(L, 1) || lua_tothread(L, 1) == L))
    return close_running(L);
  co = check_coroutine(L);
  if (is_active(co))
    return luaL_error(L, "cannot close a %s coroutine",
                      co == L ? "running" : "normal");
  if (close_coroutine(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

static const luaL_Reg coroutine_functions[] = {
    {"close", co_close}, /* since Lua 5.4 */
    {"resume", co_resume},
    {"wrap", co_wrap},
    {NULL, NULL}};

/*
** lua_resume makes these two texts outside of its protected part (which of
** them and when depends on the version).  Without memory for them it would
** raise the error in the main Lua thread, past mts_interrupt_leave, and the
** dead coroutine would be taken for the running Lua thread.  Strings that
** exist already need no memory.
*/
static void keep_texts_of_resume(lua_State *L)
{
  lua_pushliteral(L, "error in error handling");
  lua_setfield(L, LUA_REGISTRYINDEX, "C stack overflow");
}

void mts_coroutine_patch(lua_State *L)
{
  bool has_close;
  keep_texts_of_resume(L);
  lua_getfield(L, -1, "close");
  has_close = !lua_isnil(L, -1);
  lua_pop(L, 1);
  mts_anchor_push(L);
  lua_getfield(L, -2, "resume");
  lua_getfield(L, -3, "wrap");
  luaL_setfuncs(L, has_close ? coroutine_functions : coroutine_functions + 1,
                3);
}

/* The loader in package.preload. */
static int load_coroutine(lua_State *L)
{
  lua_pushcfunction(L, mts_libs_open_coroutine);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  mts_coroutine_patch(L);
  return 1;
}

void mts_coroutine_preload(lua_State *L)
{
  if (mts_libs_open_coroutine) {
    lua_pushcfunction(L, load_coroutine);
    lua_setfield(L, -2, LUA_COLIBNAME);
  }
}
