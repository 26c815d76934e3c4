/*
** watch.c - what has to be tried again after a while, by the watcher thread
**
** A list of watches, in no order, since there are few; and one thread, which
** is started with the first of them and never ends.  It sleeps until the next
** watch is due, and without a deadline if there is none.  It never waits for
** another thread, so nobody can hold up what others have to be tried again.
** Each delay is twice the one before: a signal can end a system call early,
** and however long one is that is repeated then, at last it fits in between.
**
** One mutex guards all.  The thread also has it while it tries again: so a
** watch is on or off for good when the mutex is free, and a process that forks
** with the mutex held leaves nothing half-done to the child.  It is the first
** in the order of locks.
**
** The thread blocks all signals and owns nothing of any Lua state.
*/
#include "core/watch.h"

#define FIRST_DELAY 1e-3f

static mts_Mutex mutex = MTS_MUTEX_INIT;

static struct {
  mts_Cond changed; /* made with the thread */
  mts_Watch *first;
  bool has_thread;
} watcher MTS_GUARDED_BY(mutex);

/* Where the link to the next watch that is due is. */
static mts_Watch **find_next(void) MTS_REQUIRES(mutex)
{
  mts_Watch **next = &watcher.first;
  mts_Watch **link;
  for (link = next; *link; link = &(*link)->next)
    if ((*link)->due < (*next)->due)
      next = link;
  return next;
}

static void link_watch(mts_Watch *watch) MTS_REQUIRES(mutex)
{
  watch->next = watcher.first;
  watcher.first = watch;
  watch->is_on = true;
}

/* Takes it off the list first: if it is not to go on it may be gone. */
static void try_watch(mts_Watch **link) MTS_REQUIRES(mutex)
{
  mts_Watch *watch = *link;
  *link = watch->next;
  watch->is_on = false;
  if (watch->try_again(watch)) {
    watch->delay *= 2;
    watch->due = mts_clock_now() + (double)watch->delay;
    link_watch(watch);
  }
}

static void *run_watcher(void *unused)
{
  (void)unused;
  mts_mutex_lock(&mutex);
  for (;;) {
    mts_Watch **next = find_next();
    if (!*next)
      mts_cond_wait(&watcher.changed, &mutex);
    else if ((*next)->due > mts_clock_now())
      (void)mts_cond_wait_until(&watcher.changed, &mutex, (*next)->due);
    else
      try_watch(next);
  }
  return NULL;
}

static bool start_thread(void) MTS_REQUIRES(mutex)
{
  if (!watcher.has_thread) {
    mts_cond_init(&watcher.changed);
    watcher.has_thread = mts_thread_start(run_watcher, "mtstates/watch");
    if (!watcher.has_thread)
      mts_cond_destroy(&watcher.changed);
  }
  return watcher.has_thread;
}

bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again)
{
  bool is_new = false;
  mts_mutex_lock(&mutex);
  if (start_thread()) {
    double soon = mts_clock_now() + (double)FIRST_DELAY;
    is_new = !watch->is_on;
    if (is_new) {
      watch->try_again = try_again;
      watch->delay = FIRST_DELAY;
      watch->due = soon;
      link_watch(watch);
    }
    else if (soon < watch->due)
      watch->due = soon;
    mts_cond_signal(&watcher.changed);
  }
  mts_mutex_unlock(&mutex);
  return is_new;
}

void mts_watch_before_fork(void) MTS_UNCHECKED
{
  mts_mutex_lock(&mutex);
}

void mts_watch_after_fork(bool is_child) MTS_UNCHECKED
{
  if (is_child)
    watcher.has_thread = false;
  mts_mutex_unlock(&mutex);
}
