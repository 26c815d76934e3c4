/*
** anchor.c - which state of this module a Lua state is
**
** The Lua registry of each Lua state that uses the module has an anchor, a
** full userdata with the address of the mts_State, or with NULL if the module
** has not made that Lua state.  The anchor needs no reference: the mts_State
** outlives the Lua state.  Its finalizer tells copies of the module apart.
**
** Code that runs in a Lua state can close it: os.exit does.  Other threads run
** on until the process has ended, so they must find the state closed.  The
** anchor's finalizer, which is older than all others and so runs last, closes
** the call lock.  The requests stay: they are lost with those of all states.
*/
#include "core/anchor.h"

#include "core/upcalls.h"

/* A string that states have anyway: it is a key of package.preload. */
#define ANCHOR_KEY "mtstates"

/* If this module closes the Lua state, the lock is closed already. */
static int anchor_gc(lua_State *L)
{
  mts_State *s = mts_anchor_to_state(L, 1);
  if (s && !mts_lock_is_closed(&s->lock)) {
    mts_lock_close_held(&s->lock);
    atomic_store(&s->interrupt.level, MTS_INTERRUPT_NONE);
    if (atomic_load(&s->queue))
      mts_upcalls.state_lost(s);
  }
  return 0;
}

void mts_anchor_set(lua_State *L, mts_State *s)
{
  mts_State **anchor = lua_newuserdatauv(L, sizeof(s), 0);
  *anchor = s;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, anchor_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, ANCHOR_KEY);
}

/* Whether the anchor on top of the stack is one of this copy. */
static bool is_own_anchor(lua_State *L)
{
  bool is_own = false;
  if (luaL_getmetafield(L, -1, "__gc")) {
    is_own = lua_tocfunction(L, -1) == anchor_gc;
    lua_pop(L, 1);
  }
  return is_own;
}

bool mts_anchor_claim(lua_State *L)
{
  bool is_new, is_own;
  mts_anchor_push(L);
  is_new = lua_isnil(L, -1);
  is_own = is_new || is_own_anchor(L);
  lua_pop(L, 1);
  if (is_new)
    mts_anchor_set(L, NULL);
  return is_own;
}

void mts_anchor_push(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, ANCHOR_KEY);
}

mts_State *mts_anchor_to_state(lua_State *L, int index)
{
  mts_State **anchor = lua_touserdata(L, index);
  return anchor ? *anchor : NULL;
}

mts_State *mts_anchor_find_state(lua_State *L)
{
  mts_State *s;
  mts_anchor_push(L);
  s = mts_anchor_to_state(L, -1);
  lua_pop(L, 1);
  return s;
}
