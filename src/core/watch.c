/*
** watch.c - the watcher thread: tries again what has not worked at once
**
** A heap of watches, the next one at its root; and one thread, which is
** started with the first of them and never ends.  It sleeps until the next
** watch is due, and without a deadline if there is none; an event wakes it
** when there is another watch that is due earlier, or something that threads
** have left to it which must not wait for a mutex.
**
** The heap is a pairing heap: a tree, where no watch is due earlier than its
** parent.  It needs no memory but that of the watches, so nothing can fail.
**
** One mutex guards the heap.  The thread holds it while it tries again, too.
** So a watch is on or off for good when the mutex is free, and a process that
** forks while the mutex is held by the forking thread leaves nothing half done
** to the child.  The mutex is the first in the order of locks (see state.h).
**
** An owner of a watch need not start it again if it is due early enough, which
** can be seen without the mutex.  The owner stores what the try is to see, and
** then looks at the watch.  That is off, for all to see, before its try
** begins; so the one or the other sees what was stored.
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
  mts_Watch *root;
  double sleeps_until; /* a point of the clock */
} watcher MTS_GUARDED_BY(watch_mutex) = {NULL, MTS_FOREVER};

static atomic_bool has_thread; /* changed with the mutex held */
static mts_Event wake_up; /* of the thread, initialised before it starts */
static void (*_Atomic woken_function)(void);

/* ======================================================================= */
/* The heap                                                                */
/* ======================================================================= */

static double due_of(const mts_Watch *watch)
{
  return atomic_load_explicit(&watch->due, memory_order_relaxed);
}

/* Makes one tree of two; either may be NULL. */
static mts_Watch *meld(mts_Watch *one, mts_Watch *other)
{
  if (!one || !other)
    return one ? one : other;
  if (due_of(other) < due_of(one)) {
    mts_Watch *later = one;
    one = other;
    other = later;
  }
  other->previous = one;
  other->next = one->child;
  if (other->next)
    other->next->previous = other;
  one->child = other;
  return one;
}

/* Makes one tree of a list of them: of pairs first, and these from the end. */
static mts_Watch *meld_all(mts_Watch *list)
{
  mts_Watch *pairs = NULL, *all = NULL;
  while (list) {
    mts_Watch *one = list, *other = one->next, *pair;
    list = other ? other->next : NULL;
    one->next = one->previous = NULL;
    if (other)
      other->next = other->previous = NULL;
    pair = meld(one, other);
    pair->next = pairs;
    pairs = pair;
  }
  while (pairs) {
    mts_Watch *pair = pairs;
    pairs = pair->next;
    pair->next = NULL;
    all = meld(all, pair);
  }
  return all;
}

static void put_in(mts_Watch *watch, double due) MTS_REQUIRES(watch_mutex)
{
  watch->child = watch->next = watch->previous = NULL;
  atomic_store(&watch->due, due);
  atomic_store(&watch->is_on, true);
  watcher.root = meld(watcher.root, watch);
}

static void take_out(mts_Watch *watch) MTS_REQUIRES(watch_mutex)
{
  mts_Watch *rest = meld_all(watch->child);
  atomic_store(&watch->is_on, false);
  if (watch == watcher.root) {
    watcher.root = rest;
    return;
  }
  if (watch->previous->child == watch)
    watch->previous->child = watch->next;
  else
    watch->previous->next = watch->next;
  if (watch->next)
    watch->next->previous = watch->previous;
  watcher.root = meld(watcher.root, rest);
}

/* ======================================================================= */
/* The thread                                                              */
/* ======================================================================= */

/* Takes it out first: it may be gone when that was the last try. */
static void try_watch(mts_Watch *watch) MTS_REQUIRES(watch_mutex)
{
  double seconds;
  take_out(watch);
  seconds = watch->try_again(watch);
  if (seconds > 0)
    put_in(watch, mts_clock_now() + seconds);
}

/* Tries what is due.  Returns: when the next watch is due. */
static double try_due_watches(void)
{
  double due;
  mts_mutex_lock(&watch_mutex);
  while (watcher.root && due_of(watcher.root) <= mts_clock_now())
    try_watch(watcher.root);
  due = watcher.root ? due_of(watcher.root) : MTS_FOREVER;
  watcher.sleeps_until = due;
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
  bool is_started = atomic_load(&has_thread);
  if (!is_started) {
    mts_event_init(&wake_up);
    is_started =
        mts_async_start_thread(run_watcher, NULL, WATCHER_STACK, NULL);
    if (!is_started)
      mts_event_destroy(&wake_up);
    atomic_store(&has_thread, is_started);
  }
  return is_started;
}

bool mts_watch_prepare(void)
{
  bool is_started;
  mts_mutex_lock(&watch_mutex);
  is_started = start_watcher();
  mts_mutex_unlock(&watch_mutex);
  return is_started;
}

bool mts_watch_open(void (*woken)(void))
{
  atomic_store(&woken_function, woken);
  return mts_watch_prepare();
}

void mts_watch_wake(void)
{
  if (mts_event_set(&wake_up))
    mts_event_wake(&wake_up);
}

bool mts_watch_start(mts_Watch *watch, mts_WatchFunction try_again, double due)
{
  bool is_started, is_new = false, is_next = false;
  mts_mutex_lock(&watch_mutex);
  is_started = start_watcher();
  if (is_started) {
    is_new = !atomic_load(&watch->is_on);
    if (is_new || due < due_of(watch)) {
      if (!is_new)
        take_out(watch);
      watch->try_again = try_again;
      put_in(watch, due);
      is_next = due < watcher.sleeps_until;
    }
  }
  mts_mutex_unlock(&watch_mutex);
  if (is_next)
    mts_watch_wake();
  return is_new;
}

void mts_watch_stop(mts_Watch *watch)
{
  mts_mutex_lock(&watch_mutex);
  if (atomic_load(&watch->is_on))
    take_out(watch);
  mts_mutex_unlock(&watch_mutex);
}

bool mts_watch_is_needed(const mts_Watch *watch, double due)
{
  return !atomic_load(&watch->is_on) || due < atomic_load(&watch->due) ||
         !atomic_load(&has_thread);
}

bool mts_watch_is_on(const mts_Watch *watch)
{
  bool is_on;
  mts_mutex_lock(&watch_mutex);
  is_on = atomic_load(&watch->is_on);
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
  atomic_store(&has_thread, false);
  watcher.sleeps_until = MTS_FOREVER;
  mts_mutex_unlock(&watch_mutex);
}
