/*
** lock.h - the call lock of a state
**
** Entering and leaving without contention is one compare-and-swap each, here;
** everything else is in lock.c.
*/
#ifndef MTS_LOCK_H
#define MTS_LOCK_H

#include "base/compiler.h"

#include "async_util.h"
#include "base/status.h"
#include "core/lockword.h"

MTS_BEGIN_HIDDEN

/* After so many calls the thread that leaves looks at the queue, unasked. */
#define MTS_LOCK_LOOK 64

typedef struct mts_Waiter mts_Waiter;

typedef struct mts_Lock {
  mts_LockWord word;
  atomic_uint calls; /* counts them; written by the thread that holds it */

  /* See lock.c and lockqueue.c. */
  atomic_bool holder_wants_mutex;
  atomic_bool is_backing_off;

  mts_Mutex mutex;
  mts_Waiter *first; /* the queue, guarded by mutex */
  mts_Waiter *last;
} mts_Lock;

/* A new lock, held by the thread. */
void mts_lock_init(mts_Lock *lock, uintptr_t thread);
void mts_lock_destroy(mts_Lock *lock);

/* What has become of a lock that was left. */
typedef enum mts_LockLeft {
  MTS_LOCK_LEFT,
  MTS_LOCK_LEFT_REQUESTED, /* mts_lock_request has asked to report that */
  MTS_LOCK_LEFT_CLOSED     /* it is closed now */
} mts_LockLeft;

/* What is left to do if the swaps below fail. */
mts_Status mts_lock_enter_slow(mts_Lock *lock, uintptr_t thread,
                               double timeout);
mts_LockLeft mts_lock_leave_slow(mts_Lock *lock, uintptr_t thread);

/*
** Takes the lock, which this thread does not hold, waiting up to timeout
** seconds (0 or less: not at all; MTS_FOREVER).
** Locks: takes lock->mutex to wait.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_DEADLOCK; MTS_NO_MEMORY if the
** thread is a worker and nothing can take its place while it waits.
*/
static inline mts_Status mts_lock_enter(mts_Lock *lock, uintptr_t thread,
                                        double timeout)
{
  uintptr_t word = 0;
  if (atomic_compare_exchange_strong(&lock->word, &word, thread))
    return MTS_OK;
  return mts_lock_enter_slow(lock, thread, timeout);
}

/*
** Hands the lock to a waiting thread, or frees it.
** Locks: takes lock->mutex if threads wait or the lock is closing.
** Returns: MTS_LOCK_LEFT_CLOSED if the lock was closing, or has been closed by
** the thread itself.
*/
static inline mts_LockLeft mts_lock_leave(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = thread;
  unsigned calls =
      atomic_load_explicit(&lock->calls, memory_order_relaxed) + 1;
  atomic_store_explicit(&lock->calls, calls, memory_order_relaxed);
  if (calls % MTS_LOCK_LOOK != 0 &&
      atomic_compare_exchange_strong(&lock->word, &word, 0))
    return MTS_LOCK_LEFT;
  return mts_lock_leave_slow(lock, thread);
}

/*
** Has the thread that holds the lock report when it leaves it.
** Locks: takes lock->mutex.
** Returns: false if no thread holds it.
*/
bool mts_lock_request(mts_Lock *lock);

/*
** Closes the lock if no thread holds it: from then on no thread gets in, and
** waiting threads get MTS_CLOSED.  If another thread holds it that serves
** requests (see thread.h), the lock is closing, as below.
** Locks: takes lock->mutex.
** Returns: MTS_OK, with *is_deferred set; MTS_BUSY, MTS_CLOSED (before).
*/
mts_Status mts_lock_close(mts_Lock *lock, bool *is_deferred);

/*
** The same, but if a thread holds the lock, the lock is closing: no other
** thread gets in, and it is closed when that thread leaves.
** Locks: takes lock->mutex.
** Returns: true if the lock has been closed by this call.
*/
bool mts_lock_close_deferred(mts_Lock *lock);

/*
** Closes the lock, which the calling thread holds and then need not leave.
** Locks: takes lock->mutex.
*/
void mts_lock_close_held(mts_Lock *lock);

/*
** The thread that holds the lock, or 0.  It cannot leave the lock as long as
** the caller has lock->mutex.
*/
static inline uintptr_t mts_lock_pin(mts_Lock *lock) MTS_REQUIRES(lock->mutex)
{
  return mts_lockword_pin(&lock->word);
}

/*
** Takes lock->mutex, in the thread that holds the lock; until it has the
** mutex, others see lock->holder_wants_mutex.
*/
void mts_lock_acquire_mutex(mts_Lock *lock) MTS_ACQUIRES(lock->mutex);

/*
** Whether the thread holds the lock.  If it is the calling thread, no other
** thread can change the answer.
*/
static inline bool mts_lock_is_held(const mts_Lock *lock, uintptr_t thread)
{
  return mts_lockword_holder(atomic_load(&lock->word)) == thread;
}

/* Whether no thread holds the lock now; it may be closed. */
static inline bool mts_lock_is_free(const mts_Lock *lock)
{
  return mts_lock_is_held(lock, 0);
}

/* True is final; false holds as long as the caller has lock->mutex. */
static inline bool mts_lock_is_closed(const mts_Lock *lock)
{
  return (atomic_load(&lock->word) & MTS_WORD_CLOSED) != 0;
}

MTS_END_HIDDEN

#endif
