/*
** wait.h - a thread, or a suspended task, waits for something that others do
*/
#ifndef MTS_WAIT_H
#define MTS_WAIT_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "base/event.h"
#include "base/status.h"
#include "core/waitgraph.h"
#include "state.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Wait mts_Wait;

/* How long a thread waits, and what else ends that. */
typedef struct mts_Patience {
  double deadline; /* a point of the clock, or MTS_FOREVER */
  mts_State *host; /* the state whose code waits; NULL: none, or none that is
                   ** to go on early */
  lua_State *L;    /* and in which Lua thread; NULL: not known */
  /* Whether the thread is to go on early, asked some times a second; or NULL.
   */
  bool (*is_disturbed)(void *data);
  void *data;

  /*
  ** Makes the wait known to whoever can disturb it, and with NULL unknown; or
  ** NULL.
  */
  void (*attach)(mts_State *s, mts_Wait *wait);
  mts_State *disturber;
  bool was_attached; /* by an earlier wait: then only before the deadline */
} mts_Patience;

static inline mts_Patience mts_patience_until(double deadline)
{
  return (mts_Patience){.deadline = deadline};
}

/* A wait in progress.  See wait.c. */
struct mts_Wait {
  atomic_int outcome;        /* MTS_WAIT_OPEN, or an mts_Status */
  struct mts_WaitList *list; /* of what it waits for, or NULL */
  mts_Wait *next, *previous; /* there */
  mts_Wait *next_told;       /* in mts_Wakes */

  /*
  ** Called when the wait is over, without mutexes; the wait can be gone
  ** afterwards.  NULL: it is that of a thread, which has an event.
  */
  void (*go_on)(mts_Wait *wait);
};

/* That of a thread, on whose stack it lives. */
typedef struct mts_ThreadWait {
  mts_Wait wait;
  mts_Event over;
  mts_State *task; /* whose request waits here, and can be cancelled */
  mts_State *host; /* whose code waits, or NULL */
  const mts_Patience *attached; /* that it is attached to, or NULL */
  mts_WaitEdge edge;
} mts_ThreadWait;

/*
** Begins a wait of the calling thread, which can be ended from then on.
** Locks: takes the mutex of the lock of patience->host; no mutex may be held
** but that of the registry.
** Returns: MTS_OK: mts_wait_end has to follow; MTS_CANCELLED, MTS_ENDING;
** MTS_NO_MEMORY if the thread is a worker and nothing can take its place.
*/
mts_Status mts_wait_begin(mts_ThreadWait *wait, const mts_Patience *patience);

/*
** Sleeps until the wait is over.
** s: the thread that holds it, if there is one, has to go on before that;
** NULL: it is not known who.  request: to s, which is waited for; NULL: if s
** has a thread of its own, that one has to go on.
** Locks: no mutex may be held.
** Returns: the reason that mts_wait_finish was given; MTS_BUSY if the deadline
** has passed; MTS_DISTURBED; MTS_DEADLOCK if there is no deadline and that
** thread waits for this one.
*/
mts_Status mts_wait_sleep(mts_ThreadWait *wait, const mts_Patience *patience,
                          const mts_State *s, const void *request);

/*
** Whether a wait cannot begin, since the state in patience is being closed.
** Locks: none.
*/
bool mts_wait_is_refused(const mts_Patience *patience);

/*
** To be called when nobody else knows the wait any more, but for the state in
** patience.
** status: what the caller reports.  If that is another one, although the wait
** was ended as cancelled, the code is going to be hit later.
** Locks: as mts_wait_begin.
*/
void mts_wait_end(mts_ThreadWait *wait, mts_Status status);

/*
** Those who are to go on, once the mutexes are released: events that are set,
** and waits with a function.
*/
#define MTS_WAKES 16
typedef struct mts_Wakes {
  mts_Event *events[MTS_WAKES];
  int count; /* of events */
  mts_Wait *first_told, *last_told;
} mts_Wakes;
#define MTS_NO_WAKES                                                          \
  (mts_Wakes)                                                                 \
  {                                                                           \
    .count = 0, .first_told = NULL                                            \
  }

void mts_wakes_wake(const mts_Wakes *wakes);

/*
** Notes the reason for which the wait is going to be over, once
** mts_wait_tell follows; in one step mts_wait_finish does both.  After that
** the wait can be gone.  There has to be a free place in *wakes.
** Locks: the wait must be kept from going by a mutex that the thread takes to
** leave it.
** Returns: false if the wait was over already.
*/
static inline bool mts_wait_decide(mts_Wait *wait, mts_Status reason)
{
  int open = MTS_WAIT_OPEN;
  return atomic_compare_exchange_strong(&wait->outcome, &open, (int)reason);
}

static inline void mts_wait_tell(mts_Wait *wait, mts_Wakes *wakes)
{
  mts_ThreadWait *of_thread = (mts_ThreadWait *)wait;
  if (wait->go_on) {
    wait->next_told = NULL;
    if (wakes->first_told)
      wakes->last_told->next_told = wait;
    else
      wakes->first_told = wait;
    wakes->last_told = wait;
  }
  else if (mts_event_set(&of_thread->over))
    wakes->events[wakes->count++] = &of_thread->over;
}

static inline bool mts_wait_finish(mts_Wait *wait, mts_Status reason,
                                   mts_Wakes *wakes)
{
  const bool is_decided = mts_wait_decide(wait, reason);
  if (is_decided)
    mts_wait_tell(wait, wakes);
  return is_decided;
}

/* Waits for the same thing, the first one first; guarded by its mutex. */
typedef struct mts_WaitList {
  mts_Wait *first, *last;
} mts_WaitList;

static inline void mts_waitlist_add(mts_WaitList *list, mts_Wait *wait)
{
  wait->list = list;
  wait->next = NULL;
  wait->previous = list->last;
  if (list->last)
    list->last->next = wait;
  else
    list->first = wait;
  list->last = wait;
}

/* Takes the wait out, if it is in. */
void mts_waitlist_remove(mts_WaitList *list, mts_Wait *wait);

/*
** Takes waits out and finishes them, as many as can be woken at once.  Has to
** be repeated until the list is empty.
*/
void mts_waitlist_finish(mts_WaitList *list, mts_Status reason,
                         mts_Wakes *wakes);

MTS_END_HIDDEN

#endif
