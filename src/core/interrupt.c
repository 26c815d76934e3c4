/*
** interrupt.c - stopping Lua code that runs in a state
**
** An interrupt is a level, stored in the state, and a debug hook (hook.c) in
** the running Lua thread, a coroutine perhaps, which raises an error at the
** next operation of the virtual machine.
**
** lua_sethook walks the call frames of a Lua thread, and the OS thread that
** runs it can free them at any time.  So the thread that holds the state has
** to set the hook itself: in the handler of a signal (signal.c), where Lua
** allows it, or at certain moments (3).
**
** Protocol:
**
** 1. The interrupter takes the mutex of the call lock, stores the level, and
**    pins the thread that holds the state, if there is one, so that it can
**    neither leave the state nor end.  It sends that thread the signal and
**    releases the mutex.  If holder_wants_mutex is true no signal is needed.
**    One would even do harm: the holder would go back to the end of those that
**    wait for the mutex, and with many interrupts it would never get it.
** 2. The handler goes through the states that its thread holds and sets the
**    hook where there is a level.  It can run at any moment, also while the
**    thread itself calls lua_sethook.  That is harmless: the interrupted call
**    sets the same hook, or removes it where there is no level, or inside a
**    finalizer, which is not to be hit.
** 3. A thread that has taken a state, or has changed its running Lua thread,
**    reads the level afterwards and sets the hook if there is one, under the
**    mutex.
** 4. If the code was not hit at once, the state is watched (watch.c): the
**    signal is sent again until the hook has run, the level is gone, or no
**    thread holds the state; `progress` tells.  For a signal can get lost, and
**    so can the hook: the interpreter of Lua 5.4 reads the hook mask, is
**    interrupted, and then notes that there is no hook; and LuaJIT can be
**    interrupted between computing and patching its dispatch table, which is
**    made up for when the hook is set again, a moment later.
** 5. If the holder is known not to take the signal (it blocks the signal, or
**    there is none to be used, as on Windows), the hook is set from outside,
**    which is the best that is left.  "Not known" never leads there: then the
**    level stays, for the next try or the next call.
** 6. To cancel a request is to interrupt, once, the code of its task: what
**    runs in the state at the level of the request.  The level gets AIMED
**    added, if the state runs that task; this is found out under the mutex,
**    after AIMED was stored.  The holder stores that the task has ended and
**    then looks for AIMED, to take it back.  So the next request is never hit.
**    The hook does not hit calls that are nested in the task; when such a call
**    ends, it is set again.  A task that waits inside the module has noted its
**    wait under the mutex: then the wait is finished instead.
** 7. A call whose time is over is stopped in the same way: LATE is added to
**    the level, and the hook decides by the clock what it hits; see
**    timelimit.c.
** 8. Closing ends interrupts: no level is stored once the lock is closed, and
**    the closing thread clears the last one.
**
** Invariants:
**
** - While code of a state runs and there is a level, the hook is set, or a
**   signal is on its way, or an interrupter or the holder has the mutex or is
**   about to take it, or the state is watched.  This rests on sequential
**   consistency: interrupter and holder each store something and then look,
**   so at least one of them sees what the other has stored.
** - No Lua thread dies while its hook is set from outside: an OS thread that
**   switches away from it sees the level and takes the mutex first, and the
**   hook takes the mutex before it clears the level.
** - No thread waits for another one with a mutex held.  The interrupter waits
**   for the hook to be set, for PATIENCE at most, without a lock; it sleeps in
**   between, so that a thread of lower priority gets the processor.
** - lua_sethook is the only function of Lua that is called with a mutex held.
*/
#include "core/interrupt.h"

#include <stddef.h>
#include <stdlib.h>

#include "async_util.h"
#include "base/process.h"
#include "core/hook.h"
#include "core/registry.h"
#include "core/signal.h"
#include "core/wait.h"

/* Seconds that an interrupter waits for the hook to be set. */
#define PATIENCE 0.5

/* Seconds until the watcher tries for the first time. */
#define FIRST_DELAY 1e-3

/* With this delay or a longer one it has tried many times. */
#define OVERDUE 0.25

/* ======================================================================= */
/* The thread that holds the state                                         */
/* ======================================================================= */

static bool has_level(const mts_InterruptNode *node)
{
  return atomic_load(&node->level) != MTS_INTERRUPT_NONE;
}

