/*
** lock.c - the call lock of a state
**
** The lock is a word, a mutex, and a queue of waiters.  The word names the
** thread that holds the lock (see lockword.h).  Without contention, entering
** and leaving are one compare-and-swap each.  Everything else happens under
** the mutex, which is held for moments only (but see interrupt.c): waiting,
** which is in lockqueue.c, and closing.
**
** States of the word:
**
**   0                         free
**   CONTENDED                 free; the first waiter, if any, has been woken
**   thread                    held
**   thread CONTENDED          held; the thread takes the mutex to leave
**   thread CONTENDED CLOSING  held; the thread closes the lock when it leaves
**   CLOSED                    closed for good
**
** A word that names a thread can have REQUESTED, too: see mts_lock_request.
**
** Transitions; all but the first two under the mutex:
**
**   enter           free to held; CONTENDED stays.  This is barging: a running
**                   thread can get in before those that wait, which costs much
**                   less than a switch of threads for each call.
**   leave           held to 0.  This swap fails if the word has a flag; then
**                   the thread takes the mutex and releases the lock.
**   release         held to 0, or to CONTENDED if the first waiter is woken,
**                   or to held by the first waiter.  The last is a hand-off:
**                   the lock is not free in between.  With CLOSING: to CLOSED.
**   pin             held to held CONTENDED.
**   request         held to held CONTENDED REQUESTED.  Each release ends that.
**   quit            held to held REQUESTED, by the holder.
**   back-off        held CONTENDED to held, by the first waiter.
**   close           free to CLOSED; or, if something has to be done before, to
**                   thread CONTENDED CLOSING: the thread does that, and
**                   leaves.
**   take over       parker CONTENDED CLOSING to thread CONTENDED CLOSING, by
**                   the thread that alone may do what has to be done.
**   deferred close  held to held CONTENDED CLOSING.
**   keep            The same, by a holder that leaves, and so does not leave.
**   close held      held to CLOSED, by the holder.
**
** Invariants:
**
** 1. A pinned thread holds the lock as long as the mutex is held.
** 2. A thread that sees, under the mutex, that the lock is not closed can rely
**    on that until it releases the mutex.
** 3. With CLOSING or CLOSED, no thread gets in, and all waiters have been
**    woken to find that out.
** 4. holder_wants_mutex is true while the holder is about to take the mutex:
**    in mts_lock_acquire_mutex, or after a hand-off until it runs again.  When
**    it has had the mutex it looks for interrupts (see interrupt.c).
** 5. No wake-up is lost: see lockqueue.c.
*/
#include "core/lock.h"

#include "core/lockqueue.h"
#include "core/thread.h"
#include "core/timelimit.h"
#include "core/trace.h"
#include "core/waitgraph.h"

/* How often a thread tries to get in before it sleeps. */
#define SPINS_BEFORE_SLEEP 50

void mts_lock_init(mts_Lock *lock, uintptr_t thread)
{
  atomic_init(&lock->word, thread);
  atomic_init(&lock->calls, 0);
  atomic_init(&lock->holder_wants_mutex, false);
  atomic_init(&lock->is_backing_off, false);
  mts_mutex_init(&lock->mutex);
  lock->first = lock->last = NULL;
  lock->is_kept = lock->is_taken = false;
  atomic_init(&lock->quits, false);
}

void mts_lock_destroy(mts_Lock *lock)
{
  mts_mutex_destroy(&lock->mutex);
}

/* ======================================================================= */
/* Enter and leave                                                         */
/* ======================================================================= */

static mts_Status wait_to_enter(mts_Lock *lock, uintptr_t thread,
                                double timeout)
{
  double deadline = mts_clock_deadline(timeout);
  mts_WaitEdge edge = {.thread = thread,
                       .word = &lock->word,
                       .state = (const mts_State *)lock}; /* its first part */
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  if (deadline != MTS_FOREVER)
    status = mts_lockqueue_wait(lock, thread, deadline);
  else if (mts_waitgraph_add(&edge)) {
    status = mts_lockqueue_wait(lock, thread, deadline);
    mts_waitgraph_remove(&edge);
  }
  else
    status = MTS_DEADLOCK;
  mts_mutex_unlock(&lock->mutex);
  return status;
}

