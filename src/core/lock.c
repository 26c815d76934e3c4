/*
** lock.c - the call lock of a state
**
** The lock is one word: 0, or the thread that holds it, plus flags.  Getting
** in and out without competition is one compare-and-swap each.  Everything
** else happens under the mutex, which is held for moments only (but see
** interrupt.c):
**
** 1. A thread that does not get in joins the queue and sleeps on a condition
**    of its own.  Only the first in the queue is looked after.  Who leaves the
**    queue as the first looks after the next; it can still be inside then.
** 2. COME is set under the mutex, for the first in the queue or to pin the
**    holder.  Then the holder's swap back to 0 fails, and it comes to the
**    mutex, too.  There it frees the word and wakes the first, which keeps its
**    place until it gets in: a running thread may get in before it (that is
**    much cheaper than a change of threads for each call).
** 3. But when it is starving, HANDOFF_DELAY after it became the first, it is
**    given the lock directly: the word passes from thread to thread without
**    being free in between.
** 4. is_backing_off: calls are so short that even this costs too much.  Then
**    the first takes COME back and naps for a while.  If many calls were made
**    meanwhile, its turn has come: it sets COME and is awake when it is given
**    the lock.  If not, the lock is not hasty any more.  A system may let the
**    first, although awake, wait for the processor that the holder is on, so
**    who leaves comes now and then without being asked.
** 5. No wake-up is lost.  When the mutex is free, the first in the queue is
**    awake, or its nap is going to end, or it sleeps and COME is set, together
**    with a thread that holds the lock and so has to come: mts_lock_pin has
**    told so under the mutex, which is not free before the thread sleeps.  In
**    the last case either its turn has come or the lock is not hasty, so it
**    will be woken.  is_backing_off is changed by the first only, or if
**    there is none.  Who gives up because of its deadline tries a last time.
** 6. CLOSED ends it all; the word does not name a thread again.  It is set
**    under the mutex, so who finds the lock not closed under the mutex can
**    rely on that until the mutex is released.
** 7. DOOMED is set while somebody holds the lock.  All who wait are sent
**    away, and who leaves closes the lock instead of freeing it.
** 8. holder_wants_mutex is set while the holder is on its way to the mutex: in
**    mts_lock_acquire_mutex, or because it is granted the lock and not awake
**    yet.  It looks for interrupts when it has been there (see interrupt.c).
*/
#include "core/lock.h"

/* Seconds from becoming the first in the queue to being given the lock. */
#define HANDOFF_DELAY 350e-6

/* The same for a nap, which is shorter: timers are late. */
#define BACK_OFF 150e-6

/* If there are more calls while the first sleeps, they are short. */
#define MANY 16

/* Tries to get in before a thread goes to sleep. */
#define SPINS 50

/* Looks for the lock being given, by who is awake when its turn has come. */
#define SPINS_FOR_TURN 200

struct mts_Waiter {
  uintptr_t thread;
  double turn; /* of the first in the queue: when it is given the lock */
  mts_Cond wake_up;
  mts_Waiter *next, *previous;
};

void mts_lock_init(mts_Lock *lock, uintptr_t thread)
{
  atomic_init(&lock->word, thread);
  atomic_init(&lock->calls, 0);
  mts_mutex_init(&lock->mutex);
  lock->first = lock->last = NULL;
  atomic_init(&lock->holder_wants_mutex, false);
  atomic_init(&lock->is_backing_off, false);
}

void mts_lock_destroy(mts_Lock *lock)
{
  mts_mutex_destroy(&lock->mutex);
}

/* ======================================================================= */
/* The queue                                                               */
/* ======================================================================= */

static bool is_starving(const mts_Waiter *first)
{
  return mts_clock_now() >= first->turn;
}

/* Begins the time of the first; it is woken if nobody else would do it. */
static void look_after_first(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  lock->first->turn = mts_clock_now() + HANDOFF_DELAY;
  if (atomic_load(&lock->is_backing_off) || mts_lock_pin(lock) == 0)
    mts_cond_signal(&lock->first->wake_up);
}

static void join_queue(mts_Lock *lock, mts_Waiter *waiter)
    MTS_REQUIRES(lock->mutex)
{
  waiter->next = NULL;
  waiter->previous = lock->last;
  if (lock->last)
    lock->last->next = waiter;
  else {
    lock->first = waiter;
    waiter->turn = mts_clock_now() + HANDOFF_DELAY;
  }
  lock->last = waiter;
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
  else {
    lock->first = waiter->next;
    if (lock->first)
      look_after_first(lock);
  }
}

static void wake_all(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  mts_Waiter *waiter;
  for (waiter = lock->first; waiter; waiter = waiter->next)
    mts_cond_signal(&waiter->wake_up);
}

/* Passes the lock on, or frees it, for the thread that leaves it. */
static void serve_queue(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  mts_Waiter *first = lock->first;
  if (!first) {
    atomic_store(&lock->is_backing_off, false);
    atomic_store(&lock->word, 0);
  }
  else if (is_starving(first)) {
    atomic_store(&lock->holder_wants_mutex, true);
    atomic_store(&lock->word, first->thread);
    mts_cond_signal(&first->wake_up);
  }
  else if (atomic_load(&lock->is_backing_off))
    atomic_store(&lock->word, 0);
  else {
    atomic_store(&lock->word, MTS_WORD_CONTENDED);
    mts_cond_signal(&first->wake_up);
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
    if (word & (MTS_WORD_CLOSED | MTS_WORD_CLOSING))
      return MTS_CLOSED;
    if ((word & ~MTS_WORD_FLAGS) != 0)
      return MTS_BUSY;
    if (atomic_compare_exchange_weak(&lock->word, &word, word | thread))
      return MTS_OK;
  }
}