/*
** Called by the signal handler.  Touches mts_self and the atomic fields of the
** states that the thread holds, and calls nothing of Lua but lua_sethook.
*/
static void set_hooks_of_thread(void)
{
  mts_State *s;
  bool is_looked_at = false;
  mts_signal_take(&mts_self.signal);
  for (s = atomic_load(&mts_self.held); s; s = s->outer_held)
    is_looked_at = is_looked_at || mts_interrupt_is_looked_at(s);
  for (s = atomic_load(&mts_self.held); s; s = s->outer_held)
    if (!atomic_load(&s->interrupt.is_at_hooks) &&
        (has_level(&s->interrupt) ||
         (is_looked_at && atomic_load(&s->innermost))))
      mts_hook_set(&s->interrupt);
}

/* For the holder, to be called whenever it has had the mutex. */
static void set_hook_if_due(mts_State *s) MTS_REQUIRES(s->lock.mutex)
{
  const bool was_there = atomic_exchange(&s->interrupt.is_at_hooks, true);
  if (has_level(&s->interrupt))
    mts_hook_set(&s->interrupt);
  atomic_store(&s->interrupt.is_at_hooks, was_there);
}

void mts_interrupt_obey(mts_State *s)
{
  mts_lock_acquire_mutex(&s->lock);
  set_hook_if_due(s);
  mts_mutex_unlock(&s->lock.mutex);
}

/* ======================================================================= */
/* Requests                                                                */
/* ======================================================================= */

/*
** Has the hook set by the thread that holds s, if there is one.
** Returns: whether another thread holds s and may miss it: then the caller
** has to make sure that the code is hit.
*/
static bool send_to_holder(mts_State *s, bool is_overdue, bool *is_refused)
    MTS_REQUIRES(s->lock.mutex)
{
  uintptr_t holder = mts_lock_pin(&s->lock);
  if (holder == 0 || holder == mts_lock_parker(&s->lock) ||
      atomic_load(&s->lock.holder_wants_mutex))
    return false;
  if (holder == mts_thread_id()) {
    set_hook_if_due(s);
    return false;
  }
  *is_refused = !mts_signal_send(&((mts_Thread *)holder)->signal, is_overdue);
  if (*is_refused && !s->is_host)
    mts_hook_set(&s->interrupt);
  return true;
}

static bool reach_holder(mts_State *s, bool is_overdue)
    MTS_REQUIRES(s->lock.mutex)
{
  bool is_refused;
  return send_to_holder(s, is_overdue, &is_refused);
}

static int progress_of(const mts_State *s)
{
  return atomic_load(&s->interrupt.progress);
}

static bool is_pending(const mts_State *s)
{
  return has_level(&s->interrupt) && progress_of(s) != MTS_INTERRUPT_HOOK_RUN;
}

/*
** Called by the watcher; gives its reference back when it is over.  Each delay
** is twice the one before: a signal can end a system call early, which is then
** repeated; however long the call takes, at last it fits into a delay.
*/
static double request_again(mts_Watch *watch)
{
  mts_State *s =
      (mts_State *)((char *)watch - offsetof(mts_State, interrupt.watch));
  double delay = s->interrupt.delay > 0 ? s->interrupt.delay : FIRST_DELAY;
  bool is_overdue =
      delay >= OVERDUE && progress_of(s) == MTS_INTERRUPT_REQUESTED;
  bool goes_on;
  mts_mutex_lock(&s->lock.mutex);
  goes_on = is_pending(s) && reach_holder(s, is_overdue);
  mts_mutex_unlock(&s->lock.mutex);
  delay = goes_on ? 2 * delay : 0;
  s->interrupt.delay = delay;
  if (!goes_on)
    mts_state_release(s);
  return delay;
}

/* The level with which interrupts hit. */
static int plain_level(int level)
{
  return level & MTS_INTERRUPT_PLAIN;
}

/* Waits until the hook is set, or need not be any more. */
static void await_hook(mts_State *s)
{
  int cancel_state = mts_cancel_disable();
  double deadline = mts_clock_now() + PATIENCE;
  while (is_pending(s) && progress_of(s) == MTS_INTERRUPT_REQUESTED &&
         !mts_lock_is_free(&s->lock) && mts_clock_now() < deadline)
    mts_clock_pause();
  mts_cancel_restore(cancel_state);
}

static void watch_state(mts_State *s)
{
  mts_state_retain(s);
  if (!mts_watch_start(&s->interrupt.watch, request_again,
                       mts_clock_now() + FIRST_DELAY))
    mts_state_release(s);
}