mts_Status mts_lock_enter_slow(mts_Lock *lock, uintptr_t thread,
                               double timeout)
{
  mts_Status status = mts_lockword_take(&lock->word, thread);
  int spins;
  if (timeout <= 0)
    return status;
  for (spins = 0; status == MTS_BUSY && spins < SPINS_BEFORE_SLEEP &&
                  !atomic_load(&lock->is_backing_off);
       spins++) {
    mts_spin_pause();
    status = mts_lockword_take(&lock->word, thread);
  }
  if (status != MTS_BUSY)
    return status;
  if (!mts_thread_begin_wait())
    return MTS_NO_MEMORY;
  mts_timelimit_pause();
  mts_trace_begin(MTS_TRACE_ENTER, (const mts_State *)lock);
  status = wait_to_enter(lock, thread, timeout);
  mts_trace_end();
  mts_thread_end_wait();
  mts_timelimit_resume();
  return status;
}

void mts_lock_acquire_mutex(mts_Lock *lock)
{
  atomic_store(&lock->holder_wants_mutex, true);
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->holder_wants_mutex, false);
}

static void defer_close(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  atomic_fetch_or(&lock->word, MTS_WORD_CONTENDED | MTS_WORD_CLOSING);
  mts_lockqueue_wake_all(lock);
}

/* For the holder of a lock that is to be closed. */
static mts_LockLeft leave_closing(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  if (!lock->is_kept && !atomic_load(&lock->quits)) {
    atomic_store(&lock->word, MTS_WORD_CLOSED);
    return MTS_LOCK_LEFT_CLOSED;
  }
  lock->is_kept = false;
  lock->is_taken = true;
  atomic_store(&lock->quits, false);
  defer_close(lock);
  return MTS_LOCK_KEPT;
}

mts_LockLeft mts_lock_leave_slow(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = thread;
  mts_LockLeft left = MTS_LOCK_LEFT;
  if (!atomic_load(&lock->is_backing_off) &&
      atomic_compare_exchange_strong(&lock->word, &word, 0))
    return MTS_LOCK_LEFT;
  mts_lock_acquire_mutex(lock);
  word = atomic_load(&lock->word);
  if (mts_lockword_is_ending(word) || atomic_load(&lock->quits))
    left = leave_closing(lock);
  else {
    mts_lockqueue_release(lock);
    if (word & MTS_WORD_REQUESTED)
      left = MTS_LOCK_LEFT_REQUESTED;
  }
  mts_mutex_unlock(&lock->mutex);
  return left;
}

bool mts_lock_pass(mts_Lock *lock, uintptr_t from, uintptr_t to)
{
  uintptr_t word = atomic_load(&lock->word);
  do {
    if (mts_lockword_holder(word) != from || mts_lockword_is_ending(word) ||
        atomic_load(&lock->quits))
      return false;
  } while (!atomic_compare_exchange_weak(&lock->word, &word,
                                         to | (word & MTS_WORD_FLAGS)));
  return true;
}

bool mts_lock_request(mts_Lock *lock)
{
  bool is_held;
  mts_mutex_lock(&lock->mutex);
  is_held = mts_lock_pin(lock) != 0 && !mts_lock_lacks_closer(lock);
  if (is_held)
    atomic_fetch_or(&lock->word, MTS_WORD_REQUESTED);
  mts_mutex_unlock(&lock->mutex);
  return is_held;
}

