/*
** wait.c - the calling thread waits for something that others do
**
** A wait is a record on the stack of the thread: an event to sleep on, and an
** outcome, which is open until it becomes the reason why the wait is over.
** Several can want to end it at once: those who have what it waits for, those
** who cancel the request or close the state whose code waits, and the thread
** itself, when its deadline has passed or it is disturbed.  Who changes the
** outcome ends the wait, and sets the event; all others leave it alone.
**
** The others find the wait in two places: in the list of what it waits for,
** and, if it is code of a request that waits, in the state of that (see
** interrupt.c).  Each place has a mutex, which whoever ends the wait holds
** meanwhile, and which the thread takes to remove the wait from there.  So the
** record is gone only when nobody is at it.  The exception is who has taken it
** out of the list to end it: that has set the event, and so touched the record
** for the last time, before the thread goes on.
**
** Suspended tasks and deferred replies have such records, too, with a function
** in the place of the event; see sched/task.c and sched/deferral.c.
**
** The main program of an interpreter cannot be interrupted as the states of
** the module can, but it sets a hook when its user wants that.  So while it
** waits it looks for that every SLICE seconds.
*/
#include "core/wait.h"

#include "core/interrupt.h"
#include "core/thread.h"
#include "core/timelimit.h"

#define SLICE 0.05 /* seconds */

void mts_wakes_wake(const mts_Wakes *wakes)
{
  int i;
  mts_Wait *wait = wakes->first_told;
  for (i = 0; i < wakes->count; i++)
    mts_event_wake(wakes->events[i]);
  while (wait) {
    mts_Wait *next = wait->next_told;
    wait->go_on(wait);
    wait = next;
  }
}

/* ======================================================================= */
/* One wait                                                                */
/* ======================================================================= */

/* Lets the request whose code waits, if it is one, be cancelled here. */
static mts_Status enter_task(mts_ThreadWait *wait, mts_State *host)
{
  mts_Status status = MTS_OK;
  wait->task = NULL;
  if (!host)
    return MTS_OK;
  if (mts_lock_is_closed(&host->lock)) /* this is a finalizer */
    return MTS_ENDING;
  if (mts_interrupt_is_task(host)) {
    status = mts_interrupt_begin_wait(host, &wait->wait);
    if (status == MTS_OK)
      wait->task = host;
  }
  return status;
}

static void leave_task(mts_ThreadWait *wait, mts_Status status)
{
  if (wait->task)
    mts_interrupt_end_wait(wait->task, status == MTS_CANCELLED);
}

/* The stacks of the host are read only while the thread says that it waits. */
static void note_waiting(mts_ThreadWait *wait, lua_State *L)
{
  if (wait->host)
    wait->host->interrupt.waiting = L;
}

bool mts_wait_is_refused(const mts_Patience *patience)
{
  const mts_State *host = patience->host;
  if (!host)
    return false;
  return mts_lock_is_closed(&host->lock) ||
         (mts_interrupt_is_task(host) &&
          mts_lockword_is_ending(atomic_load(&host->lock.word)));
}

/*
** A wait whose deadline has passed before it begins lets others run, too, but
** once: else code that waits for moments only would never let them.
*/
static bool is_to_be_attached(const mts_Patience *patience)
{
  return patience->was_attached ? patience->deadline > mts_clock_now()
                                : patience->deadline > 0;
}

mts_Status mts_wait_begin(mts_ThreadWait *wait, const mts_Patience *patience)
{
  mts_Status status;
  atomic_init(&wait->wait.outcome, MTS_WAIT_OPEN);
  wait->wait.go_on = NULL;
  wait->wait.list = NULL;
  mts_event_init(&wait->over);
  status = enter_task(wait, patience->host);
  wait->host = patience->host;
  if (status == MTS_OK)
    note_waiting(wait, patience->L);
  if (status == MTS_OK && !mts_thread_begin_wait()) {
    status = MTS_NO_MEMORY;
    note_waiting(wait, NULL);
    leave_task(wait, status);
  }
  wait->attached = NULL;
  if (status == MTS_OK)
    mts_timelimit_pause();
  if (status != MTS_OK)
    mts_event_destroy(&wait->over);
  else if (patience->attach && is_to_be_attached(patience)) {
    wait->attached = patience;
    patience->attach(patience->disturber, &wait->wait);
  }
  return status;
}

