/*
** yield.c - C functions that yield the coroutine that they run in, to wait
**
** From 5.2 on a C function yields with a continuation, and all that is on its
** stack stays.  A mark on top tells such a yield from those of users.
**
** Lua 5.1 and 5.2 do not say whether a yield is possible; where it is not, it
** raises an error.  So the frames are looked at, from the running one down: a
** frame is called by the one below in a way that lets it yield, if that is a
** Lua function whose current instruction is a call, which is so if it has a
** name for what it calls.  What has none can be a finalizer; after a tail call
** the name is lost; metamethods, and, in 5.1, generators, have names but
** cannot yield, or may be finalizers that run at the same instruction.  A
** message handler runs above the call that has failed, so not even xpcall can
** be yielded through.  And while a debug hook is set, any frame may be that of
** the hook.
**
** Takes no locks.
*/
#include "luaapi/yield.h"

#include <stdatomic.h>
#include <string.h>

#if MTS_YIELDS_GO_ON

static const char mark;

static bool is_mark(lua_State *L, int index)
{
  return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &mark;
}

/* Removes the mark, and what the coroutine has been resumed with. */
static void remove_mark(lua_State *L)
{
  int index = lua_gettop(L);
  while (!is_mark(L, index))
    index--;
  lua_settop(L, index - 1);
}

int mts_yield_count(lua_State *co)
{
  return lua_gettop(co) > 0 && is_mark(co, -1) ? 0 : -1;
}

#endif

#if LUA_VERSION_NUM >= 503

static int leave_mark(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  remove_mark(L);
  return ((lua_CFunction)context)(L);
}

int mts_yield(lua_State *L, int count, lua_CFunction go_on)
{
  (void)count; /* they stay */
  lua_pushlightuserdata(L, (void *)&mark);
  return lua_yieldk(L, 1, (lua_KContext)go_on, leave_mark);
}

int mts_yield_again(lua_State *L, lua_CFunction go_on)
{
  lua_pushlightuserdata(L, (void *)&mark);
  return lua_yieldk(L, 0, (lua_KContext)go_on, leave_mark);
}

#elif LUA_VERSION_NUM == 502

/* The function to go on with lies below the mark. */
static int leave_mark(lua_State *L)
{
  lua_CFunction go_on;
  remove_mark(L);
  go_on = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return go_on(L);
}

int mts_yield(lua_State *L, int count, lua_CFunction go_on)
{
  (void)count;
  lua_pushcfunction(L, go_on); /* needs no memory */
  lua_pushlightuserdata(L, (void *)&mark);
  return lua_yieldk(L, 1, 0, leave_mark);
}

int mts_yield_again(lua_State *L, lua_CFunction go_on)
{
  lua_pushcfunction(L, go_on);
  lua_pushlightuserdata(L, (void *)&mark);
  return lua_yieldk(L, 0, 0, leave_mark);
}

#else

int mts_yield(lua_State *L, int count, lua_CFunction go_on)
{
  (void)go_on; /* the caller does that */
  return lua_yield(L, count);
}

int mts_yield_count(lua_State *co)
{
  return lua_gettop(co);
}

#endif

#if MTS_YIELDS_ARE_TOLD

void mts_yield_open(lua_State *L)
{
  (void)L;
}

bool mts_yield_is_possible(lua_State *L)
{
  return lua_isyieldable(L);
}

#else

/* The function of the base library through which can be yielded. */
static lua_CFunction _Atomic passable;

void mts_yield_open(lua_State *L)
{
  lua_getglobal(L, "pcall");
  if (MTS_YIELDS_GO_ON && lua_iscfunction(L, -1))
    atomic_store(&passable, lua_tocfunction(L, -1));
  lua_pop(L, 1);
}

/* Whether the C function of the frame can be yielded through. */
static bool is_passable(lua_State *L, lua_Debug *ar)
{
  lua_CFunction function;
  if (!MTS_YIELDS_GO_ON || !lua_checkstack(L, 1))
    return false;
  lua_getinfo(L, "f", ar);
  function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function && function == atomic_load(&passable);
}

/* Whether what a Lua function has called so can yield. */
static bool is_plain_call(const lua_Debug *ar)
{
  if (!MTS_YIELDS_GO_ON &&
      strcmp(ar->name ? ar->name : "", "(for generator)") == 0)
    return false;
  return *ar->namewhat != '\0' && strcmp(ar->namewhat, "metamethod") != 0;
}

/*
** Whether nothing but frames that are lost, as they have made tail calls, are
** at the level and below it.
*/
static bool is_bottom(lua_State *L, int level)
{
  lua_Debug ar;
  for (; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "S", &ar);
    if (*ar.what != 't')
      return false;
  }
  return true;
}

bool mts_yield_is_possible(lua_State *L)
{
  lua_Debug called, caller;
  int level = 0;
  if (!lua_getstack(L, 0, &called))
    return false;
  for (; lua_getstack(L, level + 1, &caller); level++, called = caller) {
    lua_getinfo(L, "nS", &called);
    lua_getinfo(L, "S", &caller);
    if (*caller.what == 'C') {
      if (!is_passable(L, &caller))
        return false;
    }
    else if (*caller.what == 't') /* all below it may have been such calls */
      return is_bottom(L, level + 1);
    else if (!is_plain_call(&called))
      return false;
  }
  return true;
}

#endif
