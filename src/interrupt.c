/*
** interrupt.c - stopping Lua code that runs in a state
**
** An interrupt is a debug hook that raises an error at the next operation of
** the virtual machine.  It has to sit in the Lua thread that really runs, a
** coroutine perhaps, which s->running tells (see coroutine.c).
**
** lua_sethook walks the call frames of a Lua thread, which the thread that
** runs it frees at any time.  So that thread has to do it itself: when it gets
** a signal (see preempt.c), as Lua allows in a signal handler, or when it
** comes by:
**
** 1. The interrupter takes s->lock.mutex, stores the level, and pins the
**    thread that holds the state, if there is one: that one can neither leave
**    the state nor end.  It sends the signal and waits for its handler.  If
**    the holder is on its way to the mutex, which `holder_comes` tells, no
**    signal is needed, and it would put the holder back to the end of those
**    who wait for the mutex: under many interrupts it would never get there.
** 2. The runner takes the state, or changes s->running, then reads the level.
**    If there is one it sets the hook, under the mutex.
** 3. Both are sequentially consistent, so at least one of the two sees what
**    the other wrote: no interrupt is lost.
** 4. A hook that is left somewhere when the level is gone removes itself.
**
** If the holder does not take the signal (it is blocked in that thread, or
** there is none to be used, as on Windows), the interrupter sets the hook
** itself, which is the best that is left.  Even then no Lua thread dies while
** its hook is being set: a runner that is about to leave it sees the level and
** comes to the mutex first; so does the hook before it takes the level back.
**
** lua_sethook is the only Lua function that is called with a mutex held.
*/
#include "interrupt.h"

#include "error.h"
#include "home.h"
#include "preempt.h"

/*
** Where calls are events (LuaJIT): not to be hit, as that could be when values
** are copied or an error is composed.
*/
static bool is_call_of_c(lua_State *L, lua_Debug *ar)
{
  return ar->event == LUA_HOOKCALL && lua_getinfo(L, "S", ar) &&
         *ar->what == 'C';
}

static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  mts_State *s = mts_home_of(L);
  int level;
  if (!s || is_call_of_c(L, ar)) /* code can have cleared the Lua registry */
    return;
  mts_lock_come(&s->lock);
  level = atomic_load(&s->interrupt);
  if (level == MTS_INTERRUPT_ONCE)
    atomic_store(&s->interrupt, MTS_INTERRUPT_NONE);
  if (level != MTS_INTERRUPT_ALWAYS)
    lua_sethook(L, NULL, 0, 0);
  mts_mutex_unlock(&s->lock.mutex);
  if (level != MTS_INTERRUPT_NONE)
    mts_error_raise(L, MTS_ERROR_INTERRUPTED, "the running code was stopped");
}

/* Runs in a signal handler, too. */
static void set_hook(void *state)
{
  mts_State *s = state;
  lua_sethook(atomic_load(&s->running), interrupt_hook, MTS_NEXT_OPERATION, 1);
}

/* Sets the hook in the thread that holds s, if there is one. */
static void hook_holder(mts_State *s) MTS_REQUIRES(s->lock.mutex)
{
  uintptr_t holder = mts_lock_pin(&s->lock);
  if (holder == 0 || atomic_load(&s->lock.holder_comes))
    return;
  if (holder == mts_state_thread() ||
      !mts_preempt_run((mts_Thread *)holder, set_hook, s))
    set_hook(s);
}

mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level)
{
  mts_Status status = MTS_OK;
  if (atomic_load(&s->lock.holder_comes)) /* after you */
    mts_clock_nap();
  mts_mutex_lock(&s->lock.mutex);
  if (mts_lock_is_closed(&s->lock))
    status = MTS_CLOSED;
  else if (level == MTS_INTERRUPT_NONE)
    atomic_store(&s->interrupt, level);
  else {
    /* Once does not end always. */
    if (atomic_load(&s->interrupt) != MTS_INTERRUPT_ALWAYS)
      atomic_store(&s->interrupt, level);
    hook_holder(s);
  }
  mts_mutex_unlock(&s->lock.mutex);
  return status;
}

void mts_interrupt_obey(mts_State *s)
{
  mts_lock_come(&s->lock);
  if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE)
    set_hook(s);
  mts_mutex_unlock(&s->lock.mutex);
}
