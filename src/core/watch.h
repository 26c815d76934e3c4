/*
** watch.h - what has to be tried again after a while, by the watcher thread
*/
#ifndef MTS_WATCH_H
#define MTS_WATCH_H

#include "async_util.h"
#include "base/compiler.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Watch mts_Watch;

/*
** Tries again.  Returns whether to go on; if not, the watch may be gone
** afterwards.  Runs in the watcher thread with its mutex held: it may take
** other mutexes for a moment, and waits for nothing.
*/
typedef bool (*mts_WatchFunction)(mts_Watch *watch);

/* Part of what is watched.  All zero: not watched. */
struct mts_Watch {
  mts_Watch *next;
  mts_WatchFunction try_again;
  double due;
  float delay; /* seconds between the last try and the next one */
  bool is_on;
};

/* A delay of a watch that has been tried some times. */
#define MTS_WATCH_OVERDUE 0.25f

/*
** Has try_again called after a millisecond, and then after twice the time
** again and again, until it returns false.  If it is watched already, the next
** try comes in a millisecond, and then the delays go on growing.  Without
** resources for a thread nothing is tried again.
** Returns: whether the watch was off and is on now.
** Locks: takes the mutex of the watcher, which comes before all others.
*/
bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again);

/*
** To be called around fork.  The child has the same watches, but no thread
** until it starts one of its own.
*/
void mts_watch_before_fork(void);
void mts_watch_after_fork(bool is_child);

MTS_END_HIDDEN

#endif
