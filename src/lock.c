/*
** lock.c - the call lock of a state
**
** The lock is one word: 0, or the thread that holds it, plus flags.  Getting
** in and out without competition is one compare-and-swap each.  Everything
** else happens under the mutex, which is held for moments only (but see
** interrupt.c):
**
** 1. A thread that does not get in joins the queue, sets QUEUED, so that the
**    holder's swap back to 0 fails and it comes to the mutex too, and sleeps
**    on a condition of its own.
** 2. Until the lock is closed, QUEUED is set at least while the queue is not
**    empty; it is changed only under the mutex.  No wake-up is lost: who has
**    set QUEUED tries once more.  Either it gets in, or there is a holder, and
**    that one cannot leave any more without the mutex, which is not free
**    before the thread sleeps.  Who is woken and gives up because of its
**    deadline tries a last time, too.
** 3. Who leaves with QUEUED set frees the word and wakes the first in the
**    queue, which keeps its place until it gets in: a running thread may get
**    in before it (that is much cheaper than a change of threads for each
**    call).  But who has waited for PATIENCE is given the lock directly: the
**    word passes from thread to thread without being free in between.
** 4. CLOSED ends it all; the word does not name a thread again.  It is set
**    under the mutex, so who finds the lock not closed under the mutex can
**    rely on that until the mutex is released.
** 5. DOOMED is set while somebody holds the lock.  All who wait are sent
**    away, and who leaves closes the lock instead of freeing it.
** 6. holder_comes is set while the holder is on its way to the mutex: in
**    mts_lock_come, or because it is granted the lock and not awake yet.  It
**    looks for interrupts when it has been there (see interrupt.c).
*/
#include "lock.h"

/* Who has waited this long (seconds) is served before running threads. */
#define PATIENCE 1e-3

/* Tries to get in before a thread goes to sleep. */
#define SPINS 50

struct mts_Waiter {
  uintptr_t thread;
  double since;
  bool is_granted; /* the word names this thread already */
  bool is_woken;   /* since it last tried */
  mts_Cond wake_up;
  mts_Waiter *next, *previous;
};

void mts_lock_init(mts_Lock *lock, uintptr_t thread)
{
  atomic_init(&lock->word, thread);
  mts_mutex_init(&lock->mutex);
  lock->first = lock->last = NULL;
  atomic_init(&lock->holder_comes, false);
}

void mts_lock_destroy(mts_Lock *lock)
{
  mts_mutex_destroy(&lock->mutex);
}

/* ======================================================================= */
/* The queue                                                               */
/* ======================================================================= */

static void join_queue(mts_Lock *lock, mts_Waiter *waiter)
    MTS_REQUIRES(lock->mutex)
{
  waiter->next = NULL;
  waiter->previous = lock->last;
  if (lock->last)
    lock->last->next = waiter;
  else
    lock->first = waiter;
  lock->last = waiter;
  atomic_fetch_or(&lock->word, MTS_WORD_QUEUED);
}

static void quit_queue(mts_Lock *lock, mts_Waiter *waiter)
    MTS_REQUIRES(lock->mutex)
{
  if (waiter->next)
    waiter->next->previous = waiter->previous;
  else
    lock->last = waiter->previous;
  if (waiter->previous)
    waiter->previous->next = waiter->next;
  else
    lock->first = waiter->next;
  if (!lock->first)
    atomic_fetch_and(&lock->word, ~MTS_WORD_QUEUED);
}

static void wake(mts_Waiter *waiter)
{
  if (!waiter->is_woken) {
    waiter->is_woken = true;
    mts_cond_signal(&waiter->wake_up);
  }
}

static void wake_all(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  mts_Waiter *waiter;
  for (waiter = lock->first; waiter; waiter = waiter->next)
    wake(waiter);
}

/* Passes the lock on, or frees it, for the thread that leaves it. */
static void serve_queue(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  mts_Waiter *first = lock->first;
  if (first && mts_clock_now() - first->since > PATIENCE) {
    first->is_granted = true;
    atomic_store(&lock->holder_comes, true);
    atomic_store(&lock->word, first->thread | MTS_WORD_QUEUED);
    quit_queue(lock, first);
    wake(first);
  }
  else {
    atomic_store(&lock->word, first ? MTS_WORD_QUEUED : 0);
    if (first)
      wake(first);
  }
}

/* ======================================================================= */
/* Enter and leave                                                         */
/* ======================================================================= */

/* One try to get in.  MTS_BUSY: somebody else holds the lock. */
static mts_Status try_to_enter(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = atomic_load(&lock->word);
  for (;;) {
    if (word & (MTS_WORD_CLOSED | MTS_WORD_DOOMED))
      return MTS_CLOSED;
    if ((word & ~MTS_WORD_FLAGS) != 0)
      return MTS_BUSY;
    if (atomic_compare_exchange_weak(&lock->word, &word, word | thread))
      return MTS_OK;
  }
}