void mts_wait_end(mts_ThreadWait *wait, mts_Status status)
{
  if (wait->attached)
    wait->attached->attach(wait->attached->disturber, NULL);
  leave_task(wait, status);
  mts_event_destroy(&wait->over);
  mts_thread_end_wait();
  note_waiting(wait, NULL);
  mts_timelimit_resume();
}

/*
** Sleeps until the event is set, or there is a reason to end the wait without
** that: *reason.
*/
static bool sleep_for_event(mts_ThreadWait *wait, const mts_Patience *patience,
                            mts_Status *reason)
{
  const double deadline = patience->deadline;
  double end;
  *reason = MTS_BUSY;
  if (!patience->is_disturbed)
    return mts_event_wait(&wait->over, deadline);
  do {
    end = mts_clock_now() + SLICE;
    if (deadline < end)
      end = deadline;
    if (mts_event_wait(&wait->over, end))
      return true;
    if (patience->is_disturbed(patience->data)) {
      *reason = MTS_DISTURBED;
      return false;
    }
  } while (end < deadline);
  return false;
}

/* Ends the wait by the thread itself, unless it is over by now. */
static mts_Status end_early(mts_ThreadWait *wait, mts_Status reason)
{
  if (mts_wait_decide(&wait->wait, reason))
    return reason;
  (void)mts_event_wait(&wait->over, MTS_FOREVER); /* it is going to be set */
  return (mts_Status)atomic_load(&wait->wait.outcome);
}

/* Names the thread that does what is waited for.  s, request: as below. */
static const mts_LockWord *blocking_word(const mts_State *s,
                                         const void *request)
{
  return s->has_own_thread && !s->is_host && !request ? &s->own_thread
                                                      : &s->lock.word;
}

mts_Status mts_wait_sleep(mts_ThreadWait *wait, const mts_Patience *patience,
                          const mts_State *s, const void *request)
{
  const bool has_edge = s && patience->deadline == MTS_FOREVER;
  mts_Status reason = MTS_DEADLOCK;
  bool is_over = false;
  if (has_edge) {
    wait->edge = (mts_WaitEdge){.thread = mts_thread_id(),
                                .word = blocking_word(s, request),
                                .outcome = &wait->wait.outcome,
                                .state = s,
                                .request = request};
    if (!mts_waitgraph_add(&wait->edge))
      return end_early(wait, MTS_DEADLOCK);
  }
  is_over = sleep_for_event(wait, patience, &reason);
  if (has_edge)
    mts_waitgraph_remove(&wait->edge);
  if (!is_over)
    return end_early(wait, reason);
  return (mts_Status)atomic_load(&wait->wait.outcome);
}

/* ======================================================================= */
/* Lists                                                                   */
/* ======================================================================= */

void mts_waitlist_remove(mts_WaitList *list, mts_Wait *wait)
{
  if (wait->list != list)
    return;
  wait->list = NULL;
  if (wait->next)
    wait->next->previous = wait->previous;
  else
    list->last = wait->previous;
  if (wait->previous)
    wait->previous->next = wait->next;
  else
    list->first = wait->next;
}

void mts_waitlist_finish(mts_WaitList *list, mts_Status reason,
                         mts_Wakes *wakes)
{
  while (list->first && wakes->count < MTS_WAKES) {
    mts_Wait *wait = list->first;
    mts_waitlist_remove(list, wait);
    (void)mts_wait_finish(wait, reason, wakes);
  }
}