/* Gives who holds the lock a moment to pass it on. */
static void expect_lock(mts_Lock *lock, uintptr_t thread)
    MTS_REQUIRES(lock->mutex)
{
  int spins;
  mts_mutex_unlock(&lock->mutex);
  for (spins = 0; spins < SPINS_FOR_TURN; spins++) {
    if (mts_lock_is_held(lock, thread))
      break;
    mts_spin_pause();
  }
  mts_mutex_lock(&lock->mutex);
}

/* Of the first in the queue.  The result is as in wait_for_chance. */
static bool nap(mts_Lock *lock, mts_Waiter *waiter, double deadline)
    MTS_REQUIRES(lock->mutex)
{
  double end = mts_clock_now() + BACK_OFF;
  unsigned calls = atomic_load(&lock->calls);
  bool is_in_time;
  atomic_fetch_and(&lock->word, ~MTS_WORD_CONTENDED);
  is_in_time = mts_cond_wait_until(&waiter->wake_up, &lock->mutex,
                                   end < deadline ? end : deadline);
  if (atomic_load(&lock->calls) - calls > MANY) {
    waiter->turn = 0;
    if (mts_lock_pin(lock) != 0)
      expect_lock(lock, waiter->thread);
  }
  else
    atomic_store(&lock->is_backing_off, false);
  return is_in_time || end < deadline;
}

/* Sleeps until the thread should try again.  False if it is the last time. */
static bool wait_for_chance(mts_Lock *lock, mts_Waiter *waiter,
                            double deadline) MTS_REQUIRES(lock->mutex)
{
  unsigned calls = atomic_load(&lock->calls);
  bool is_in_time = true;
  if (lock->first != waiter)
    return mts_cond_wait_until(&waiter->wake_up, &lock->mutex, deadline);
  if (atomic_load(&lock->is_backing_off) && !is_starving(waiter))
    return nap(lock, waiter, deadline);
  if (mts_lock_pin(lock) != 0) {
    is_in_time = mts_cond_wait_until(&waiter->wake_up, &lock->mutex, deadline);
    if (atomic_load(&lock->calls) - calls > MANY)
      atomic_store(&lock->is_backing_off, true);
  }
  return is_in_time;
}

/*
** Sleeps in the queue until this thread gets in, the lock is closed, or the
** deadline has passed.
*/
static mts_Status wait_in_queue(mts_Lock *lock, uintptr_t thread,
                                double deadline) MTS_REQUIRES(lock->mutex)
{
  mts_Status status;
  mts_Waiter waiter = {.thread = thread};
  bool is_in_time = true;
  mts_cond_init(&waiter.wake_up);
  join_queue(lock, &waiter);
  for (;;) {
    status =
        mts_lock_is_held(lock, thread) ? MTS_OK : try_to_enter(lock, thread);
    if (status != MTS_BUSY || !is_in_time)
      break;
    is_in_time = wait_for_chance(lock, &waiter, deadline);
  }
  if (status == MTS_OK)
    atomic_store(&lock->holder_wants_mutex, false);
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

mts_Status mts_lock_enter_slow(mts_Lock *lock, uintptr_t thread,
                               double timeout)
{
  mts_Status status = try_to_enter(lock, thread);
  int spins;
  if (timeout <= 0)
    return status;
  for (spins = 0; status == MTS_BUSY && spins < SPINS &&
                  !atomic_load(&lock->is_backing_off);
       spins++) {
    mts_spin_pause();
    status = try_to_enter(lock, thread);
  }
  return status == MTS_BUSY ? wait_to_enter(lock, thread, timeout) : status;
}

void mts_lock_acquire_mutex(mts_Lock *lock)
{
  atomic_store(&lock->holder_wants_mutex, true);
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->holder_wants_mutex, false);
}

bool mts_lock_leave_slow(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = thread;
  bool is_over;
  if (!atomic_load(&lock->is_backing_off) &&
      atomic_compare_exchange_strong(&lock->word, &word, 0))
    return true;
  mts_lock_acquire_mutex(lock);
  is_over =
      (atomic_load(&lock->word) & (MTS_WORD_CLOSING | MTS_WORD_CLOSED)) != 0;
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
  while ((word & ~MTS_WORD_FLAGS) != 0 &&
         !atomic_compare_exchange_weak(&lock->word, &word,
                                       word | MTS_WORD_CONTENDED))
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

bool mts_lock_close_deferred(mts_Lock *lock)
{
  mts_Status status;
  mts_mutex_lock(&lock->mutex);
  do { /* again, if the holder leaves in between */
    status = close_if_free(lock);
  } while (status == MTS_BUSY && mts_lock_pin(lock) == 0);
  if (status == MTS_BUSY) {
    atomic_fetch_or(&lock->word, MTS_WORD_CLOSING);
    wake_all(lock);
  }
  mts_mutex_unlock(&lock->mutex);
  return status == MTS_OK;
}

void mts_lock_close_held(mts_Lock *lock)
{
  mts_mutex_lock(&lock->mutex);
  atomic_store(&lock->word, MTS_WORD_CLOSED);
  wake_all(lock);
  mts_mutex_unlock(&lock->mutex);
}
