/*
** watch.c - the watcher thread: tries again what has not worked at once
**
** A list of watches, in no order, since there are few; and one thread, which
** is started with the first of them and never ends.  It sleeps until the next
** watch is due, and without a deadline if there is none.
**
** One mutex guards all.  The thread holds it while it tries again, too.  So a
** watch is on or off for good when the mutex is free, and a process that forks
** while the mutex is held by the forking thread leaves nothing half done to
** the child.  The mutex is the first in the order of locks (see state.h).
**
** The thread never waits for another thread, so no thread can delay the
** watches of others.  It blocks all signals and owns nothing of any Lua state.
*/
#include "core/watch.h"

#include "async_util.h"

/* Bytes; the thread calls no code but that of the module. */
#define WATCHER_STACK ((size_t)256 * 1024)

static mts_Mutex watch_mutex = MTS_MUTEX_INIT;

static struct {
  mts_Cond changed; /* initialised with the thread */
  mts_Watch *first;
  bool has_thread;
} watcher MTS_GUARDED_BY(watch_mutex);

/* The link to the watch that is due next. */
static mts_Watch **find_next(void) MTS_REQUIRES(watch_mutex)
{
  mts_Watch **next = &watcher.first;
  mts_Watch **link;
  for (link = next; *link; link = &(*link)->next)
    if ((*link)->due < (*next)->due)
      next = link;
  return next;
}

static void link_watch(mts_Watch *watch) MTS_REQUIRES(watch_mutex)
{
  watch->next = watcher.first;
  watcher.first = watch;
  watch->is_on = true;
}

/* Takes it off the list first: it may be gone when that was the last try. */
static void try_watch(mts_Watch **link) MTS_REQUIRES(watch_mutex)
{
  mts_Watch *watch = *link;
  double seconds;
  *link = watch->next;
  watch->is_on = false;
  seconds = watch->try_again(watch);
  if (seconds > 0) {
    watch->due = mts_clock_now() + seconds;
    link_watch(watch);
  }
}

static void *run_watcher(void *unused)
{
  (void)unused;
  mts_async_name_thread("mtstates/watch");
  mts_mutex_lock(&watch_mutex);
  for (;;) {
    mts_Watch **next = find_next();
    if (!*next)
      mts_cond_wait(&watcher.changed, &watch_mutex);
    else if ((*next)->due > mts_clock_now())
      (void)mts_cond_wait_until(&watcher.changed, &watch_mutex, (*next)->due);
    else
      try_watch(next);
  }
  return NULL;
}

static bool start_watcher(void) MTS_REQUIRES(watch_mutex)
{
  if (!watcher.has_thread) {
    mts_cond_init(&watcher.changed);
    watcher.has_thread =
        mts_async_start_thread(run_watcher, NULL, WATCHER_STACK, NULL);
    if (!watcher.has_thread)
      mts_cond_destroy(&watcher.changed);
  }
  return watcher.has_thread;
}

bool mts_watch_open(void)
{
  bool has_thread;
  mts_mutex_lock(&watch_mutex);
  has_thread = start_watcher();
  mts_mutex_unlock(&watch_mutex);
  return has_thread;
}

bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again,
                     double seconds)
{
  bool is_new = false;
  mts_mutex_lock(&watch_mutex);
  if (start_watcher()) {
    const double due = mts_clock_now() + seconds;
    is_new = !watch->is_on;
    if (is_new) {
      watch->try_again = try_again;
      watch->due = due;
      link_watch(watch);
    }
    else if (due < watch->due)
      watch->due = due;
    mts_cond_signal(&watcher.changed);
  }
  mts_mutex_unlock(&watch_mutex);
  return is_new;
}

bool mts_watch_is_on(const mts_Watch *watch)
{
  bool is_on;
  mts_mutex_lock(&watch_mutex);
  is_on = watch->is_on;
  mts_mutex_unlock(&watch_mutex);
  return is_on;
}

void mts_watch_before_fork(void) MTS_UNCHECKED
{
  mts_mutex_lock(&watch_mutex);
}

void mts_watch_after_fork_in_parent(void) MTS_UNCHECKED
{
  mts_mutex_unlock(&watch_mutex);
}

void mts_watch_after_fork_in_child(void) MTS_UNCHECKED
{
  watcher.has_thread = false;
  mts_mutex_unlock(&watch_mutex);
}
