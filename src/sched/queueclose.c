/*
** queueclose.c - the end of a queue; a part of queue.h
**
** There are four ways.  The state is closed: the queue takes no more
** requests, and those in it fail.  The state has lost its last owner: that
** closes it when the queue is idle.  Or threads wait to close the state, for a
** while: as long as there is one, no more requests are taken.  Or code of the
** state ends the process: the requests stay, and are counted there (ending.c).
**
** Invariants, with the mutex of the queue free:
**
** 1. The queue has a reference to its state until that is closed and the queue
**    is idle.
** 2. Once is_closed is true there are no requests, and senders leave at once;
**    no task goes on: who closes the state closes them (taskrun.c).  But at
**    the end of the process all stay.
**
** Locks: that of the queue, a leaf.
*/
#include "sched/queueclose.h"

#include <stdio.h>

#include "core/trace.h"
#include "sched/deferral.h"
#include "sched/log.h"
#include "sched/ownthread.h"
#include "sched/queueturn.h"
#include "sched/room.h"
#include "sched/task.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Waits of those who close                                                */
/* ======================================================================= */

/* Waits in a list of the queue until that is so. */
static mts_Status await_in_list(mts_Queue *queue, mts_WaitList *list,
                                bool (*is_so)(const mts_Queue *queue),
                                mts_TraceWhat what,
                                const mts_Patience *patience)
{
  mts_ThreadWait wait;
  bool has_to_wait;
  mts_Status status = mts_wait_begin(&wait, patience);
  if (status != MTS_OK)
    return status;
  mts_mutex_lock(&queue->mutex);
  has_to_wait = !is_so(queue);
  if (has_to_wait)
    mts_waitlist_add(list, &wait.wait);
  mts_mutex_unlock(&queue->mutex);
  if (has_to_wait) {
    mts_trace_begin(what, queue->state);
    status = mts_wait_sleep(&wait, patience, queue->state, NULL);
    mts_trace_end();
    if (status != MTS_OK) {
      mts_mutex_lock(&queue->mutex);
      mts_waitlist_remove(list, &wait.wait);
      mts_mutex_unlock(&queue->mutex);
    }
  }
  mts_wait_end(&wait, status);
  return status;
}

static void finish_list(mts_Queue *queue, mts_WaitList *list)
{
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&queue->mutex);
    mts_waitlist_finish(list, MTS_OK, &wakes);
    mts_mutex_unlock(&queue->mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
}

/* ======================================================================= */
/* Closed                                                                  */
/* ======================================================================= */

/* Fails the requests of a list; that many sends fail beside them. */
static void fail_all(const mts_State *s, mts_Request *request, size_t sends)
{
  size_t count = sends;
  bool has_send = sends > 0;
  while (request) {
    mts_Request *next = request->next;
    count++;
    has_send |= request->is_send;
    mts_future_fail(&request->future, MTS_CLOSED);
    request = next;
  }
  if (has_send) {
    char text[MTS_DESCRIPTION_SIZE + 60];
    char description[MTS_DESCRIPTION_SIZE];
    int length;
    mts_state_describe(s, description);
    length =
        snprintf(text, sizeof(text), "%s was closed: %zu request%s failed",
                 description, count, count == 1 ? "" : "s");
    mts_log_warning(s, text, (size_t)length);
  }
}

/* Takes all requests out of the queue.  Returns: the first one. */
static mts_Request *take_all(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  mts_Request *first = queue->first;
  mts_Request *request;
  for (request = first; request; request = request->next)
    request->is_queued = false;
  queue->first = queue->last = NULL;
  queue->waiting = queue->counted = 0;
  if (queue->heap)
    mts_heap_set_waiting(queue->heap, 0);
  if (first)
    mts_trace_count(queue->state, 0);
  return first;
}

