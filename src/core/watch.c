/*
** watch.c - the watcher thread: tries again what has not worked at once
**
** A list of watches, in no order, since there are few; and one thread, which
** is started with the first of them and never ends.  It sleeps until the next
** watch is due, and without a deadline if there is none; an event wakes it
** when there is another watch, or something that threads have left to it which
** must not wait for a mutex.
**
** One mutex guards the list.  The thread holds it while it tries again, too.
** So a watch is on or off for good when the mutex is free, and a process that
** forks while the mutex is held by the forking thread leaves nothing half done
** to the child.  The mutex is the first in the order of locks (see state.h).
**
** The thread never waits for another thread, so no thread can delay the
** watches of others.  It blocks all signals and owns nothing of any Lua state.
*/
#include "core/watch.h"

#include "async_util.h"
#include "base/event.h"

/* Bytes; the thread calls no code but that of the module. */
#define WATCHER_STACK ((size_t)256 * 1024)

static mts_Mutex watch_mutex = MTS_MUTEX_INIT;

static struct {
  mts_Watch *first;
  bool has_thread;
} watcher MTS_GUARDED_BY(watch_mutex);

static mts_Event wake_up; /* of the thread, initialised before it starts */
static void (*_Atomic woken_function)(void);

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

/* Tries what is due.  Returns: when the next watch is due. */
static double try_due_watches(void)
{
  double due = MTS_FOREVER;
  mts_Watch **next;
  mts_mutex_lock(&watch_mutex);
  while (*(next = find_next()) && (*next)->due <= mts_clock_now())
    try_watch(next);
  if (*next)
    due = (*next)->due;
  mts_mutex_unlock(&watch_mutex);
  return due;
}

static void *run_watcher(void *unused)
{
  (void)unused;
  mts_async_name_thread("mtstates/watch");
  for (;;) {
    void (*woken)(void) = atomic_load(&woken_function);
    if (woken)
      woken();
    (void)mts_event_wait(&wake_up, try_due_watches());
  }
  return NULL;
}

static bool start_watcher(void) MTS_REQUIRES(watch_mutex)
{
  if (!watcher.has_thread) {
    mts_event_init(&wake_up);
    watcher.has_thread =
        mts_async_start_thread(run_watcher, NULL, WATCHER_STACK, NULL);
    if (!watcher.has_thread)
      mts_event_destroy(&wake_up);
  }
  return watcher.has_thread;
}

bool mts_watch_open(void (*woken)(void))
{
  bool has_thread;
  atomic_store(&woken_function, woken);
  mts_mutex_lock(&watch_mutex);
  has_thread = start_watcher();
  mts_mutex_unlock(&watch_mutex);
  return has_thread;
}

void mts_watch_wake(void)
{
  if (mts_event_set(&wake_up))
    mts_event_wake(&wake_up);
}

bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again,
                     double seconds)
{
  bool is_new = false, has_thread;
  mts_mutex_lock(&watch_mutex);
  has_thread = start_watcher();
  if (has_thread) {
    const double due = mts_clock_now() + seconds;
    is_new = !watch->is_on;
    if (is_new) {
      watch->try_again = try_again;
      watch->due = due;
      link_watch(watch);
    }
    else if (due < watch->due)
      watch->due = due;
  }
  mts_mutex_unlock(&watch_mutex);
  if (has_thread)
    mts_watch_wake();
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
