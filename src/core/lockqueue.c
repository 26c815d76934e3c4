/*
** lockqueue.c - the threads that wait for a call lock
**
** A list, in the order of arrival, of waiters that are on the stacks of their
** threads.  Each has a condition of its own to sleep on.  All of it is guarded
** by the mutex of the lock.  Only the first waiter is taken care of:
**
** - Barging.  When the lock is freed, the first is woken and tries to get in.
**   It keeps its place until it does: a running thread can be faster.
** - Hand-off.  HANDOFF_DELAY after it became the first, it is starving: the
**   thread that leaves next hands the lock to it directly.
** - Back-off.  If calls are so short that waking the first after each of them
**   costs too much, is_backing_off is true.  Then the first clears CONTENDED,
**   so that it is not woken, and sleeps for BACK_OFF_TIME.  If there were many
**   calls meanwhile, its hand-off is due: it pins the holder and spins, to be
**   awake when it is handed the lock.  If there were few, backing off ends.  A
**   system can keep the first, although awake, waiting for the processor that
**   the holder runs on; so after every MTS_LOCK_LOOK calls the thread that
**   leaves looks at the queue without being asked to.
**
** Invariants:
**
** 1. No wake-up is lost.  Whenever the mutex is free, the first is awake, or
**    its back-off is going to end, or it sleeps and a thread holds the lock
**    with CONTENDED set: the first has pinned that thread under the mutex that
**    it releases by falling asleep.  In the last case its hand-off is due or
**    is_backing_off is false, so the thread that leaves wakes it.
** 2. is_backing_off is changed under the mutex, by the first, or by the thread
**    that leaves while there is no first.
** 3. A waiter that ceases to be the first makes sure that the next one is
**    awake or will be woken.  It can hold the lock itself by then.
** 4. A waiter whose deadline has passed tries once more before it gives up.
*/
#include "core/lockqueue.h"

/* Seconds from becoming the first in the queue until the hand-off is due. */
#define HANDOFF_DELAY 350e-6

/* Seconds that the first backs off; timers fire later than that. */
#define BACK_OFF_TIME 150e-6

/* If there are more calls than this while the first sleeps, they are short. */
#define MANY_CALLS 16

/* How often the first looks, after backing off, whether it has the lock. */
#define SPINS_FOR_HANDOFF 200

struct mts_Waiter {
  uintptr_t thread;
  double handoff_due; /* of the first: when it is to be given the lock */
  mts_Cond wake_up;
  mts_Waiter *next, *previous;
};

/* ======================================================================= */
/* The list                                                                */
/* ======================================================================= */

static bool is_starving(const mts_Waiter *first)
{
  return mts_clock_now() >= first->handoff_due;
}

static bool had_many_calls(mts_Lock *lock, unsigned calls_before)
{
  return atomic_load(&lock->calls) - calls_before > MANY_CALLS;
}

static void enqueue(mts_Lock *lock, mts_Waiter *waiter)
    MTS_REQUIRES(lock->mutex)
{
  waiter->next = NULL;
  waiter->previous = lock->last;
  if (lock->last)
    lock->last->next = waiter;
  else {
    lock->first = waiter;
    waiter->handoff_due = mts_clock_now() + HANDOFF_DELAY;
  }
  lock->last = waiter;
}

/*
** To be called when another waiter has become the first.  Wakes it, unless a
** thread that leaves is going to.
*/
static void start_first(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  lock->first->handoff_due = mts_clock_now() + HANDOFF_DELAY;
  if (atomic_load(&lock->is_backing_off) || mts_lock_pin(lock) == 0)
    mts_cond_signal(&lock->first->wake_up);
}

static void dequeue(mts_Lock *lock, mts_Waiter *waiter)
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
      start_first(lock);
  }
}

size_t mts_lockqueue_count(const mts_Lock *lock)
{
  const mts_Waiter *waiter;
  size_t count = 0;
  for (waiter = lock->first; waiter; waiter = waiter->next)
    count++;
  return count;
}

void mts_lockqueue_wake_all(mts_Lock *lock)
{
  mts_Waiter *waiter;
  for (waiter = lock->first; waiter; waiter = waiter->next)
    mts_cond_signal(&waiter->wake_up);
}

void mts_lockqueue_release(mts_Lock *lock)
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
/* Wait                                                                    */
/* ======================================================================= */

/* Gives the holder a moment to hand off the lock. */
static void spin_for_handoff(mts_Lock *lock, uintptr_t thread)
    MTS_REQUIRES(lock->mutex)
{
  int spins;
  mts_mutex_unlock(&lock->mutex);
  for (spins = 0; spins < SPINS_FOR_HANDOFF; spins++) {
    if (mts_lock_is_held(lock, thread))
      break;
    mts_spin_pause();
  }
  mts_mutex_lock(&lock->mutex);
}

/* For the first in the queue.  Returns: as sleep_until_retry. */
static bool back_off(mts_Lock *lock, mts_Waiter *waiter, double deadline)
    MTS_REQUIRES(lock->mutex)
{
  double end = mts_clock_now() + BACK_OFF_TIME;
  unsigned calls = atomic_load(&lock->calls);
  bool is_in_time;
  atomic_fetch_and(&lock->word, ~MTS_WORD_CONTENDED);
  is_in_time = mts_cond_wait_until(&waiter->wake_up, &lock->mutex,
                                   end < deadline ? end : deadline);
  if (had_many_calls(lock, calls)) {
    waiter->handoff_due = 0;
    if (mts_lock_pin(lock) != 0)
      spin_for_handoff(lock, waiter->thread);
  }
  else
    atomic_store(&lock->is_backing_off, false);
  return is_in_time || end < deadline;
}

/*
** Sleeps until the thread should try again.
** Returns: false if that is the last time, since the deadline has passed.
*/
static bool sleep_until_retry(mts_Lock *lock, mts_Waiter *waiter,
                              double deadline) MTS_REQUIRES(lock->mutex)
{
  unsigned calls = atomic_load(&lock->calls);
  bool is_in_time = true;
  if (lock->first != waiter)
    return mts_cond_wait_until(&waiter->wake_up, &lock->mutex, deadline);
  if (atomic_load(&lock->is_backing_off) && !is_starving(waiter))
    return back_off(lock, waiter, deadline);
  if (mts_lock_pin(lock) != 0) {
    is_in_time = mts_cond_wait_until(&waiter->wake_up, &lock->mutex, deadline);
    if (had_many_calls(lock, calls))
      atomic_store(&lock->is_backing_off, true);
  }
  return is_in_time;
}

mts_Status mts_lockqueue_wait(mts_Lock *lock, uintptr_t thread,
                              double deadline)
{
  mts_Status status;
  mts_Waiter waiter = {.thread = thread};
  bool is_in_time = true;
  mts_cond_init(&waiter.wake_up);
  enqueue(lock, &waiter);
  for (;;) {
    if (mts_lock_is_held(lock, thread)) /* handed off */
      status = MTS_OK;
    else
      status = mts_lockword_take(&lock->word, thread);
    if (status != MTS_BUSY || !is_in_time)
      break;
    is_in_time = sleep_until_retry(lock, &waiter, deadline);
  }
  if (status == MTS_OK)
    atomic_store(&lock->holder_wants_mutex, false);
  dequeue(lock, &waiter);
  mts_cond_destroy(&waiter.wake_up);
  return status;
}
