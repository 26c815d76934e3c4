/*
** coroutine.c - a coroutine library that tells which coroutine runs
**
** To interrupt code, or to nest a call, it must be known which Lua thread of
** a state is running.  So in the states of this module the functions that
** make another Lua thread run (resume, close and what wrap returns) note it
** in s->running before and afterwards, by mts_interrupt_switch.  In all other
** respects they do what those of Lua do.  Nothing that could raise an error
** happens in between.  Locks: only those of mts_interrupt_switch.
**
** Each function has the box of its state as first upvalue (see home.h).
*/
#include "coroutine.h"

#include <stdbool.h>

#include "home.h"
#include "interrupt.h"

#define BOX lua_upvalueindex(1)
#define WRAPPED lua_upvalueindex(2) /* of what wrap returns */

static lua_State *check_coroutine(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  if (!co)
    luaL_typeerror(L, 1, "thread");
  return co;
}

/*
** Resumes co with the values on top of L and pushes onto L, in place of
** them, its results or the error value.  Returns whether it went well.
*/
static bool resume(lua_State *L, lua_State *co, int count)
{
  mts_State *s = mts_home_unbox(L, BOX);
  lua_State *outer;
  int results, status;
  if (!lua_checkstack(co, count)) {
    lua_pop(L, count);
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  lua_xmove(L, co, count);
  outer = mts_interrupt_switch(s, co);
  status = lua_resume(co, L, count, &results);
  mts_interrupt_switch(s, outer);
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
  bool is_ok = resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, is_ok);
  lua_replace(L, 1); /* was the coroutine */
  return lua_gettop(L);
}

/* Closes co and leaves the error value, if any, on top of it. */
static int close_coroutine(lua_State *L, lua_State *co)
{
  mts_State *s = mts_home_unbox(L, BOX);
  lua_State *outer = mts_interrupt_switch(s, co);
  int status = lua_resetthread(co);
  mts_interrupt_switch(s, outer);
  return status;
}

static int wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, WRAPPED);
  if (resume(L, co, lua_gettop(L)))
    return lua_gettop(L);
  if (lua_status(co) > LUA_YIELD) { /* it ended with an error */
    int status;
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* closing wants the error value there */
    status = close_coroutine(L, co);
    if (status != LUA_OK) {
      lua_pop(L, 1);
      lua_xmove(co, L, 1);
    }
    if (status == LUA_ERRMEM)
      return lua_error(L);
  }
  if (lua_type(L, -1) == LUA_TSTRING) { /* say where it was called */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_wrap(lua_State *L)
{
  lua_State *co;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushvalue(L, BOX);
  lua_insert(L, -2);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* A coroutine is closed when it has not started, is suspended or is dead. */
static bool can_be_closed(lua_State *L, lua_State *co)
{
  lua_Debug ar;
  if (co == L)
    return false;
  return lua_status(co) != LUA_OK || !lua_getstack(co, 0, &ar);
}

static int co_close(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  if (!can_be_closed(L, co))
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

void mts_coroutine_patch(lua_State *L)
{
  static const luaL_Reg functions[] = {{"resume", co_resume},
                                       {"wrap", co_wrap},
                                       {"close", co_close},
                                       {NULL, NULL}};
  mts_home_push_box(L);
  luaL_setfuncs(L, functions, 1);
}

int mts_coroutine_open(lua_State *L)
{
  lua_pushcfunction(L, luaopen_coroutine);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  mts_coroutine_patch(L);
  return 1;
}
