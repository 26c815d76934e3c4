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
**   back-off        held CONTENDED to held, by the first waiter.
**   close           free to CLOSED.
**   deferred close  held to held CONTENDED CLOSING.
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
  mts_Status status;
  mts_Wait wait;
  mts_mutex_lock(&lock->mutex);
  if (deadline != MTS_FOREVER)
    status = mts_lockqueue_wait(lock, thread, deadline);
  else if (mts_waitgraph_add(&wait, thread, &lock->word)) {
    status = mts_lockqueue_wait(lock, thread, deadline);
    mts_waitgraph_remove(&wait);
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
  status = wait_to_enter(lock, thread, timeout);
  mts_thread_end_wait();
  return status;
}

void mts_lock_acquire_mutex(mts_Lock *lock)
{
  atomic_store(&lock->holder_wants_mutex, true);
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->holder_wants_mutex, false);
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
  if (mts_lockword_is_ending(word)) {
    atomic_store(&lock->word, MTS_WORD_CLOSED);
    left = MTS_LOCK_LEFT_CLOSED;
  }
  else {
    mts_lockqueue_release(lock);
    if (word & MTS_WORD_REQUESTED)
      left = MTS_LOCK_LEFT_REQUESTED;
  }
  mts_mutex_unlock(&lock->mutex);
  return left;
}

bool mts_lock_request(mts_Lock *lock)
{
  bool is_held;
  mts_mutex_lock(&lock->mutex);
  is_held = mts_lock_pin(lock) != 0;
  if (is_held)
    atomic_fetch_or(&lock->word, MTS_WORD_REQUESTED);
  mts_mutex_unlock(&lock->mutex);
  return is_held;
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

static mts_Status close_if_free(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  mts_Status status = mts_lockword_close(&lock->word);
  if (status == MTS_OK)
    mts_lockqueue_wake_all(lock);
  return status;
}

/*
** The same, but with MTS_BUSY the thread that holds the lock is pinned:
** *holder.
*/
static mts_Status close_or_pin(mts_Lock *lock, uintptr_t *holder)
    MTS_REQUIRES(lock->mutex)
{
  mts_Status status;
  *holder = 0;
  do { /* again if the holder leaves in between */
    status = close_if_free(lock);
  } while (status == MTS_BUSY && (*holder = mts_lock_pin(lock)) == 0);
  return status;
}

static void defer_close(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  atomic_fetch_or(&lock->word, MTS_WORD_CLOSING);
  mts_lockqueue_wake_all(lock);
}

mts_Status mts_lock_close(mts_Lock *lock, bool *is_deferred)
{
  uintptr_t holder;
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  status = close_or_pin(lock, &holder);
  *is_deferred =
      status == MTS_BUSY && holder != mts_thread_id() &&
      atomic_load(&((const mts_Thread *)holder)->served) == (void *)lock;
  if (*is_deferred) {
    status =
        mts_lockword_is_ending(atomic_load(&lock->word)) ? MTS_CLOSED : MTS_OK;
    defer_close(lock);
  }
  mts_mutex_unlock(&lock->mutex);
  return status;
}

bool mts_lock_close_deferred(mts_Lock *lock)
{
  uintptr_t holder;
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  status = close_or_pin(lock, &holder);
  if (status == MTS_BUSY)
    defer_close(lock);
  mts_mutex_unlock(&lock->mutex);
  return status == MTS_OK;
}

void mts_lock_close_held(mts_Lock *lock)
{
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->word, MTS_WORD_CLOSED);
  mts_lockqueue_wake_all(lock);
  mts_mutex_unlock(&lock->mutex);
}
