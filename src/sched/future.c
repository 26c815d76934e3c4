/*
** future.c - the answer to a request or promise, there or still to be given
**
** A future is the front part of its request, or promise (promise.c), in the
** same block.  It has a reference for that, until it is answered, and one for
** each object, message or thread that can ask for the answer.  So whoever
** gives the last reference back sees whether there is an answer, and whether
** it is an error that nobody has got.
**
** The answer is written by the thread that answers, before is_answered is set,
** and constant from then on.  The mutex guards the list of threads that wait,
** and whether is_answered becomes true before or after a thread enters it.
**
** A request is cancelled in one of three ways, according to how far it is:
**
** 1. It is in the queue: it is taken out, and answered.
** 2. The state knows the task: it is hit (interrupt.c).
** 3. Its task is suspended: the wait is ended.
** 4. Its answer is deferred (deferral.c): it is answered.
** 5. It is on the way from one of these to the next: is_untold stays set.
**
** The canceller sets is_untold and then looks for 2, 3 and 4, in this order.
** The thread that holds the state makes known that the request is in one of
** these, and then looks at is_untold.  So one of both finds the other; and who
** clears is_untold tells the code, so that it is told once.
*/
#include "sched/future.h"

#include <sched.h>
#include <string.h>

#include "core/interrupt.h"
#include "core/thread.h"
#include "core/trace.h"
#include "error.h"
#include "sched/deferral.h"
#include "sched/log.h"
#include "sched/promise.h"
#include "sched/queue.h"
#include "sched/task.h"
#include "sched/worker.h"

/* How long a thread looks for an answer before it sleeps. */
#define LOOK_SECONDS 50e-6

void mts_future_retain(mts_Future *future)
{
  atomic_fetch_add_explicit(&future->references, 1, memory_order_relaxed);
}

/* ======================================================================= */
/* The end                                                                 */
/* ======================================================================= */

/* The text of an error that is to be logged, or NULL. */
static const char *unseen_error(mts_Future *future, size_t *length)
{
  const mts_Request *request = (const mts_Request *)future;
  const char *text = NULL;
  if (atomic_load_explicit(&future->is_read, memory_order_relaxed) ||
      (!request->is_send && atomic_load(&request->asked.source))) /* says it */
    return NULL;
  if (future->status == MTS_RAISED) {
    *length = mts_request_text(future)->length;
    return mts_request_text(future)->data;
  }
  if (future->status == MTS_NO_MEMORY)
    text = mts_error_no_memory;
  else if (future->status == MTS_ABANDONED)
    text = mts_promise_abandoned;
  *length = text ? strlen(text) : 0;
  return text;
}

static void end_future(mts_Future *future)
{
  size_t length;
  const char *text = unseen_error(future, &length);
  if (text)
    mts_log_error(future->state, text, length);
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

mts_Future *mts_future_read(mts_Future *future)
{
  mts_Future *source;
  while ((source = atomic_load(&mts_request_asked(future)->source)) != NULL)
    future = source;
  atomic_store_explicit(&future->is_read, true, memory_order_relaxed);
  return future;
}

static void wake_waiting(mts_Future *future)
{
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&mts_request_asked(future)->mutex);
    atomic_store_explicit(&future->is_answered, true, memory_order_release);
    mts_waitlist_finish(&mts_request_asked(future)->waits, MTS_OK, &wakes);
    mts_mutex_unlock(&mts_request_asked(future)->mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
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
  mts_codec_free(&future->values); /* the arguments, which nobody reads */
  future->status = status;
  mts_future_answer(future);
}

/* ======================================================================= */
/* Cancel                                                                  */
/* ======================================================================= */

bool mts_future_withdraw(mts_Future *future)
{
  return mts_queue_withdraw((mts_Request *)future);
}

bool mts_future_cancel(mts_Future *future)
{
  mts_Request *request = (mts_Request *)future;
  if (mts_future_is_answered(future))
    return false;
  if (!future->state)
    return mts_promise_fail(future, MTS_CANCELLED);
  if (mts_future_withdraw(future)) {
    mts_future_fail(future, MTS_CANCELLED);
    return true;
  }
  if (mts_worker_is_forked())
    return false;
  atomic_store(&request->is_cancelled, true);
  atomic_store(&request->is_untold, true);
  if (!mts_interrupt_cancel(future->state, request, &request->is_untold) &&
      !mts_task_cancel(request))
    (void)mts_deferral_cancel(request);
  return true;
}

/* ======================================================================= */
/* Wait                                                                    */
/* ======================================================================= */

bool mts_future_enlist(mts_Future *future, mts_Wait *wait)
{
  bool is_answered;
  mts_mutex_lock(&mts_request_asked(future)->mutex);
  is_answered = mts_future_is_answered(future);
  if (!is_answered)
    mts_waitlist_add(&mts_request_asked(future)->waits, wait);
  mts_mutex_unlock(&mts_request_asked(future)->mutex);
  return !is_answered;
}

void mts_future_delist(mts_Future *future, mts_Wait *wait)
{
  mts_mutex_lock(&mts_request_asked(future)->mutex);
  mts_waitlist_remove(&mts_request_asked(future)->waits, wait);
  mts_mutex_unlock(&mts_request_asked(future)->mutex);
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

/* Who answers the request is who holds the state, now or when it begins. */
static mts_Status wait_for_answer(mts_Future *future,
                                  const mts_Patience *patience)
{
  mts_ThreadWait wait;
  mts_Status status = mts_wait_begin(&wait, patience);
  if (status != MTS_OK)
    return status;
  if (mts_future_enlist(future, &wait.wait)) {
    status = mts_wait_sleep(&wait, patience, future->state, future);
    if (status != MTS_OK)
      mts_future_delist(future, &wait.wait);
  }
  mts_wait_end(&wait, status);
  return status;
}

mts_Status mts_future_wait(mts_Future *future, const mts_Patience *patience)
{
  mts_Status status = MTS_OK;
  if (mts_future_is_answered(future))
    return MTS_OK;
  if (mts_worker_is_forked()) /* only the parent gets the answer */
    return MTS_FORKED;
  if (mts_wait_is_refused(patience))
    return MTS_ENDING;
  mts_trace_begin(MTS_TRACE_ANSWER, future->state);
  if (!mts_self.worker)
    look_for_answer(future, patience->deadline);
  if (!mts_future_is_answered(future))
    status = wait_for_answer(future, patience);
  mts_trace_end();
  return status;
}