/*
** Sleeps in the queue until this thread gets in, the lock is closed, or the
** deadline has passed.
*/
static mts_Status wait_in_queue(mts_Lock *lock, uintptr_t thread,
                                double deadline) MTS_REQUIRES(lock->mutex)
{
  mts_Status status;
  mts_Waiter waiter = {.thread = thread, .since = mts_clock_now()};
  bool is_in_time = true;
  mts_cond_init(&waiter.wake_up);
  join_queue(lock, &waiter);
  for (;;) {
    status = waiter.is_granted ? MTS_OK : try_to_enter(lock, thread);
    if (status != MTS_BUSY || !is_in_time)
      break;
    waiter.is_woken = false;
    is_in_time = mts_cond_wait_until(&waiter.wake_up, &lock->mutex, deadline);
  }
  if (waiter.is_granted)
    atomic_store(&lock->holder_comes, false);
  else
    quit_queue(lock, &waiter);
  mts_cond_destroy(&waiter.wake_up);
  return status;
}

static mts_Status wait_to_enter(mts_Lock *lock, uintptr_t thread,
                                double timeout)
{
  double deadline = mts_clock_deadline(timeout);
  mts_Status status;
  mts_Wait wait;
  mts_mutex_lock(&lock->mutex);
  if (deadline != MTS_FOREVER)
    status = wait_in_queue(lock, thread, deadline);
  else if (mts_waitgraph_add(&wait, thread, &lock->word)) {
    status = wait_in_queue(lock, thread, deadline);
    mts_waitgraph_remove(&wait);
  }
  else
    status = MTS_DEADLOCK;
  mts_mutex_unlock(&lock->mutex);
  return status;
}

mts_Status mts_lock_enter(mts_Lock *lock, uintptr_t thread, double timeout)
{
  uintptr_t word = 0;
  mts_Status status;
  int spins;
  if (atomic_compare_exchange_strong(&lock->word, &word, thread))
    return MTS_OK;
  status = try_to_enter(lock, thread);
  if (timeout <= 0)
    return status;
  for (spins = 0; status == MTS_BUSY && spins < SPINS; spins++) {
    mts_spin_pause();
    status = try_to_enter(lock, thread);
  }
  return status == MTS_BUSY ? wait_to_enter(lock, thread, timeout) : status;
}

void mts_lock_come(mts_Lock *lock)
{
  atomic_store(&lock->holder_comes, true);
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->holder_comes, false);
}

bool mts_lock_leave(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = thread;
  bool is_over;
  if (atomic_compare_exchange_strong(&lock->word, &word, 0))
    return true;
  mts_lock_come(lock);
  is_over =
      (atomic_load(&lock->word) & (MTS_WORD_DOOMED | MTS_WORD_CLOSED)) != 0;
  if (is_over) /* all waiters have been woken already */
    atomic_store(&lock->word, MTS_WORD_CLOSED);
  else
    serve_queue(lock);
  mts_mutex_unlock(&lock->mutex);
  return !is_over;
}

uintptr_t mts_lock_pin(mts_Lock *lock)
{
  uintptr_t word = atomic_load(&lock->word);
  /* Once QUEUED is set, who leaves has to come to the mutex. */
  while ((word & ~MTS_WORD_FLAGS) != 0 &&
         !atomic_compare_exchange_weak(&lock->word, &word,
                                       word | MTS_WORD_QUEUED))
    ;
  return word & ~MTS_WORD_FLAGS;
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

static mts_Status close_if_free(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  uintptr_t word = atomic_load(&lock->word);
  do {
    if (word & MTS_WORD_CLOSED)
      return MTS_CLOSED;
    if ((word & ~MTS_WORD_FLAGS) != 0)
      return MTS_BUSY;
  } while (!atomic_compare_exchange_weak(&lock->word, &word, MTS_WORD_CLOSED));
  wake_all(lock);
  return MTS_OK;
}

mts_Status mts_lock_close(mts_Lock *lock)
{
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  status = close_if_free(lock);
  mts_mutex_unlock(&lock->mutex);
  return status;
}

bool mts_lock_doom(mts_Lock *lock)
{
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  do { /* again, if the holder leaves in between */
    status = close_if_free(lock);
  } while (status == MTS_BUSY && mts_lock_pin(lock) == 0);
  if (status == MTS_BUSY) {
    atomic_fetch_or(&lock->word, MTS_WORD_DOOMED);
    wake_all(lock);
  }
  mts_mutex_unlock(&lock->mutex);
  return status == MTS_OK;
}

void mts_lock_abandon(mts_Lock *lock)
{
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->word, MTS_WORD_CLOSED);
  wake_all(lock);
  mts_mutex_unlock(&lock->mutex);
}
