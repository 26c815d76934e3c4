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
**
** A coroutine in which code of a task waits yields with a mark (yield.h).  Who
** has resumed it yields with the same mark, in turn, down to the coroutine of
** the task; when that is resumed, each one resumes the next.  In between such
** a coroutine counts as one that has resumed another one: it cannot be
** resumed or closed by others.
**
** The coroutine of a task itself is for its code what the main Lua thread is
** elsewhere: code cannot yield it.  So yield, isyieldable and running are
** replaced, too.
**
** Locks: only those of mts_interrupt_switch.
*/
#include "core/coroutine.h"

#include <stdbool.h>

#include "core/anchor.h"
#include "core/hook.h"
#include "core/interrupt.h"
#include "core/thread.h"
#include "core/timelimit.h"
#include "luaapi/libs.h"
#include "luaapi/yield.h"

/* Upvalue of all functions: the anchor of the state (see anchor.h). */
#define ANCHOR lua_upvalueindex(1)

/* Another one of the functions in the library: the one that Lua has there. */
#define ORIGINAL lua_upvalueindex(2)

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

/* Whether code waits in co, or in a coroutine that it has resumed. */
static bool is_waiting(lua_State *co)
{
  return MTS_YIELDS_GO_ON && lua_status(co) == LUA_YIELD &&
         mts_yield_count(co) >= 0;
}

static bool can_be_resumed(lua_State *co)
{
  if (lua_status(co) == LUA_OK)
    return !is_active(co) && lua_gettop(co) > 0; /* the function */
  return lua_status(co) == LUA_YIELD && !is_waiting(co);
}

/*
** Whether code in L, of s, may be what a hook has called, which cannot yield.
** If the hook that is set is ours, a probe tells whether hooks run in L.
*/
static bool may_be_in_hook(mts_State *s, lua_State *L)
{
  return !MTS_YIELDS_ARE_TOLD && lua_gethook(L) &&
         (mts_hook_is_foreign(L) || mts_hook_is_kept_off(s, L));
}

bool mts_coroutine_can_wait(mts_State *s, lua_State *L,
                            const lua_State *outermost)
{
  const mts_Resume *resume = s->interrupt.resumes;
  if (atomic_load_explicit(&s->interrupt.running, memory_order_relaxed) != L ||
      !mts_yield_is_possible(L) || may_be_in_hook(s, L))
    return false;
  for (; L != outermost; resume = resume->outer) {
    if (!MTS_YIELDS_GO_ON || !resume || resume->known != resume->from ||
        !mts_yield_is_possible(resume->from) ||
        may_be_in_hook(s, resume->from))
      return false;
    L = resume->from;
  }
  return true;
}

/*
** Resumes co with the values on top of L.  Pushes onto L, in their place, the
** results or the error value; returns false for the latter.  Nothing is pushed
** if it waits now.
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
  if (is_waiting(co))
    return true;
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return false;
  }
  lua_xmove(co, L, results);
  return true;
}

/*
** Resumes the first argument, with all others, until it does not wait.  stage:
** how far the code had been stopped at first.
*/
static int resume_first(lua_State *L, mts_TimeStage stage);

static int go_on_with_resume(lua_State *L)
{
  const mts_TimeStage stage = (mts_TimeStage)lua_tointeger(L, 2);
  lua_settop(L, 1);
  return resume_first(L, stage);
}

static int resume_first(lua_State *L, mts_TimeStage stage)
{
  lua_State *co = lua_tothread(L, 1);
  const bool is_ok = resume_coroutine(L, co, lua_gettop(L) - 1);
  if (is_waiting(co)) {
    lua_pushinteger(L, (lua_Integer)stage);
    return mts_yield(L, 1, go_on_with_resume);
  }
  if (!is_ok && mts_timelimit_stage() > stage)
    return lua_error(L); /* it is not to be caught */
  lua_pushboolean(L, is_ok);
  lua_replace(L, 1); /* in the place of the coroutine */
  return lua_gettop(L);
}

/* Calls the function of Lua with the same arguments. */
static int call_original(lua_State *L)
{
  lua_pushvalue(L, ORIGINAL);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int co_resume(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  if (can_be_resumed(co))
    return resume_first(L, mts_timelimit_stage());
  if (is_waiting(co)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "cannot resume a coroutine that waits");
    return 2;
  }
  return call_original(L); /* it says why */
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

/* Pushes the error for a coroutine that cannot be resumed: that of Lua. */
static void refuse(lua_State *L, lua_State *co)
{
  if (is_waiting(co))
    lua_pushliteral(L, "cannot resume a coroutine that waits");
  else {
    lua_pushvalue(L, ORIGINAL_WRAPPED);
    lua_insert(L, 1);
    (void)lua_pcall(L, lua_gettop(L) - 1, 0, 0);
  }
}

/* Raises the error value on top of the stack, as what wrap returns does. */
static int raise_wrapped(lua_State *L, lua_State *co)
{
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

/* Resumes the coroutine of the running function with all arguments. */
static int resume_wrapped(lua_State *L);

static int go_on_with_wrapped(lua_State *L)
{
  lua_settop(L, 0);
  return resume_wrapped(L);
}

static int wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, COROUTINE);
  if (can_be_resumed(co))
    return resume_wrapped(L);
  refuse(L, co);
  return raise_wrapped(L, co);
}

