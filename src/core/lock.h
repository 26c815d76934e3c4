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

  mts_Mutex mutex;          /* guards what follows */
  mts_Waiter *first, *last; /* the queue */
  bool is_kept;      /* who leaves it when it is closing keeps it once more */
  bool is_taken;     /* that is so now, or it was taken to be closed */
  atomic_bool quits; /* who leaves it closes it; changed by the holder only */
} mts_Lock;

/* A new lock, held by the thread. */
void mts_lock_init(mts_Lock *lock, uintptr_t thread);
void mts_lock_destroy(mts_Lock *lock);

/* What has become of a lock that was left. */
typedef enum mts_LockLeft {
  MTS_LOCK_LEFT,
  MTS_LOCK_LEFT_REQUESTED, /* mts_lock_request has asked to report that */
  MTS_LOCK_LEFT_CLOSED,    /* it is closed now */
  MTS_LOCK_KEPT            /* it was not left: it is closing, see below */
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
** Who holds the lock while a task is suspended that lets no other code of the
** state run: no thread, but different from all.
*/
static inline uintptr_t mts_lock_parker(const mts_Lock *lock)
{
  return ((uintptr_t)lock + MTS_WORD_FLAGS) & ~MTS_WORD_FLAGS;
}

/*
** Passes the lock from one holder to another one: the calling thread and the
** parker.
** Locks: none.
** Returns: false if the first one does not hold it, or it is to be closed.
*/
bool mts_lock_pass(mts_Lock *lock, uintptr_t from, uintptr_t to);

/*
** Has the thread that holds the lock report when it leaves it.
** Locks: takes lock->mutex.
** Returns: false if no thread holds it, or only that it lacks a closer.
*/
bool mts_lock_request(mts_Lock *lock);

/*
** Whoever closes the state has something to do before: the lock is not closed
** at once but taken for that, as closing, and a thread that leaves it when it
** is closing keeps it, once.
** Locks: takes lock->mutex.
*/
void mts_lock_keep_for_closing(mts_Lock *lock);

/*
** Has the calling thread, which holds the lock, close it when it leaves; until
** then it is as before.  When it leaves it keeps the lock, as closing.
** Locks: takes lock->mutex.
*/
void mts_lock_quit(mts_Lock *lock);

/* Whether it will, for the thread that holds it. */
static inline bool mts_lock_quits(const mts_Lock *lock)
{
  return (atomic_load_explicit(&lock->word, memory_order_relaxed) &
          MTS_WORD_REQUESTED) &&
         atomic_load_explicit(&lock->quits, memory_order_relaxed);
}

/*
** How many threads wait for the lock, and what the system calls the one that
** holds it; 0: none does, or that is not known.
** Locks: takes lock->mutex.
*/
void mts_lock_look(mts_Lock *lock, size_t *waiting, long *thread);

/* What was done to close a lock. */
typedef enum mts_LockClose {
  MTS_LOCK_CLOSED,     /* it is closed now: no thread gets in */
  MTS_LOCK_TAKEN,      /* the closer holds it; it is closing */
  MTS_LOCK_DEFERRED,   /* it is closed when the holder leaves; it is closing */
  MTS_LOCK_WAS_CLOSED, /* it was closed or closing before */
  MTS_LOCK_IN_USE      /* nothing: a call is in progress */
} mts_LockClose;

/*
** Closes the lock.  While it is closing, no other thread gets in; waiting
** threads get MTS_CLOSED.  closer: the thread that is to hold the lock, if it
** is free and kept for closing; another one than the calling thread makes it
** kept.
** mts_lock_close: only if no thread holds the lock, or another one that serves
** requests (see thread.h).
** Locks: take lock->mutex.
*/
mts_LockClose mts_lock_close(mts_Lock *lock, uintptr_t closer);
mts_LockClose mts_lock_close_deferred(mts_Lock *lock, uintptr_t closer);

/*
** Whether mts_lock_close would find a call in progress.
** Locks: takes lock->mutex.
*/
bool mts_lock_is_in_use(mts_Lock *lock);

/*
** Whether the lock is closing and the parker, as closer, holds it: until a
** thread takes it over, which is to close what the lock guards, and leave it.
** mts_lock_take_over: does that, if it is so.
** Locks: mts_lock_take_over takes lock->mutex.
*/
static inline bool mts_lock_lacks_closer(const mts_Lock *lock)
{
  const uintptr_t word = atomic_load(&lock->word);
  return mts_lockword_is_ending(word) &&
         mts_lockword_holder(word) == mts_lock_parker(lock);
}
bool mts_lock_take_over(mts_Lock *lock, uintptr_t thread);

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
