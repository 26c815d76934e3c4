/*
** home.c - which state of this module a Lua state is
**
** The Lua registry of each state has a box, a full userdata with the address
** of its mts_State.  The box needs no reference: the mts_State outlives the
** Lua state.
**
** Code that runs in a Lua state can close it: os.exit does.  Other threads go
** on until the process is gone, so they must find the state closed.  The box
** sees to that in its finalizer, which is older than all others and runs last.
*/
#include "home.h"

#define BOX_KEY "mtstates.home"

/* Under this key stands a function of the copy that is used. */
#define COPY_KEY "mtstates.copy"

/* If this module closes the Lua state, the lock is closed already. */
static int box_gc(lua_State *L)
{
  mts_State *s = mts_home_unbox(L, 1);
  if (s && !mts_lock_is_closed(&s->lock))
    mts_lock_abandon(&s->lock);
  return 0;
}

/* Another copy has another one. */
static int mark(lua_State *L)
{
  return luaL_error(L, "there is nothing to be done");
}

bool mts_home_claim(lua_State *L)
{
  bool is_other;
  lua_getfield(L, LUA_REGISTRYINDEX, COPY_KEY);
  is_other = !lua_isnil(L, -1) && lua_tocfunction(L, -1) != mark;
  lua_pop(L, 1);
  if (is_other)
    return false;
  lua_pushcfunction(L, mark);
  lua_setfield(L, LUA_REGISTRYINDEX, COPY_KEY);
  return true;
}

void mts_home_set(lua_State *L, mts_State *s)
{
  mts_State **box = lua_newuserdatauv(L, sizeof(s), 0);
  *box = s;
  lua_newtable(L);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, BOX_KEY);
  mts_home_claim(L);
}

void mts_home_push_box(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, BOX_KEY);
}

mts_State *mts_home_unbox(lua_State *L, int index)
{
  mts_State **box = lua_touserdata(L, index);
  return box ? *box : NULL;
}

mts_State *mts_home_of(lua_State *L)
{
  mts_State *s;
  mts_home_push_box(L);
  s = mts_home_unbox(L, -1);
  lua_pop(L, 1);
  return s;
}
