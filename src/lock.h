/*
** lock.h - the call lock of a state
*/
#ifndef MTS_LOCK_H
#define MTS_LOCK_H

#include "async_util.h"
#include "status.h"
#include "waitgraph.h"

typedef struct mts_Waiter mts_Waiter;

typedef struct mts_Lock {
  mts_Word word;
  mts_Mutex mutex;
  mts_Waiter *first; /* the queue; guarded by mutex */
  mts_Waiter *last;
} mts_Lock;

/* What mts_lock_doom found. */
typedef enum mts_Doom {
  MTS_DOOM_TAKEN,  /* it was free: the caller holds it now */
  MTS_DOOM_MARKED, /* who leaves it will know */
  MTS_DOOM_LATE    /* it was doomed or closed before */
} mts_Doom;

/* A new lock, held by the thread. */
void mts_lock_init(mts_Lock *lock, uintptr_t thread);
void mts_lock_destroy(mts_Lock *lock);

/*
** Takes the lock, which this thread does not hold, waiting up to timeout
** seconds (0 or less: not at all; MTS_FOREVER).
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_DEADLOCK.
** Locks: takes lock->mutex to wait.
*/
mts_Status mts_lock_enter(mts_Lock *lock, uintptr_t thread, double timeout);

/*
** Gives the lock back, to the thread that waits for it or to nobody.  False
** if the lock is doomed: then the thread still holds it, and closes it.
** Locks: takes lock->mutex if threads wait or the lock is doomed.
*/
bool mts_lock_leave(mts_Lock *lock, uintptr_t thread);

/*
** Nobody new gets in, and those that wait are sent away with MTS_CLOSED.
** Locks: takes lock->mutex.
*/
mts_Doom mts_lock_doom(mts_Lock *lock, uintptr_t thread);

/*
** The thread that holds the lock closes it; it is free and stays closed.
** Locks: takes lock->mutex.
*/
void mts_lock_close(mts_Lock *lock);

/* For the thread itself the answer stays true. */
static inline bool mts_lock_is_held(mts_Lock *lock, uintptr_t thread)
{
  return (atomic_load(&lock->word) & ~MTS_WORD_FLAGS) == thread;
}

static inline bool mts_lock_is_free(mts_Lock *lock)
{
  return mts_lock_is_held(lock, 0);
}

/* With lock->mutex held the answer no stays true. */
static inline bool mts_lock_is_closed(mts_Lock *lock)
{
  return (atomic_load(&lock->word) & MTS_WORD_CLOSED) != 0;
}

#endif
