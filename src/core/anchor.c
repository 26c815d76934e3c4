/*
** anchor.c - which state of this module a Lua state is
**
** The Lua registry of each Lua state that uses the module has a box, a full
** userdata with the address of its mts_State, or with NULL if the module has
** not made it.  The box needs no reference: the mts_State outlives the Lua
** state.  Its finalizer tells which copy of the module is used.
**
** Code that runs in a Lua state can close it: os.exit does.  Other threads go
** on until the process is gone, so they must find the state closed.  The box
** sees to that in its finalizer, which is older than all others and runs last.
*/
#include "core/anchor.h"

/* States have this string anyway: it is a key of package.preload. */
#define BOX_KEY "mtstates"

/* If this module closes the Lua state, the lock is closed already. */
static int box_gc(lua_State *L)
{
  mts_State *s = mts_anchor_to_state(L, 1);
  if (s && !mts_lock_is_closed(&s->lock)) {
    mts_lock_close_held(&s->lock);
    atomic_store(&s->interrupt, MTS_INTERRUPT_NONE);
  }
  return 0;
}

void mts_anchor_set(lua_State *L, mts_State *s)
{
  mts_State **box = lua_newuserdatauv(L, sizeof(s), 0);
  *box = s;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, BOX_KEY);
}

/* Whether the box on top of the stack is one of this copy. */
static bool is_own_box(lua_State *L)
{
  bool is_own = false;
  if (luaL_getmetafield(L, -1, "__gc")) {
    is_own = lua_tocfunction(L, -1) == box_gc;
    lua_pop(L, 1);
  }
  return is_own;
}

bool mts_anchor_claim(lua_State *L)
{
  bool is_new, is_own;
  mts_anchor_push(L);
  is_new = lua_isnil(L, -1);
  is_own = is_new || is_own_box(L);
  lua_pop(L, 1);
  if (is_new)
    mts_anchor_set(L, NULL);
  return is_own;
}

void mts_anchor_push(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, BOX_KEY);
}

mts_State *mts_anchor_to_state(lua_State *L, int index)
{
  mts_State **box = lua_touserdata(L, index);
  return box ? *box : NULL;
}

mts_State *mts_anchor_find_state(lua_State *L)
{
  mts_State *s;
  mts_anchor_push(L);
  s = mts_anchor_to_state(L, -1);
  lua_pop(L, 1);
  return s;
}
