/*
** future.c - the answer to a request, there or still to be given
**
** A future is the front part of its request, in the same block.  It has a
** reference for the request, until that is answered, and one for each object,
** message or thread that can ask for the answer.  So whoever gives the last
** reference back sees whether there is an answer, and whether it is an error
** that nobody has got.
**
** The answer is written by the thread that answers, before is_answered is set,
** and constant from then on.  Threads that wait are in a list, each with an
** event of its own; the mutex guards the list, and whether is_answered becomes
** true before or after a thread enters it.  The events are woken without the
** mutex; a thread that wakes up does not need the mutex either.
*/
#include "sched/future.h"

#include <sched.h>
#include <string.h>

#include "base/event.h"
#include "core/thread.h"
#include "error.h"
#include "sched/log.h"
#include "sched/queue.h"
#include "sched/worker.h"

/* How long a thread looks for an answer before it sleeps. */
#define LOOK_SECONDS 50e-6

/* A thread that waits; lives on its stack. */
struct mts_FutureWait {
  mts_Event answered;
  mts_FutureWait *next;
};

void mts_future_retain(mts_Future *future)
{
  atomic_fetch_add_explicit(&future->references, 1, memory_order_relaxed);
}

/* ======================================================================= */
/* The end                                                                 */
/* ======================================================================= */

static bool is_unseen_error(const mts_Future *future)
{
  return (future->status == MTS_RAISED || future->status == MTS_NO_MEMORY) &&
         !atomic_load_explicit(&future->is_read, memory_order_relaxed);
}

static void log_error(const mts_Future *future)
{
  if (future->status == MTS_RAISED)
    mts_log_error(future->state, future->text.data, future->text.length);
  else
    mts_log_error(future->state, mts_error_no_memory,
                  strlen(mts_error_no_memory));
}

static void end_future(mts_Future *future)
{
  if (is_unseen_error(future))
    log_error(future);
  mts_request_free((mts_Request *)future);
}

void mts_future_release(mts_Future *future)
{
  if (atomic_fetch_sub_explicit(&future->references, 1,
                                memory_order_acq_rel) == 1)
    end_future(future);
}

/* ======================================================================= */
/* The answer                                                              */
/* ======================================================================= */

/* So many threads are woken at a time. */
#define WAKE_AT_ONCE 16

/*
** Tells the threads that wait that there is an answer.  After mts_event_set a
** thread can be gone, and its event with it.
** Returns: how many there are in events, to be woken.
*/
static int tell_waiting(mts_Future *future, mts_Event *events[WAKE_AT_ONCE])
    MTS_REQUIRES(future->mutex)
{
  int count = 0;
  while (future->first_wait && count < WAKE_AT_ONCE) {
    mts_FutureWait *wait = future->first_wait;
    future->first_wait = wait->next;
    if (mts_event_set(&wait->answered))
      events[count++] = &wait->answered;
  }
  return count;
}

static void wake_waiting(mts_Future *future)
{
  mts_Event *events[WAKE_AT_ONCE];
  int count, i;
  do {
    mts_mutex_lock(&future->mutex);
    atomic_store_explicit(&future->is_answered, true, memory_order_release);
    count = tell_waiting(future, events);
    mts_mutex_unlock(&future->mutex);
    for (i = 0; i < count; i++)
      mts_event_wake(events[i]);
  } while (count == WAKE_AT_ONCE);
}

void mts_future_answer(mts_Future *future)
{
  if (((const mts_Request *)future)->is_send) {
    end_future(future);
    return;
  }
  wake_waiting(future);
  mts_future_release(future);
}

void mts_future_fail(mts_Future *future, mts_Status status)
{
  future->status = status;
  mts_future_answer(future);
}

bool mts_future_withdraw(mts_Future *future)
{
  return mts_queue_withdraw((mts_Request *)future);
}

/* ======================================================================= */
/* Wait                                                                    */
/* ======================================================================= */

/* Returns: false if the future is answered. */
static bool enlist(mts_Future *future, mts_FutureWait *wait)
{
  bool is_answered;
  mts_mutex_lock(&future->mutex);
  is_answered = mts_future_is_answered(future);
  if (!is_answered) {
    wait->next = future->first_wait;
    future->first_wait = wait;
  }
  mts_mutex_unlock(&future->mutex);
  return !is_answered;
}

/*
** For a thread whose deadline has passed.
** Returns: false if it is not in the list any more: the future is answered.
*/
static bool delist(mts_Future *future, const mts_FutureWait *wait)
{
  mts_FutureWait **link;
  bool is_listed;
  mts_mutex_lock(&future->mutex);
  link = &future->first_wait;
  while (*link && *link != wait)
    link = &(*link)->next;
  is_listed = *link != NULL;
  if (is_listed)
    *link = wait->next;
  mts_mutex_unlock(&future->mutex);
  return is_listed;
}

/*
** Lets other threads run, and looks again, for a while: to fall asleep and to
** be woken takes longer than short requests.  A worker does not: another one
** is woken in its place anyway.
*/
static void look_for_answer(const mts_Future *future, double deadline)
{
  double end = mts_clock_now() + LOOK_SECONDS;
  if (deadline < end)
    end = deadline;
  while (!mts_future_is_answered(future) && mts_clock_now() < end)
    sched_yield();
}

mts_Status mts_future_wait(mts_Future *future, double deadline)
{
  mts_FutureWait wait;
  bool is_in_time = true;
  if (!mts_self.worker && !mts_worker_is_forked())
    look_for_answer(future, deadline);
  if (mts_future_is_answered(future))
    return MTS_OK;
  if (mts_worker_is_forked()) /* only the parent gets the answer */
    return MTS_FORKED;
  if (deadline == MTS_FOREVER &&
      mts_lock_is_held(&future->state->lock, mts_thread_id()))
    return MTS_DEADLOCK;
  if (!mts_thread_begin_wait())
    return MTS_NO_MEMORY;
  mts_event_init(&wait.answered);
  if (enlist(future, &wait))
    is_in_time =
        mts_event_wait(&wait.answered, deadline) || !delist(future, &wait);
  mts_event_destroy(&wait.answered);
  mts_thread_end_wait();
  return is_in_time ? MTS_OK : MTS_BUSY;
}
