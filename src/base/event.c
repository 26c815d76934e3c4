/*
** event.c - an event that one thread waits for
**
** With a futex the event is one word:
**
** 1. The thread that waits changes NOT_SET into SLEEPING, and sleeps in the
**    kernel while the word is that.  It does so again whenever it wakes up
**    without a reason.  In the end, be it that the event is set or that the
**    time is over, it stores NOT_SET and looks what was there.
** 2. Who sets the event stores IS_SET and looks what was there; only SLEEPING
**    makes a system call necessary.  From this store on the other thread can
**    go on, and free the event.
** 3. That system call (mts_event_wake) gets the address, but does not look at
**    the memory.  What else sleeps at this address by then wakes up without a
**    reason, which every use of futexes allows for.
**
** All that is sequentially consistent: an event that is set after a thread has
** looked for work, and before it sleeps, keeps it from sleeping.
**
** Elsewhere a mutex and a condition do the same.  The mutex is a leaf, and the
** condition is signalled with the mutex held, or else it could be gone.
*/
#define _GNU_SOURCE /* syscall */

#include "base/event.h"

#if defined(MTS_HAS_FUTEX)

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_SET, IS_SET, SLEEPING };

void mts_event_init(mts_Event *event)
{
  atomic_init(&event->word, NOT_SET);
}

void mts_event_destroy(mts_Event *event)
{
  (void)event;
}

bool mts_event_set(mts_Event *event)
{
  return atomic_exchange(&event->word, IS_SET) == SLEEPING;
}

void mts_event_wake(mts_Event *event)
{
  (void)syscall(SYS_futex, &event->word, FUTEX_WAKE_PRIVATE, 1);
}

/* Until the word is not SLEEPING, the deadline has passed, or just so. */
static void sleep_on_word(mts_Event *event, double deadline)
{
  const bool is_limited = deadline != MTS_FOREVER;
  const struct timespec when = mts_clock_timespec(is_limited ? deadline : 0);
  if (syscall(SYS_futex, &event->word, FUTEX_WAIT_BITSET_PRIVATE, SLEEPING,
              is_limited ? &when : NULL, NULL, FUTEX_BITSET_MATCH_ANY) != 0 &&
      errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT) {
    fprintf(stderr, "mtstates: %s:%d: futex failed with error %d\n", __FILE__,
            __LINE__, errno);
    abort();
  }
}

bool mts_event_wait(mts_Event *event, double deadline)
{
  while (atomic_load(&event->word) != IS_SET && mts_clock_now() < deadline) {
    unsigned found = NOT_SET;
    if (atomic_compare_exchange_strong(&event->word, &found, SLEEPING) ||
        found == SLEEPING)
      sleep_on_word(event, deadline);
  }
  return atomic_exchange(&event->word, NOT_SET) == IS_SET;
}

#else

void mts_event_init(mts_Event *event)
{
  mts_mutex_init(&event->mutex);
  mts_cond_init(&event->changed);
  event->is_set = false;
}

void mts_event_destroy(mts_Event *event)
{
  mts_cond_destroy(&event->changed);
  mts_mutex_destroy(&event->mutex);
}

bool mts_event_set(mts_Event *event)
{
  mts_mutex_lock(&event->mutex);
  event->is_set = true;
  mts_cond_signal(&event->changed);
  mts_mutex_unlock(&event->mutex);
  return false;
}

void mts_event_wake(mts_Event *event)
{
  (void)event;
}

bool mts_event_wait(mts_Event *event, double deadline)
{
  bool was_set;
  mts_mutex_lock(&event->mutex);
  while (!event->is_set && mts_clock_now() < deadline)
    (void)mts_cond_wait_until(&event->changed, &event->mutex, deadline);
  was_set = event->is_set;
  event->is_set = false;
  mts_mutex_unlock(&event->mutex);
  return was_set;
}

#endif
