/*
** lock.h - the call lock of a state
*/
#ifndef MTS_LOCK_H
#define MTS_LOCK_H

#include "base/compiler.h"
#include "async_util.h"
#include "base/status.h"
#include "core/waitgraph.h"

MTS_BEGIN_HIDDEN

/* Of so many calls one looks whether threads wait too long. */
#define MTS_LOCK_LOOK 64

typedef struct mts_Waiter mts_Waiter;

typedef struct mts_Lock {
  mts_Word word;
  atomic_uint calls; /* counts them; written by who holds the lock */
  mts_Mutex mutex;
  mts_Waiter *first; /* the queue; guarded by mutex */
  mts_Waiter *last;
  atomic_bool holder_wants_mutex; /* who holds the lock waits for the mutex */
  atomic_bool is_backing_off;     /* see lock.c; written under the mutex */
} mts_Lock;

/* A new lock, held by the thread. */
void mts_lock_init(mts_Lock *lock, uintptr_t thread);
void mts_lock_destroy(mts_Lock *lock);

/* What is left to do if the swaps below fail. */
mts_Status mts_lock_enter_slow(mts_Lock *lock, uintptr_t thread,
                               double timeout);
bool mts_lock_leave_slow(mts_Lock *lock, uintptr_t thread);

/*
** Takes the lock, which this thread does not hold, waiting up to timeout
** seconds (0 or less: not at all; MTS_FOREVER).
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_DEADLOCK.
** Locks: takes lock->mutex to wait.
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
** Gives the lock back, to the thread that waits for it or to nobody.  False
** if it is doomed or was abandoned: then the lock is closed now.
** Locks: takes lock->mutex if threads wait or the lock is doomed.
*/
static inline bool mts_lock_leave(mts_Lock *lock, uintptr_t thread)
{
  uintptr_t word = thread;
  unsigned calls =
      atomic_load_explicit(&lock->calls, memory_order_relaxed) + 1;
  atomic_store_explicit(&lock->calls, calls, memory_order_relaxed);
  if (calls % MTS_LOCK_LOOK != 0 &&
      atomic_compare_exchange_strong(&lock->word, &word, 0))
    return true;
  return mts_lock_leave_slow(lock, thread);
}

/*
** Closes the lock if nobody holds it: nobody gets in any more, and those that
** wait are sent away.  Returns: MTS_OK, MTS_BUSY, MTS_CLOSED (before).
** Locks: takes lock->mutex.
*/
mts_Status mts_lock_close(mts_Lock *lock);

/*
** The same, but if somebody holds the lock, who leaves it closes it; nobody
** new gets in until then.  True if the lock has been closed by this call.
** Locks: takes lock->mutex.
*/
bool mts_lock_close_deferred(mts_Lock *lock);

/*
** Closes the lock that the calling thread holds, which need not leave it.
** Locks: takes lock->mutex.
*/
void mts_lock_close_held(mts_Lock *lock);

/*
** The thread that holds the lock, or 0.  It will not leave the lock as long
** as the caller has lock->mutex.
*/
uintptr_t mts_lock_pin(mts_Lock *lock) MTS_REQUIRES(lock->mutex);

/*
** Takes lock->mutex.  To be used by the thread that holds the lock; others see
** lock->holder_wants_mutex until then.
*/
void mts_lock_acquire_mutex(mts_Lock *lock) MTS_ACQUIRES(lock->mutex);

/* If thread is the calling one, nobody else can change the answer. */
static inline bool mts_lock_is_held(mts_Lock *lock, uintptr_t thread)
{
  return (atomic_load(&lock->word) & ~MTS_WORD_FLAGS) == thread;
}

/* Nobody holds the lock now; it can be closed. */
static inline bool mts_lock_is_free(mts_Lock *lock)
{
  return mts_lock_is_held(lock, 0);
}

/* True is final; false holds as long as the caller has lock->mutex. */
static inline bool mts_lock_is_closed(mts_Lock *lock)
{
  return (atomic_load(&lock->word) & MTS_WORD_CLOSED) != 0;
}

MTS_END_HIDDEN

#endif
