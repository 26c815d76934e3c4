/*
** lockqueue.h - the threads that wait for a call lock; a part of lock.c
*/
#ifndef MTS_LOCKQUEUE_H
#define MTS_LOCKQUEUE_H

#include "base/compiler.h"

#include "core/lock.h"

MTS_BEGIN_HIDDEN

/*
** Sleeps in the queue until the thread has the lock, the lock ends, or the
** deadline has passed.  Returns: MTS_OK, MTS_BUSY, MTS_CLOSED.
*/
mts_Status mts_lockqueue_wait(mts_Lock *lock, uintptr_t thread,
                              double deadline) MTS_REQUIRES(lock->mutex);

/*
** For the thread that leaves: hands the lock off to the first waiter, or frees
** it and wakes the first if need be.
*/
void mts_lockqueue_release(mts_Lock *lock) MTS_REQUIRES(lock->mutex);

/* How many threads are in it. */
size_t mts_lockqueue_count(const mts_Lock *lock) MTS_REQUIRES(lock->mutex);

/* Wakes all waiters, since the lock ends. */
void mts_lockqueue_wake_all(mts_Lock *lock) MTS_REQUIRES(lock->mutex);

MTS_END_HIDDEN

#endif
