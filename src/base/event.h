/*
** event.h - an event that one thread waits for
*/
#ifndef MTS_EVENT_H
#define MTS_EVENT_H

#include "base/compiler.h"

#include <stdbool.h>

#include "async_util.h"

/*
** Whether the system has futexes: a thread sleeps until a word in memory
** changes.  On 32-bit Linux, where what the system call takes for a time
** depends on the C library, conditions do.
*/
#if defined(__linux__) && defined(__LP64__) && !defined(MTS_NO_FUTEX)
#define MTS_HAS_FUTEX 1
#endif

MTS_BEGIN_HIDDEN

typedef struct mts_Event {
#if defined(MTS_HAS_FUTEX)
  atomic_uint word; /* the protocol is in event.c */
#else
  mts_Mutex mutex;
  mts_Cond changed;
  bool is_set; /* guarded by mutex */
#endif
} mts_Event;

/* Not set. */
void mts_event_init(mts_Event *event);
void mts_event_destroy(mts_Event *event);

/*
** Sets the event.  What the caller has written before is known to the thread
** that finds it set.  As that thread can go on at once, the event may be gone
** when this returns.
** Locks: mutexes may be held; waits for nothing.
** Returns: whether mts_event_wake has to follow, as the thread sleeps or is
** about to.
*/
bool mts_event_set(mts_Event *event);

/*
** Wakes the thread that waits.  Does not touch the event, which may be gone,
** or its memory have another use or none.
** Locks: better called without a mutex that the thread is going to want.
*/
void mts_event_wake(mts_Event *event);

/*
** Waits until the event is set, but not beyond deadline, a point of the clock
** or MTS_FOREVER; then it is not set any more.  For one thread at a time,
** which pthread_cancel does not reach here.
** Locks: no mutex may be held.
** Returns: false if the deadline has passed and the event is not set.
*/
bool mts_event_wait(mts_Event *event, double deadline);

MTS_END_HIDDEN

#endif
