/*
** interrupt.c - stopping Lua code that runs in a state
**
** An interrupt is a debug hook that raises an error at the next operation of
** the virtual machine.  It has to sit in the Lua thread that really runs, a
** coroutine perhaps, which s->running tells (see coroutine.c).
**
** lua_sethook walks the call frames of a Lua thread, which the OS thread that
** runs it frees at any time.  So that thread has to do it itself: in the
** handler of a signal (see preempt.c), where Lua allows it, or when it comes
** by:
**
** 1. The interrupter takes s->lock.mutex, stores the level, pins the thread
**    that holds the state, if there is one, so that it can neither leave the
**    state nor end, sends it the signal, and releases the mutex.  If the
**    holder is on its way to the mutex, which `holder_wants_mutex` tells, no
**    signal is needed, and it would put the holder back to the end of those
**    who wait for the mutex: under many interrupts it would never get there.
** 2. The handler goes through the states that its thread holds and sets the
**    hook where there is a level.  It can run at any moment, also while the
**    thread itself calls lua_sethook.  That puts the same hook, or takes it
**    away: because there is no level, or inside a finalizer, where it is put
**    again later (7).
** 3. A thread that takes a state, or changes s->running, reads the level
**    afterwards, and sets the hook if there is one, under the mutex.
** 4. All that is sequentially consistent: of store and look, the interrupter's
**    and the holder's, at least one sees what the other wrote.  So while code
**    of s runs and there is a level, the hook is set, or a signal is on its
**    way, or an interrupter or the holder has the mutex or is coming to it, or
**    the state is watched (6).
** 5. A hook that is left somewhere when the level is gone removes itself.
** 6. A signal can get lost, and so can the hook: the interpreter of Lua 5.4
**    reads the hook mask, is interrupted, and then notes that there is no
**    hook; LuaJIT can be interrupted between computing and patching its
**    dispatch table.  It makes up for that when the hook is set again, a
**    moment later.  So a state whose code was not hit at once is watched (see
**    watch.c): the signal is sent again until the hook has run, which
**    s->progress tells, the level is gone, or nobody holds the state.
** 7. Finalizers are not to be hit, nor hooks of the debug library, nor
**    coroutines that these resume.  Lua runs no hooks in the Lua thread that a
**    finalizer runs on, but in coroutines that it resumes it does.  So the
**    hook asks each Lua thread that has resumed another one whether it runs
**    hooks.  If one does not, the hook only removes itself.  The level stays:
**    when the coroutine is left, rule 3 sets the hook in the Lua thread that
**    resumed it, which takes effect after the finalizer.  (In LuaJIT hooks are
**    a matter of the whole state, so it runs none there.)
** 8. Closing ends interrupts: no level is stored once the lock is closed, and
**    the closing thread clears the last one.
**
** If it is known that the holder does not take the signal (it blocks it, or
** there is none to be used, as on Windows), the hook is set from outside,
** which is the best that is left.  Even then no Lua thread dies while its hook
** is being set: a runner that is about to leave it sees the level and comes to
** the mutex first; so does the hook before it takes the level back.  "Not
** known" never leads there: then the level stays, to be tried again and to be
** there at the next call.
**
** Nobody waits for another thread with a mutex held.  An interrupter waits for
** the hook to be set, for PATIENCE at most, with no lock; it sleeps in
** between, so a thread of lower priority gets the processor.
**
** lua_sethook is the only Lua function that is called with a mutex held.
*/
#include "core/interrupt.h"

#include <stddef.h>

#include "error.h"
#include "core/anchor.h"
#include "core/signal.h"
#include "luaapi/protect.h"

/* What became of the last request: mts_State.progress. */
enum { REQUESTED, HOOK_IS_SET, HOOK_HAS_RUN };

/* Seconds that an interrupter waits for the hook to be set. */
#define PATIENCE 0.5

/* ======================================================================= */
/* The hook                                                                */
/* ======================================================================= */

/*
** Where calls are events (LuaJIT): not to be hit, as that could be when values
** are copied or an error is composed.
*/
static bool is_call_of_c(lua_State *L, lua_Debug *ar)
{
  return ar->event == LUA_HOOKCALL && lua_getinfo(L, "S", ar) &&
         *ar->what == 'C';
}

static MTS_THREAD_LOCAL bool probe_has_run;

static void probe_hook(lua_State *L, lua_Debug *ar)
{
  (void)L;
  (void)ar;
  probe_has_run = true;
}

static int do_nothing(lua_State *L, void *data)
{
  (void)L;
  (void)data;
  return 0;
}