void mts_lock_look(mts_Lock *lock, size_t *waiting, long *thread)
{
  uintptr_t holder;
  mts_mutex_lock(&lock->mutex);
  *waiting = mts_lockqueue_count(lock);
  holder = mts_lock_pin(lock);
  *thread = holder != 0 && holder != mts_lock_parker(lock)
                ? ((const mts_Thread *)holder)->signal.kernel_id
                : 0;
  mts_mutex_unlock(&lock->mutex);
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

static mts_Status close_if_free(mts_Lock *lock, uintptr_t closer)
    MTS_REQUIRES(lock->mutex)
{
  const bool is_kept = lock->is_kept || closer != mts_thread_id();
  const uintptr_t last = is_kept
                             ? closer | MTS_WORD_CONTENDED | MTS_WORD_CLOSING
                             : MTS_WORD_CLOSED;
  const mts_Status status =
      mts_lockword_close(&lock->word, mts_lock_parker(lock), last);
  if (status == MTS_OK) {
    lock->is_kept = false;
    lock->is_taken = is_kept;
    mts_lockqueue_wake_all(lock);
  }
  return status;
}

/*
** The same, but with MTS_BUSY the thread that holds the lock is pinned:
** *holder.
*/
static mts_Status close_or_pin(mts_Lock *lock, uintptr_t closer,
                               uintptr_t *holder) MTS_REQUIRES(lock->mutex)
{
  mts_Status status;
  *holder = 0;
  do { /* again if the holder leaves in between */
    status = close_if_free(lock, closer);
  } while (status == MTS_BUSY && (*holder = mts_lock_pin(lock)) == 0);
  return status;
}

/* Whether that thread, not the calling one, holds the lock for requests. */
static bool is_served_by(const mts_Lock *lock, uintptr_t holder)
{
  return holder != mts_thread_id() &&
         atomic_load(&((const mts_Thread *)holder)->served) == (void *)lock;
}

bool mts_lock_is_in_use(mts_Lock *lock)
{
  uintptr_t holder;
  bool is_in_use;
  mts_mutex_lock(&lock->mutex);
  holder = mts_lock_pin(lock);
  is_in_use = holder != 0 && holder != mts_lock_parker(lock) &&
              !(lock->is_taken && holder != mts_thread_id()) &&
              !is_served_by(lock, holder);
  mts_mutex_unlock(&lock->mutex);
  return is_in_use;
}

static mts_LockClose close_lock(mts_Lock *lock, uintptr_t closer,
                                bool has_to_be_served)
    MTS_REQUIRES(lock->mutex)
{
  uintptr_t holder, word;
  mts_Status status;
  if (mts_lock_lacks_closer(lock))
    return MTS_LOCK_WAS_CLOSED;
  status = close_or_pin(lock, closer, &holder);
  word = atomic_load(&lock->word);
  if (status == MTS_OK)
    return (word & MTS_WORD_CLOSED) ? MTS_LOCK_CLOSED : MTS_LOCK_TAKEN;
  if (status == MTS_CLOSED || (lock->is_taken && holder != mts_thread_id()))
    return MTS_LOCK_WAS_CLOSED;
  if (has_to_be_served && !is_served_by(lock, holder))
    return MTS_LOCK_IN_USE;
  if (mts_lockword_is_ending(word))
    return MTS_LOCK_WAS_CLOSED;
  defer_close(lock);
  return MTS_LOCK_DEFERRED;
}

mts_LockClose mts_lock_close(mts_Lock *lock, uintptr_t closer)
{
  mts_LockClose result;
  mts_mutex_lock(&lock->mutex);
  result = close_lock(lock, closer, true);
  mts_mutex_unlock(&lock->mutex);
  return result;
}

mts_LockClose mts_lock_close_deferred(mts_Lock *lock, uintptr_t closer)
{
  mts_LockClose result;
  mts_mutex_lock(&lock->mutex);
  result = close_lock(lock, closer, false);
  mts_mutex_unlock(&lock->mutex);
  return result;
}

void mts_lock_keep_for_closing(mts_Lock *lock)
{
  mts_mutex_lock(&lock->mutex);
  lock->is_kept = true;
  mts_mutex_unlock(&lock->mutex);
}

void mts_lock_quit(mts_Lock *lock)
{
  mts_lock_acquire_mutex(lock);
  if (!mts_lockword_is_ending(atomic_load(&lock->word))) {
    atomic_store(&lock->quits, true);
    atomic_fetch_or(&lock->word, MTS_WORD_REQUESTED); /* not left at once */
  }
  mts_mutex_unlock(&lock->mutex);
}

bool mts_lock_take_over(mts_Lock *lock, uintptr_t thread)
{
  bool is_taken;
  mts_mutex_lock(&lock->mutex);
  is_taken = mts_lock_lacks_closer(lock);
  if (is_taken)
    atomic_store(&lock->word,
                 thread | (atomic_load(&lock->word) & MTS_WORD_FLAGS));
  mts_mutex_unlock(&lock->mutex);
  return is_taken;
}

void mts_lock_close_held(mts_Lock *lock)
{
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->word, MTS_WORD_CLOSED);
  mts_lockqueue_wake_all(lock);
  mts_mutex_unlock(&lock->mutex);
}
