/*
** deferral.c - requests that are answered when another future is
**
** The future of such a request names its source, whose answer is read in its
** place; sources can have sources.  The request waits for its source by a wait
** record, as threads and tasks do, which lies where its values were.  Who ends
** that wait, when the source is answered or the request is cancelled, answers
** the request.
**
** One that waits for itself, by whatever way, is never answered.  Who begins
** to wait last looks (waitgraph.c); so does a request, if somebody waits for
** it already.
**
** Answers to a chain of any length are given by a loop and not by recursion.
*/
#include "sched/deferral.h"

#include "core/knot.h"
#include "core/waitgraph.h"
#include "sched/queueturn.h"

static mts_Wait *wait_of(mts_Request *request)
{
  return (mts_Wait *)(void *)request->space;
}

static mts_Request *request_of(mts_Wait *wait)
{
  return (mts_Request *)((char *)wait - offsetof(mts_Request, space));
}

const mts_Future *mts_deferral_source(const mts_Request *request)
{
  const mts_Wait *wait = (const mts_Wait *)(const void *)request->space;
  return atomic_load(&wait->outcome) == MTS_WAIT_OPEN
             ? atomic_load(&request->asked.source)
             : NULL;
}

static void link_deferred(mts_Queue *queue, mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  mts_Tasks *tasks = &queue->tasks;
  request->is_deferred = true; /* its wait stays, when that is over */
  request->previous = NULL;
  request->next = tasks->first_deferred;
  if (tasks->first_deferred)
    tasks->first_deferred->previous = request;
  tasks->first_deferred = request;
}

static void unlink_deferred(mts_Queue *queue, mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  if (request->next)
    request->next->previous = request->previous;
  if (request->previous)
    request->previous->next = request->next;
  else
    queue->tasks.first_deferred = request->next;
}

/* The request is not deferred any more; it can be what others wait for. */
static void note_end(mts_Request *request)
{
  mts_State *s = request->future.state;
  mts_Queue *queue = atomic_load(&s->queue);
  bool is_last;
  mts_mutex_lock(&queue->mutex);
  unlink_deferred(queue, request);
  is_last = --queue->tasks.deferred == 0;
  mts_mutex_unlock(&queue->mutex);
  if (is_last)
    (void)mts_queueturn_schedule(queue);
}

/* The source is answered: so is the request. */
static void finish(mts_Wait *wait)
{
  static MTS_THREAD_LOCAL mts_Wait *first;
  static MTS_THREAD_LOCAL bool is_finishing;
  wait->next_told = first;
  first = wait;
  if (is_finishing)
    return;
  is_finishing = true;
  while ((wait = first) != NULL) {
    mts_Request *request = request_of(wait);
    first = wait->next_told;
    note_end(request);
    mts_future_answer(&request->future);
  }
  is_finishing = false;
}

/* Answers the request without its source. */
static void drop_source(mts_Request *request, mts_Status status)
{
  mts_Future *source = atomic_exchange(&request->asked.source, NULL);
  note_end(request);
  mts_future_fail(&request->future, status);
  mts_future_release(source);
}

/*
** Whether the request waits for itself: if somebody waits for it, that one can
** be on the way.  The wait is ended then.
*/
static bool ends_deadlocked(mts_Request *request)
{
  mts_Future *future = &request->future;
  const mts_Blocker self = {MTS_BLOCKER_REQUEST, 0, request, future->state};
  bool is_awaited;
  if (atomic_load(&request->asked.source) == future)
    return mts_wait_decide(wait_of(request), MTS_DEADLOCK);
  mts_mutex_lock(&request->asked.mutex);
  is_awaited = request->asked.waits.first != NULL;
  mts_mutex_unlock(&request->asked.mutex);
  return is_awaited &&
         mts_waitgraph_ends_task(&self, &wait_of(request)->outcome);
}

/* Waits for the source; the caller keeps both. */
static void wait_for_source(mts_Request *request, mts_Future *source)
{
  mts_Wait *wait = wait_of(request);
  if (atomic_exchange(&request->is_untold, false)) {
    if (mts_wait_decide(wait, MTS_CANCELLED))
      drop_source(request, MTS_CANCELLED);
  }
  else if (!mts_future_enlist(source, wait)) {
    if (mts_wait_decide(wait, MTS_OK))
      finish(wait);
  }
  else if (ends_deadlocked(request)) {
    mts_future_delist(source, wait);
    drop_source(request, MTS_DEADLOCK);
  }
  else if (atomic_load(&wait->outcome) != MTS_WAIT_OPEN) /* ended before */
    mts_future_delist(source, wait);
}

void mts_deferral_begin(mts_Request *request, mts_Future *source)
{
  mts_Future *future = &request->future;
  mts_Queue *queue;
  mts_Wait *wait = wait_of(request);
  bool is_closed;
  mts_future_retain(future);
  mts_future_retain(source);
  queue = atomic_load(&future->state->queue);
  mts_mutex_lock(&queue->mutex);
  atomic_init(&wait->outcome, MTS_WAIT_OPEN);
  wait->go_on = finish;
  wait->list = NULL;
  link_deferred(queue, request);
  atomic_store(&request->asked.source, source);
  is_closed = atomic_load(&queue->is_closed);
  mts_mutex_unlock(&queue->mutex);
  if (!is_closed)
    wait_for_source(request, source);
  else if (mts_wait_decide(wait, MTS_CLOSED))
    drop_source(request, MTS_CLOSED);
  mts_future_release(source);
  mts_future_release(future);
}

/* Answers the request with that, its wait having been ended so. */
static void fail_deferred(mts_Request *request, mts_Status status)
{
  mts_future_delist(atomic_load(&request->asked.source), wait_of(request));
  drop_source(request, status);
}

bool mts_deferral_cancel(mts_Request *request)
{
  mts_Queue *queue = atomic_load(&request->future.state->queue);
  bool is_ended;
  mts_mutex_lock(&queue->mutex);
  is_ended =
      request->is_deferred && mts_wait_decide(wait_of(request), MTS_CANCELLED);
  mts_mutex_unlock(&queue->mutex);
  if (is_ended)
    fail_deferred(request, MTS_CANCELLED);
  return is_ended;
}

void mts_deferral_close_all(mts_Queue *queue)
{
  mts_Request *request;
  do {
    mts_mutex_lock(&queue->mutex);
    request = queue->tasks.first_deferred;
    while (request && !mts_wait_decide(wait_of(request), MTS_CLOSED))
      request = request->next; /* it is just being answered */
    mts_mutex_unlock(&queue->mutex);
    if (request)
      fail_deferred(request, MTS_CLOSED);
  } while (request);
}
