/*
** interrupt.c - stopping Lua code that runs in a state
**
** An interrupt is a debug hook that raises an error at the next operation of
** the virtual machine.  It has to sit in the Lua thread that really runs, a
** coroutine perhaps, which s->running tells (see coroutine.c).
**
** The level of the interrupt is written under s->lock.mutex, and hooks are set
** under it.  The thread that runs the state changes s->running without it:
**
** 1. The interrupter stores the level, then reads who holds the state and
**    what runs in it.  It sets a hook only if somebody holds it.
** 2. The runner takes the state, or stores a new s->running, then reads the
**    level.  If there is one it sets the hook itself, under the mutex.
** 3. All these are sequentially consistent, so at least one of the two sees
**    what the other wrote: no interrupt is lost.  And no Lua thread dies
**    while its hook is being set: the runner that is about to leave it sees
**    the level and comes to the mutex first; the hook does so, too, before it
**    takes the level back.
** 4. A hook that is left somewhere when the level is gone removes itself.
**
** lua_sethook is called here while another thread may be running L.  This is
** what Lua offers for signal handlers; it only writes fields of L and of its
** call frames.  No other Lua function is called with the mutex held.
*/
#include "interrupt.h"

#include "home.h"

static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  mts_State *s = mts_home_of(L);
  int level;
  (void)ar;
  mts_mutex_lock(&s->lock.mutex);
  level = atomic_load(&s->interrupt);
  if (level == MTS_INTERRUPT_ONCE)
    atomic_store(&s->interrupt, MTS_INTERRUPT_NONE);
  if (level != MTS_INTERRUPT_ALWAYS)
    lua_sethook(L, NULL, 0, 0);
  mts_mutex_unlock(&s->lock.mutex);
  if (level != MTS_INTERRUPT_NONE)
    mts_error_raise(L, MTS_ERROR_INTERRUPTED, "the running code was stopped");
}

static void set_hook(mts_State *s) MTS_REQUIRES(s->lock.mutex)
{
  lua_sethook(atomic_load(&s->running), interrupt_hook, LUA_MASKCOUNT, 1);
}

mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level)
{
  mts_Status status = MTS_OK;
  mts_mutex_lock(&s->lock.mutex);
  atomic_store(&s->interrupt, level);
  if (mts_lock_is_closed(&s->lock))
    status = MTS_CLOSED;
  else if (level != MTS_INTERRUPT_NONE && !mts_lock_is_free(&s->lock))
    set_hook(s);
  mts_mutex_unlock(&s->lock.mutex);
  return status;
}

void mts_interrupt_check(mts_State *s)
{
  if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE) {
    mts_mutex_lock(&s->lock.mutex);
    if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE)
      set_hook(s);
    mts_mutex_unlock(&s->lock.mutex);
  }
}

lua_State *mts_interrupt_switch(mts_State *s, lua_State *L)
{
  lua_State *before;
  if (!s)
    return NULL;
  before = atomic_load_explicit(&s->running, memory_order_relaxed);
  if (before != L) {
    atomic_store(&s->running, L);
    mts_interrupt_check(s);
  }
  return before;
}