/*
** Stores the level and reaches the thread that holds s.
** Returns: as mts_interrupt_request; *is_sent: as reach_holder.
*/
static mts_Status send_level(mts_State *s, mts_Interrupt level, bool *is_sent)
{
  mts_Status status = MTS_OK;
  *is_sent = false;
  if (atomic_load(&s->lock.holder_wants_mutex)) /* it goes first */
    mts_clock_pause();
  mts_mutex_lock(&s->lock.mutex);
  if (mts_lock_is_closed(&s->lock))
    status = MTS_CLOSED;
  else {
    const int before = atomic_load(&s->interrupt.level);
    /* "Once" does not end "always". */
    if (level == MTS_INTERRUPT_NONE ||
        plain_level(before) != MTS_INTERRUPT_ALWAYS)
      atomic_store(&s->interrupt.level,
                   (int)level | (before & ~MTS_INTERRUPT_PLAIN));
    if (level != MTS_INTERRUPT_NONE) {
      atomic_store(&s->interrupt.progress, MTS_INTERRUPT_REQUESTED);
      *is_sent = reach_holder(s, false);
    }
  }
  mts_mutex_unlock(&s->lock.mutex);
  return status;
}

void mts_interrupt_post(mts_State *s, mts_Interrupt level)
{
  bool is_sent;
  (void)send_level(s, level, &is_sent);
}

mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level)
{
  bool is_sent;
  mts_Status status = send_level(s, level, &is_sent);
  if (is_sent) {
    await_hook(s);
    if (is_pending(s))
      watch_state(s);
  }
  return status;
}

/* ======================================================================= */
/* Cancelling a request                                                    */
/* ======================================================================= */

static void take_aim_back(mts_State *s) MTS_REQUIRES(s->lock.mutex)
{
  atomic_fetch_and(&s->interrupt.level, ~MTS_INTERRUPT_AIMED);
}

static bool is_aimed(const mts_State *s)
{
  return (atomic_load(&s->interrupt.level) & MTS_INTERRUPT_AIMED) != 0;
}

/*
** Stores the aim if s runs that task, and others do not tell it; the holder
** stores that it does not and then looks for an aim.
** Returns: whether s runs it; *is_aiming: whether the aim is the caller's.
*/
static bool aim(mts_State *s, const void *task, atomic_bool *is_untold,
                bool *is_aiming) MTS_REQUIRES(s->lock.mutex)
{
  const bool was_aimed = is_aimed(s);
  bool is_running;
  atomic_fetch_or(&s->interrupt.level, MTS_INTERRUPT_AIMED);
  is_running = atomic_load(&s->interrupt.task) == task;
  *is_aiming = is_running && atomic_exchange(is_untold, false);
  if (!*is_aiming && !was_aimed)
    take_aim_back(s);
  return is_running;
}

static bool is_cancelled(const mts_Wait *wait)
{
  return atomic_load(&wait->outcome) == MTS_CANCELLED;
}

/* Returns: whether the task waits, and is told there that it is cancelled. */
static bool cancel_wait(mts_Wait *wait, mts_Wakes *wakes)
{
  return wait &&
         (mts_wait_finish(wait, MTS_CANCELLED, wakes) || is_cancelled(wait));
}

bool mts_interrupt_cancel(mts_State *s, const void *task,
                          atomic_bool *is_untold)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  bool is_sent = false, is_running = false, is_aiming = false;
  mts_mutex_lock(&s->lock.mutex);
  if (!mts_lock_is_closed(&s->lock))
    is_running = aim(s, task, is_untold, &is_aiming);
  if (is_aiming) {
    if (cancel_wait(s->interrupt.wait, &wakes))
      take_aim_back(s);
    else {
      atomic_store(&s->interrupt.progress, MTS_INTERRUPT_REQUESTED);
      is_sent = reach_holder(s, false);
    }
  }
  mts_mutex_unlock(&s->lock.mutex);
  mts_wakes_wake(&wakes);
  if (is_sent)
    watch_state(s);
  return is_running;
}

bool mts_interrupt_suspend_task(mts_State *s)
{
  bool was_aimed = false;
  atomic_store(&s->interrupt.task, NULL);
  if (is_aimed(s)) {
    mts_lock_acquire_mutex(&s->lock);
    was_aimed = is_aimed(s);
    take_aim_back(s);
    mts_mutex_unlock(&s->lock.mutex);
  }
  return was_aimed;
}

void mts_interrupt_end_task(mts_State *s)
{
  (void)mts_interrupt_suspend_task(s);
}

