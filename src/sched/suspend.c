/*
** suspend.c - a task is suspended, and goes on
**
** The wait of a suspended task is a record that others find: in the list of
** the future, among the senders of a queue, among those who look for a state,
** in the heap of the timers, and, to cancel it or to close the state, by the
** list of suspended tasks.  It is made known there by the thread that has run
** the task, when the coroutine has yielded and while that thread still holds
** the state.  So the wait can be over at any moment, but nobody resumes the
** coroutine before the thread lets go of the state.  (A yield that fails has
** made nothing known.)
**
** Who changes the outcome of the wait ends it, and makes the task ready, which
** is the last time that it touches the task.  Before the task goes on, the
** wait is removed from wherever it is still known.  Each of these places has a
** mutex, under which the outcome is changed there; so when it is removed,
** nobody is at it, and nobody comes later: an answer that is late finds
** nothing, and cannot end the next wait of the task.
**
** A task is cancelled by who calls mts_future_cancel; see future.c.
*/
#include "sched/suspend.h"

#include <stdlib.h>

#include "core/interrupt.h"
#include "core/knot.h"
#include "core/trace.h"
#include "sched/queue.h"
#include "sched/team.h"

/* Ends the wait, which is known to others, unless it is over by now. */
static void end_wait(mts_Task *task, mts_Status reason)
{
  if (mts_wait_decide(&task->wait, reason))
    task->wait.go_on(&task->wait);
}

/* Whether the request is a fork of the state, held here, that is to begin. */
static bool is_fresh_fork(const mts_Request *request, const mts_State *host)
{
  const mts_Task *task = request->task;
  return request->future.state == host && request->is_fork && task &&
         !task->has_begun && host->task_limit != 1;
}

/*
** Whether it is clear that what a task of the host waits for is going to
** happen: a request that nothing keeps from beginning.  If that changes, those
** who wait then look where the way leads.
*/
static bool is_harmless(const mts_Pending *pending, const mts_State *host)
{
  const mts_Request *request = (const mts_Request *)pending->future;
  const mts_State *s = request ? request->future.state : NULL;
  const mts_Queue *queue;
  if (pending->deadline != MTS_FOREVER)
    return true;
  if (!s) /* a promise, or room */
    return !pending->sender;
  if (is_fresh_fork(request, host))
    return true;
  if (mts_state_is_pool(s))
    return mts_team_may_begin(s);
  queue = atomic_load(&s->queue);
  return mts_lockword_holder(atomic_load(&s->lock.word)) == 0 &&
         !request->task && !atomic_load(&request->asked.source) &&
         queue->tasks.room_waits == 0;
}

/* Raises `deadlock` in the task if it waits for itself. */
static void look_for_deadlock(mts_Task *task)
{
  mts_Request *request;
  mts_Blocker self = {MTS_BLOCKER_TASK, 0, task, task->queue->state};
  if (is_harmless(&task->pending, task->queue->state))
    return;
  mts_mutex_lock(&task->queue->mutex);
  request = task->request;
  if (request && !request->is_send)
    mts_future_retain(&request->future); /* closing can answer it */
  mts_mutex_unlock(&task->queue->mutex);
  if (request) {
    self.kind = MTS_BLOCKER_REQUEST;
    self.request = request;
  }
  if (mts_waitgraph_ends_task(&self, &task->wait.outcome))
    task->wait.go_on(&task->wait);
  if (request && !request->is_send)
    mts_future_release(&request->future);
}

static bool is_wait_over(const mts_Task *task)
{
  return atomic_load(&task->wait.outcome) != MTS_WAIT_OPEN;
}

/* What the task waits for, for the trace. */
static unsigned trace_suspended(const mts_Task *task)
{
  const mts_Pending *pending = &task->pending;
  const mts_State *s = pending->future ? pending->future->state : NULL;
  mts_TraceWhat what = MTS_TRACE_TIME;
  if (pending->future)
    what = MTS_TRACE_ANSWER;
  else if (pending->sender) {
    what = MTS_TRACE_ROOM;
    s = pending->state;
  }
  else if (pending->search)
    what = MTS_TRACE_STATE;
  else if (pending->deadline <= 0)
    what = MTS_TRACE_TURN;
  return mts_trace_suspend(what, task->queue->state, s, task);
}

void mts_suspend_task(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  const mts_Pending *pending = &task->pending;
  mts_State *s = queue->state;
  bool is_cancelled;
  task->trace = mts_trace_is_on() ? trace_suspended(task) : 0;
  atomic_store_explicit(&task->wait.outcome, MTS_WAIT_OPEN,
                        memory_order_relaxed);
  mts_queue_note_pause(queue);
  is_cancelled = mts_task_list_suspended(task);
  if (mts_interrupt_suspend_task(s) || is_cancelled)
    end_wait(task, MTS_CANCELLED);
  if (mts_lockword_is_ending(atomic_load(&s->lock.word)))
    end_wait(task, MTS_ENDING);
  if (!is_wait_over(task) && pending->deadline <= 0) /* others go first */
    end_wait(task, MTS_BUSY);
  if (!is_wait_over(task) && pending->deadline != MTS_FOREVER &&
      !mts_timer_start(&task->timer, pending->deadline))
    end_wait(task, MTS_NO_MEMORY);
  if (!is_wait_over(task) && pending->future &&
      !mts_future_enlist(pending->future, &task->wait))
    end_wait(task, MTS_OK);
  if (!is_wait_over(task) && pending->search &&
      !mts_registry_enlist(pending->search, &task->wait))
    end_wait(task, MTS_OK);
  if (!is_wait_over(task) && pending->sender) {
    const mts_Status status = mts_room_begin(pending->sender);
    if (status != MTS_BUSY)
      end_wait(task, status);
  }
  if (!is_wait_over(task))
    look_for_deadlock(task);
}

mts_Status mts_suspend_settle(mts_Task *task)
{
  const mts_Pending *pending = &task->pending;
  const mts_Status outcome = (mts_Status)atomic_load_explicit(
      &task->wait.outcome, memory_order_relaxed);
  if (pending->deadline != MTS_FOREVER && outcome != MTS_BUSY)
    mts_timer_stop(&task->timer);
  if (pending->future && outcome != MTS_OK)
    mts_future_delist(pending->future, &task->wait);
  if (pending->search)
    mts_registry_delist(pending->search);
  if (pending->sender)
    mts_room_end(atomic_load(&pending->state->queue), pending->sender);
  return outcome;
}

void mts_suspend_drop(mts_Task *task)
{
  mts_Pending *pending = &task->pending;
  if (pending->sender) {
    mts_Request *request = pending->sender->request;
    if (!pending->sender->is_granted)
      mts_request_free(request);
    else if (pending->has_future)
      mts_future_release(&request->future);
    free(pending->sender);
  }
  free(pending->search);
  if (pending->future)
    mts_future_release(pending->future);
  if (pending->state)
    mts_state_release(pending->state);
}