/*
** Whether Lua runs hooks in L, which is inside the function that has resumed
** another Lua thread.  Nothing tells, so one is tried.
*/
static bool runs_hooks(lua_State *L)
{
  lua_Hook hook = lua_gethook(L);
  int mask = lua_gethookmask(L);
  int count = lua_gethookcount(L);
  if (!mts_protect_grow_beyond(L, 2))
    return false;
  probe_has_run = false;
  lua_sethook(L, probe_hook, LUA_MASKCALL, 0);
  mts_protect_push(L);
  if (mts_protect(L, do_nothing, NULL, 0, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    probe_has_run = true; /* not known: calls in L are nested too deep */
  }
  lua_sethook(L, hook, mask, count);
  return probe_has_run;
}

/* Whether the code that runs in L, of s, was called by a finalizer or hook. */
static bool is_in_finalizer(mts_State *s, lua_State *L)
{
  const mts_Resume *resume;
  lua_State *known = atomic_load(&s->running);
  if (MTS_HOOKS_ARE_GLOBAL)
    return false;
  if (known != L && !runs_hooks(known)) /* C code has resumed L */
    return true;
  for (resume = s->resumes; resume; resume = resume->outer)
    if (!runs_hooks(resume->from) ||
        (resume->known != resume->from && !runs_hooks(resume->known)))
      return true;
  return false;
}

static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  mts_State *s = mts_anchor_find_state(L);
  int level = MTS_INTERRUPT_NONE;
  bool may_hit;
  if (!s || is_call_of_c(L, ar)) /* code can have cleared the Lua registry */
    return;
  may_hit = !is_in_finalizer(s, L);
  mts_lock_acquire_mutex(&s->lock);
  if (may_hit) {
    level = atomic_load(&s->interrupt);
    atomic_store(&s->progress, HOOK_HAS_RUN);
    if (level == MTS_INTERRUPT_ONCE)
      atomic_store(&s->interrupt, MTS_INTERRUPT_NONE);
  }
  if (level != MTS_INTERRUPT_ALWAYS)
    lua_sethook(L, NULL, 0, 0);
  mts_mutex_unlock(&s->lock.mutex);
  if (level != MTS_INTERRUPT_NONE)
    mts_error_raise(L, MTS_ERROR_INTERRUPTED, "the running code was stopped");
}

static void set_hook(mts_State *s)
{
  lua_sethook(atomic_load(&s->running), interrupt_hook, MTS_NEXT_OPERATION, 1);
  atomic_store(&s->progress, HOOK_IS_SET);
}

/* In a signal handler. */
static void set_hooks_of_thread(void)
{
  mts_State *s;
  mts_signal_take(&mts_self.thread);
  for (s = atomic_load(&mts_self.held); s; s = s->outer_held)
    if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE)
      set_hook(s);
}

void mts_interrupt_obey(mts_State *s)
{
  mts_lock_acquire_mutex(&s->lock);
  if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE)
    set_hook(s);
  mts_mutex_unlock(&s->lock.mutex);
}

/* ======================================================================= */
/* Requests                                                                */
/* ======================================================================= */

/*
** Has the hook set in the thread that holds s, if there is one.  Returns
** whether that has to be looked after.
*/
static bool reach_holder(mts_State *s, bool is_overdue)
    MTS_REQUIRES(s->lock.mutex)
{
  uintptr_t holder = mts_lock_pin(&s->lock);
  if (holder == 0 || atomic_load(&s->lock.holder_wants_mutex))
    return false;
  if (holder == mts_state_thread()) {
    set_hook(s);
    return false;
  }
  if (!mts_signal_send((mts_Thread *)holder, is_overdue))
    set_hook(s);
  return true;
}

static bool is_pending(mts_State *s)
{
  return atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE &&
         atomic_load(&s->progress) != HOOK_HAS_RUN;
}

/* Called by the watcher; gives its reference back when it is over. */
static bool request_again(mts_Watch *watch)
{
  mts_State *s = (mts_State *)((char *)watch - offsetof(mts_State, watch));
  bool is_overdue = watch->delay >= MTS_WATCH_OVERDUE &&
                    atomic_load(&s->progress) == REQUESTED;
  bool goes_on;
  mts_mutex_lock(&s->lock.mutex);
  goes_on = is_pending(s) && reach_holder(s, is_overdue);
  mts_mutex_unlock(&s->lock.mutex);
  if (!goes_on)
    mts_state_release(s);
  return goes_on;
}

/* Waits until the hook is set, or there is no need to. */
static void await_hook(mts_State *s)
{
  int cancel_state = mts_cancel_disable();
  double deadline = mts_clock_now() + PATIENCE;
  while (is_pending(s) && atomic_load(&s->progress) == REQUESTED &&
         !mts_lock_is_free(&s->lock) && mts_clock_now() < deadline)
    mts_thread_pause();
  mts_cancel_restore(cancel_state);
}

static void watch(mts_State *s)
{
  mts_state_retain(s);
  if (!mts_watch_start(&s->watch, request_again))
    mts_state_release(s);
}

mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level)
{
  mts_Status status = MTS_OK;
  bool is_sent = false;
  if (atomic_load(&s->lock.holder_wants_mutex)) /* after you */
    mts_thread_pause();
  mts_mutex_lock(&s->lock.mutex);
  if (mts_lock_is_closed(&s->lock))
    status = MTS_CLOSED;
  else if (level == MTS_INTERRUPT_NONE)
    atomic_store(&s->interrupt, level);
  else {
    /* Once does not end always. */
    if (atomic_load(&s->interrupt) != MTS_INTERRUPT_ALWAYS)
      atomic_store(&s->interrupt, level);
    atomic_store(&s->progress, REQUESTED);
    is_sent = reach_holder(s, false);
  }
  mts_mutex_unlock(&s->lock.mutex);
  if (is_sent) {
    await_hook(s);
    if (is_pending(s))
      watch(s);
  }
  return status;
}

/* ======================================================================= */
/* Open                                                                    */
/* ======================================================================= */

static void after_fork_in_parent(void)
{
  mts_watch_after_fork(false);
}

/* The thread that forked has another number there. */
static void after_fork_in_child(void)
{
  mts_watch_after_fork(true);
  if (mts_self.thread.is_ready)
    mts_signal_init_thread(&mts_self.thread);
}

static void handle_fork(void)
{
  mts_fork_handlers(mts_watch_before_fork, after_fork_in_parent,
                    after_fork_in_child);
}

bool mts_interrupt_open(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  return pthread_once(&once, handle_fork) == 0 &&
         mts_signal_open(set_hooks_of_thread);
}