static int resume_wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, COROUTINE);
  const bool is_ok = resume_coroutine(L, co, lua_gettop(L));
  if (is_waiting(co))
    return mts_yield(L, 0, go_on_with_wrapped);
  return is_ok ? lua_gettop(L) : raise_wrapped(L, co);
}

static int co_wrap(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, ANCHOR);
  lua_pushvalue(L, ORIGINAL);
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
  if (L == atomic_load(&mts_anchor_to_state(L, ANCHOR)->innermost))
    return luaL_error(L, "cannot close a coroutine that a call runs on");
  return lua_closethread(L, L); /* does not return */
}

static int co_close(lua_State *L)
{
  const mts_TimeStage stage = mts_timelimit_stage();
  lua_State *co;
  if (MTS_CAN_CLOSE_RUNNING && (lua_isnone(L, 1) || lua_tothread(L, 1) == L))
    return close_running(L);
  co = check_coroutine(L);
  if (is_waiting(co))
    return luaL_error(L, "cannot close a coroutine that waits");
  if (is_active(co))
    return luaL_error(L, "cannot close a %s coroutine",
                      co == L ? "running" : "normal");
  if (close_coroutine(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  if (mts_timelimit_stage() > stage)
    return lua_error(L);
  return 2;
}

lua_State *mts_coroutine_find_inner(lua_State *co)
{
  lua_State *inner = NULL;
  const int top = lua_gettop(co);
  lua_Debug ar;
  if (!is_waiting(co) || !lua_getstack(co, 0, &ar) || !lua_checkstack(co, 2))
    return NULL;
  lua_getinfo(co, "f", &ar);
  if (lua_tocfunction(co, -1) == co_resume)
    lua_getlocal(co, &ar, 1);
  else if (lua_tocfunction(co, -1) == wrapped)
    lua_getupvalue(co, -1, 2);
  inner = lua_tothread(co, -1);
  lua_settop(co, top);
  return inner && is_waiting(inner) ? inner : NULL; /* it can be closed */
}

/* ======================================================================= */
/* Tasks                                                                   */
/* ======================================================================= */

/* Whether co is that of a task, for whose code the calling function runs. */
static bool is_outermost(lua_State *L, const lua_State *co)
{
  const mts_State *s = mts_anchor_to_state(L, ANCHOR);
  return s && s->depth == 1 && atomic_load(&s->innermost) == co && co != s->L;
}

static int check_yield(lua_State *L)
{
  if (is_outermost(L, L))
    return luaL_error(L, "attempt to yield outside a coroutine (a task waits "
                         "by sleep, await or room)");
  return 0;
}

#if MTS_LUAJIT

/*
** A C function that yields inside a finalizer would let hooks run there.  So
** the function is one in Lua, which calls the one of LuaJIT; both are globals
** of it, so that nothing has to run here.
*/
static void patch_yield(lua_State *L, int library)
{
  static const char code[] = "check() return yield(...)";
  if (luaL_loadbuffer(L, code, sizeof(code) - 1, MTS_COMPAT_WRAPPERS) !=
      LUA_OK)
    lua_error(L);
  lua_createtable(L, 0, 2);
  mts_anchor_push(L);
  lua_pushcclosure(L, check_yield, 1);
  lua_setfield(L, -2, "check");
  lua_getfield(L, library, "yield");
  lua_setfield(L, -2, "yield");
  lua_setfenv(L, -2);
  lua_setfield(L, library, "yield");
}

#else

static int yield_checked(lua_State *L)
{
  (void)check_yield(L);
  return lua_yield(L, lua_gettop(L));
}

static void patch_yield(lua_State *L, int library)
{
  mts_anchor_push(L);
  lua_pushcclosure(L, yield_checked, 1);
  lua_setfield(L, library, "yield");
}

#endif

static int co_isyieldable(lua_State *L)
{
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  lua_pushboolean(L, mts_yield_is_allowed(co) && !is_outermost(L, co));
  return 1;
}

static int co_running(lua_State *L)
{
  if (!is_outermost(L, L))
    return call_original(L);
  if (!MTS_YIELDS_GO_ON) { /* as in the main Lua thread there */
    lua_pushnil(L);
    return 1;
  }
  lua_pushthread(L);
  lua_pushboolean(L, 1);
  return 2;
}

static int co_status(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  if (!co && LUA_VERSION_NUM < 504)
    return luaL_argerror(L, 1,
                         LUA_VERSION_NUM < 503 ? "coroutine expected"
                                               : "thread expected");
  if (!is_waiting(check_coroutine(L)))
    return call_original(L);
  lua_pushliteral(L, "normal");
  return 1;
}

static const luaL_Reg coroutine_functions[] = {
    {"close", co_close},             /* not in all versions */
    {"isyieldable", co_isyieldable}, /* not in all versions */
    {"resume", co_resume},
    {"running", co_running},
    {"status", co_status},
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
  const int library = lua_gettop(L);
  const luaL_Reg *function = coroutine_functions;
  keep_texts_of_resume(L);
  for (; function->name; function++) {
    mts_anchor_push(L);
    lua_getfield(L, library, function->name);
    if (!lua_isnil(L, -1)) {
      lua_pushcclosure(L, function->func, 2);
      lua_setfield(L, library, function->name);
    }
    lua_settop(L, library);
  }
  patch_yield(L, library);
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
