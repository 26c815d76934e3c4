/*
** interrupt.h - stopping Lua code that runs in a state
*/
#ifndef MTS_INTERRUPT_H
#define MTS_INTERRUPT_H

#include "base/compiler.h"

#include "core/interruptnode.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** To be called before all others.
** Returns: false if the environment names no signal that can be used.
*/
bool mts_interrupt_open(void);

/*
** Has the code of s hit by an interrupt, now or when it runs next;
** MTS_INTERRUPT_NONE takes that back.  For any thread that has a reference.
** Waits, without a lock, for the thread that holds s to set the hook, but not
** long: if that takes longer, the watcher takes care of it.
** Locks: takes s->lock.mutex and with it that of mts_signal_send; afterwards
** that of the watcher alone.
** Returns: MTS_OK, MTS_CLOSED.
*/
mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level);

/*
** The same, but does not wait and does not care whether the signal gets lost.
** Locks: takes s->lock.mutex and with it that of mts_signal_send.
*/
void mts_interrupt_post(mts_State *s, mts_Interrupt level);

/* ======================================================================= */
/* Cancelling a request                                                    */
/* ======================================================================= */

/*
** The thread that holds s begins, or ends, a request there: code of s that
** runs in between, but not in calls that are nested in it, is the task.
** Locks: mts_interrupt_end_task takes s->lock.mutex if the task was cancelled.
*/
static inline void mts_interrupt_begin_task(mts_State *s, const void *task)
{
  atomic_store(&s->interrupt.task, task);
}
void mts_interrupt_end_task(mts_State *s);

/*
** The same for a task that goes on later.
** Returns: whether it was cancelled, and its code was not hit by that.
*/
bool mts_interrupt_suspend_task(mts_State *s);

/*
** Has the code of that task raise `cancelled`, once: now, if it waits inside
** the module; at its next operation, if it runs; when it runs again, if code
** of other states runs.
** is_untold: is set before, and cleared when the code is going to be hit; if
** it is not set any more, the task is told by others.
** Locks: as mts_interrupt_request.
** Returns: whether s runs the task, else nothing happens.
*/
bool mts_interrupt_cancel(mts_State *s, const void *task,
                          atomic_bool *is_untold);

/* Whether the calling thread runs code of a task of s. */
static inline bool mts_interrupt_is_task(const mts_State *s)
{
  return mts_lock_is_held(&s->lock, mts_thread_id()) && s->depth == 1 &&
         atomic_load_explicit(&s->interrupt.task, memory_order_relaxed);
}

/*
** The task that the calling thread runs waits.  From mts_interrupt_begin_wait
** to mts_interrupt_end_wait the wait is finished if the task is cancelled, or
** the state closed.  is_told: the code gets to know that the task is
** cancelled; if it was and this is false, the code is hit later.
** Locks: take s->lock.mutex.
** Returns: MTS_OK; MTS_CANCELLED, MTS_ENDING if that has happened already.
*/
mts_Status mts_interrupt_begin_wait(mts_State *s, struct mts_Wait *wait);
void mts_interrupt_end_wait(mts_State *s, bool is_told);

/*
** The state is closing: the wait of its task, if it waits, is over.
** Locks: takes s->lock.mutex.
*/
void mts_interrupt_finish_wait(mts_State *s);

/* ======================================================================= */
/* Tracebacks                                                              */
/* ======================================================================= */

/* Whether somebody wants a traceback of s. */
static inline bool mts_interrupt_is_looked_at(const mts_State *s)
{
  return (atomic_load(&s->interrupt.level) & MTS_INTERRUPT_LOOK) != 0;
}

/* Parts of traceback.c: that is so from now on, or not any more. */
void mts_interrupt_look(mts_State *s, bool is_looked_at)
    MTS_REQUIRES(s->lock.mutex);

/*
** Has the thread that holds s set the hook, as for an interrupt.  Returns:
** false if it is known not to take the signal: then mts_interrupt_reach_others
** sets the hook in the other states that it holds, without a mutex.
** mts_interrupt_recheck: that thread has had the mutex.
** Locks: takes that of mts_signal_send; or those of the registry and of these
** states, one at a time.
*/
bool mts_interrupt_reach(mts_State *s, bool is_overdue)
    MTS_REQUIRES(s->lock.mutex);
void mts_interrupt_reach_others(const mts_State *s, uintptr_t holder);
void mts_interrupt_recheck(mts_State *s) MTS_REQUIRES(s->lock.mutex);

/* ======================================================================= */
/* Time limits                                                             */
/* ======================================================================= */

/*
** For the watcher: has the code of s, if some runs, look at the clock.
** is_first: of several tries, which it makes until that has happened.
** is_overdue: it has made many.
** Locks: takes s->lock.mutex and with it that of mts_signal_send.
*/
void mts_interrupt_post_late(mts_State *s, bool is_first, bool is_overdue);

/*
** The same for the code that the calling thread, which holds s, is going to
** run.
** Locks: takes s->lock.mutex.
*/
void mts_interrupt_note_late(mts_State *s);

/* ======================================================================= */
/* The thread that holds a state                                           */
/* ======================================================================= */

/*
** Part of mts_interrupt_leave, in hook.c: the running Lua thread, and the one
** that has resumed it, get their own hooks back.
*/
void mts_hook_leave(mts_State *s, const mts_Resume *resume);

/* Part of mts_interrupt_check. */
void mts_interrupt_obey(mts_State *s);

/*
** To be called by the thread that has just entered s: an interrupt that was
** requested before hits the code that it is going to run.
** Locks: takes s->lock.mutex if there is such an interrupt.
*/
static inline void mts_interrupt_check(mts_State *s)
{
  if (atomic_load(&s->interrupt.level) != MTS_INTERRUPT_NONE)
    mts_interrupt_obey(s);
}

/*
** Sets the running Lua thread of s, which may be NULL (L belongs to no state
** of this module): then nothing happens.
** Locks: as mts_interrupt_check.
** Returns: the one before, to be restored with this function.
*/
static inline lua_State *mts_interrupt_switch(mts_State *s, lua_State *L)
{
  lua_State *before = NULL;
  if (s) {
    before = atomic_load_explicit(&s->interrupt.running, memory_order_relaxed);
    if (before != L) {
      atomic_store(&s->interrupt.running, L);
      mts_interrupt_check(s);
    }
  }
  return before;
}

/*
** mts_interrupt_switch for the coroutine co that the Lua thread `from` makes
** run: to be entered directly before and left directly afterwards.  before:
** what mts_interrupt_enter has returned.  *resume must live in between.
** Locks: as mts_interrupt_check.
*/
static inline lua_State *mts_interrupt_enter(mts_State *s, mts_Resume *resume,
                                             lua_State *from, lua_State *co)
{
  if (s) {
    *resume = (mts_Resume){
        from,
        atomic_load_explicit(&s->interrupt.running, memory_order_relaxed),
        s->interrupt.resumes,
        {0}};
    s->interrupt.resumes = resume;
  }
  return mts_interrupt_switch(s, co);
}

static inline void mts_interrupt_leave(mts_State *s, const mts_Resume *resume,
                                       lua_State *before)
{
  if (s) {
    atomic_store_explicit(&s->interrupt.is_at_hooks, true,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (s->interrupt.user.hooked || resume->user.hooked)
      mts_hook_leave(s, resume);
    s->interrupt.resumes = resume->outer;
    mts_interrupt_switch(s, before);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&s->interrupt.is_at_hooks, false,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    mts_interrupt_check(s); /* a signal can have been in vain */
  }
}

MTS_END_HIDDEN

#endif
