/*
** watch.h - the watcher thread: tries again what has not worked at once
*/
#ifndef MTS_WATCH_H
#define MTS_WATCH_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>

MTS_BEGIN_HIDDEN

typedef struct mts_Watch mts_Watch;

/*
** Tries again, in the watcher thread.
** Locks: called with the mutex of the watcher held; may take others for a
** moment, and waits for nothing.
** Returns: seconds until the next try; if 0 or less there is none, and the
** watch may be gone afterwards.
*/
typedef double (*mts_WatchFunction)(mts_Watch *watch);

/* Part of what is watched; off if all is zero.  See watch.c. */
struct mts_Watch {
  mts_Watch *child, *next, *previous; /* in the heap */
  mts_WatchFunction try_again;
  _Atomic double due; /* a point of the clock; of one that is on */
  atomic_bool is_on;
};

/*
** Starts the watcher thread, if it is not there: from then on nothing that is
** started is lost.
** woken: what the watcher calls each time that it wakes up; no mutex is held
** then, and it may take some for a moment.  It is always the same function.
** Locks: takes the mutex of the watcher.
** Returns: false if there are no resources for a thread.
*/
bool mts_watch_open(void (*woken)(void));

/*
** Only starts the thread, if it is not there.
** Locks: takes the mutex of the watcher.
** Returns: as mts_watch_open.
*/
bool mts_watch_prepare(void);

/*
** Has try_again called at that point of the clock, and then again as it says
** itself.  If the watch is on already, the next try is made then, or earlier.
** Wakes the watcher only if that would sleep longer.  Without resources for a
** thread nothing is tried again.
** Locks: takes the mutex of the watcher, which is before all others in the
** order of locks.
** Returns: whether the watch was off and is on now.
*/
bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again,
                     double due);

/*
** Ends that: when this returns the watch is off, and not being tried.
** Locks: takes the mutex of the watcher.
*/
void mts_watch_stop(mts_Watch *watch);

/*
** Whether the watch has to be started for there to be a try at that point of
** the clock, or before it.  If not, that try sees all that was stored before
** this call.
** Locks: none.
*/
bool mts_watch_is_needed(const mts_Watch *watch, double due);

/*
** Has the watcher call the function of mts_watch_open soon.  For any thread
** that must not wait, even for a moment: one atomic operation, and a system
** call if the watcher sleeps.  The watcher has to be there.
** Locks: none.
*/
void mts_watch_wake(void);

/* Whether it is on.  Locks: takes the mutex of the watcher. */
bool mts_watch_is_on(const mts_Watch *watch);

/*
** To be called around fork.  The child keeps the watches, but has no watcher
** thread until it starts one of its own.
*/
void mts_watch_before_fork(void);
void mts_watch_after_fork_in_parent(void);
void mts_watch_after_fork_in_child(void);

MTS_END_HIDDEN

#endif