void mts_queueclose_close(mts_Queue *queue)
{
  mts_State *s = queue->state;
  mts_Request *requests, *last;
  size_t sends = 0;
  bool was_closed, is_idle, has_turn, is_last = false;
  mts_mutex_lock(&queue->mutex);
  was_closed = atomic_exchange(&queue->is_closed, true);
  atomic_store(&queue->notices, MTS_NO_NOTICES);
  last = queue->last;
  requests = take_all(queue);
  if (last)
    last->next = mts_task_detach_requests(queue, &sends);
  else
    requests = mts_task_detach_requests(queue, &sends);
  if (queue->status == MTS_QUEUE_BLOCKED)
    queue->status = MTS_QUEUE_IDLE;
  is_idle = queue->status == MTS_QUEUE_IDLE;
  has_turn = is_idle && queue->shared && mts_lock_lacks_closer(&s->lock);
  if (has_turn) {
    queue->status = MTS_QUEUE_SCHEDULED;
    is_idle = false;
  }
  if (is_idle)
    is_last = mts_queueclose_take_reference(queue);
  mts_mutex_unlock(&queue->mutex);
  mts_room_dismiss(queue);
  if (is_idle)
    mts_queueclose_tell_closers(queue);
  fail_all(s, requests, was_closed ? 0 : sends);
  mts_deferral_close_all(queue);
  if (has_turn)
    mts_worker_schedule(queue);
  if (queue->has_own_thread)
    mts_ownthread_wake(queue);
  if (is_last)
    mts_state_release(s);
}

void mts_queueclose_freeze(mts_Queue *queue)
{
  mts_mutex_lock(&queue->mutex);
  atomic_store(&queue->is_closed, true);
  mts_mutex_unlock(&queue->mutex);
}

bool mts_queueclose_when_idle(mts_Queue *queue)
{
  bool is_busy;
  mts_mutex_lock(&queue->mutex);
  is_busy = mts_queue_is_busy(queue);
  if (is_busy)
    queue->closes_when_idle = true;
  else
    atomic_store(&queue->is_closed, true);
  mts_mutex_unlock(&queue->mutex);
  return is_busy;
}

bool mts_queueclose_by_turn(mts_Queue *queue)
{
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  is_runnable =
      !atomic_load(&queue->is_closed) && mts_queueturn_make_runnable(queue);
  queue->closes_when_idle = true;
  mts_mutex_unlock(&queue->mutex);
  return is_runnable;
}

/* ======================================================================= */
/* Closed when it is idle, by those who wait for that                      */
/* ======================================================================= */

static bool is_done(const mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  return !mts_queue_has_work(queue);
}

mts_Status mts_queueclose_await_idle(mts_Queue *queue,
                                     const mts_Patience *patience)
{
  return await_in_list(queue, &queue->closing, is_done, MTS_TRACE_IDLE,
                       patience);
}

void mts_queueclose_tell_closers(mts_Queue *queue)
{
  finish_list(queue, &queue->closing);
}

bool mts_queueclose_refuse_notices(mts_Queue *queue)
{
  size_t none = 0;
  return atomic_compare_exchange_strong(&queue->notices, &none,
                                        MTS_NO_NOTICES) ||
         none == MTS_NO_NOTICES;
}

void mts_queueclose_accept_notices(mts_Queue *queue)
{
  mts_mutex_lock(&queue->mutex);
  if (!atomic_load(&queue->is_closed))
    atomic_store(&queue->notices, 0);
  mts_mutex_unlock(&queue->mutex);
}

void mts_queueclose_add_closer(mts_Queue *queue, int count)
{
  mts_mutex_lock(&queue->mutex);
  queue->closers += count;
  mts_mutex_unlock(&queue->mutex);
}

/* ======================================================================= */
/* The end of the Lua state                                                */
/* ======================================================================= */

void mts_queueclose_shut(mts_Queue *queue)
{
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  queue->is_shut = true;
  is_runnable =
      !atomic_load(&queue->is_closed) && mts_queueturn_make_runnable(queue);
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
}

static bool has_ended(const mts_Queue *queue)
{
  return atomic_load(&queue->state->has_ended);
}

mts_Status mts_queueclose_await_end(mts_Queue *queue,
                                    const mts_Patience *patience)
{
  return await_in_list(queue, &queue->ends, has_ended, MTS_TRACE_CLOSING,
                       patience);
}

void mts_queueclose_note_end(mts_Queue *queue)
{
  finish_list(queue, &queue->ends);
}