mts_Status mts_interrupt_begin_wait(mts_State *s, mts_Wait *wait)
{
  mts_Status status = MTS_OK;
  mts_lock_acquire_mutex(&s->lock);
  if (is_aimed(s)) {
    take_aim_back(s);
    status = MTS_CANCELLED;
  }
  else if (mts_lockword_is_ending(atomic_load(&s->lock.word)))
    status = MTS_ENDING;
  else
    s->interrupt.wait = wait;
  set_hook_if_due(s);
  mts_mutex_unlock(&s->lock.mutex);
  return status;
}

void mts_interrupt_end_wait(mts_State *s, bool is_told)
{
  mts_lock_acquire_mutex(&s->lock);
  if (is_cancelled(s->interrupt.wait) && !is_told)
    atomic_fetch_or(&s->interrupt.level, MTS_INTERRUPT_AIMED);
  s->interrupt.wait = NULL;
  set_hook_if_due(s);
  mts_mutex_unlock(&s->lock.mutex);
}

void mts_interrupt_finish_wait(mts_State *s)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_mutex_lock(&s->lock.mutex);
  if (s->interrupt.wait)
    (void)mts_wait_finish(s->interrupt.wait, MTS_ENDING, &wakes);
  mts_mutex_unlock(&s->lock.mutex);
  mts_wakes_wake(&wakes);
}

/* ======================================================================= */
/* Tracebacks                                                              */
/* ======================================================================= */

void mts_interrupt_look(mts_State *s, bool is_looked_at)
{
  if (is_looked_at)
    atomic_fetch_or(&s->interrupt.level, MTS_INTERRUPT_LOOK);
  else
    atomic_fetch_and(&s->interrupt.level, ~MTS_INTERRUPT_LOOK);
}

bool mts_interrupt_reach(mts_State *s, bool is_overdue)
{
  bool is_refused = false;
  (void)send_to_holder(s, is_overdue, &is_refused);
  return !is_refused;
}

void mts_interrupt_reach_others(const mts_State *s, uintptr_t holder)
{
  mts_State **states;
  size_t count, i;
  if (mts_registry_list(&states, &count) != MTS_OK)
    return;
  for (i = 0; i < count; i++) {
    mts_State *other = states[i];
    if (other != s && mts_lock_is_held(&other->lock, holder)) {
      mts_mutex_lock(&other->lock.mutex);
      if (mts_lock_pin(&other->lock) == holder && !other->is_host) {
        mts_interrupt_look(other, true); /* to switch now takes the mutex */
        if (atomic_load(&other->innermost))
          mts_hook_set(&other->interrupt);
        mts_interrupt_look(other, other->interrupt.tracebacks != NULL);
      }
      mts_mutex_unlock(&other->lock.mutex);
    }
    mts_state_release(other);
  }
  free(states);
}

void mts_interrupt_recheck(mts_State *s)
{
  set_hook_if_due(s);
}

/* ======================================================================= */
/* Time limits                                                             */
/* ======================================================================= */

void mts_interrupt_post_late(mts_State *s, bool is_first, bool is_overdue)
{
  mts_mutex_lock(&s->lock.mutex);
  if (!mts_lock_is_closed(&s->lock)) {
    atomic_fetch_or(&s->interrupt.level, MTS_INTERRUPT_LATE);
    if (is_first)
      atomic_store(&s->interrupt.progress, MTS_INTERRUPT_REQUESTED);
    (void)reach_holder(s, is_overdue &&
                              progress_of(s) == MTS_INTERRUPT_REQUESTED);
  }
  mts_mutex_unlock(&s->lock.mutex);
}

void mts_interrupt_note_late(mts_State *s)
{
  mts_lock_acquire_mutex(&s->lock);
  atomic_fetch_or(&s->interrupt.level, MTS_INTERRUPT_LATE);
  set_hook_if_due(s);
  mts_mutex_unlock(&s->lock.mutex);
}

/* ======================================================================= */
/* Open                                                                    */
/* ======================================================================= */

/* The kernel has another id for the thread that forked there. */
static void after_fork_in_child(void)
{
  mts_watch_after_fork_in_child();
  mts_usage_after_fork_in_child();
  if (mts_self.is_ready)
    mts_signal_init_target(&mts_self.signal);
}

static void install_fork_handlers(void)
{
  mts_process_on_fork(mts_watch_before_fork, mts_watch_after_fork_in_parent,
                      after_fork_in_child);
}

bool mts_interrupt_open(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  return pthread_once(&once, install_fork_handlers) == 0 &&
         mts_signal_open(set_hooks_of_thread);
}
