/*
** queueturn.c - when a queue is served; a part of queue.h
**
** A queue with something to run is scheduled: it waits for its turn, or has
** it.  A turn is the time for which a thread serves the queue (serve.c).
**
** Invariants, with the mutex of the queue free:
**
** 1. If the status is idle, there are no ready tasks, and no requests that may
**    begin, and no turn is in progress.  Requests may not begin while a task
**    waits for room, or as many are under way as may be: what ends that is
**    part of a turn, which goes on with them.
** 2. If the status is not idle, the queue is known in one place, which status
**    names, and only who takes it from there changes the status, but for
**    closing.
*/
#include "sched/queueturn.h"

#include "sched/queueclose.h"
#include "sched/room.h"
#include "sched/task.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Scheduled                                                               */
/* ======================================================================= */

bool mts_queueturn_is_scheduled(mts_Queue *queue)
{
  bool is_scheduled;
  mts_mutex_lock(&queue->mutex);
  is_scheduled = queue->status == MTS_QUEUE_SCHEDULED;
  mts_mutex_unlock(&queue->mutex);
  return is_scheduled;
}

/* Whether there is something to run now. */
static bool has_something_to_run(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return !atomic_load(&queue->is_closed) &&
         (mts_task_has_ready(queue) || mts_queue_beginnable(queue) ||
          ((mts_queue_notices(queue) > 0 || mts_queue_has_shared(queue)) &&
           mts_queue_may_begin(queue)));
}

void mts_queueturn_schedule_ready(mts_Queue *queue)
{
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  is_runnable =
      has_something_to_run(queue) && mts_queueturn_make_runnable(queue);
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
}

bool mts_queueturn_schedule_again(mts_Queue *queue)
{
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  is_runnable =
      !atomic_load(&queue->is_closed) && mts_queueturn_make_runnable(queue);
  mts_mutex_unlock(&queue->mutex);
  return is_runnable;
}

bool mts_queueturn_schedule(mts_Queue *queue)
{
  const bool is_runnable = mts_queueturn_schedule_again(queue);
  if (is_runnable)
    mts_worker_schedule(queue);
  return is_runnable;
}

/* ======================================================================= */
/* The end of a turn                                                       */
/* ======================================================================= */

/*
** What follows a turn after which there is nothing to run, or only forks of a
** state that is to be closed.
*/
static mts_TurnEnd become_idle(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  mts_TurnEnd end = MTS_TURN_IDLE;
  queue->status = MTS_QUEUE_IDLE;
  if (atomic_load(&queue->is_closed)) {
    if (mts_queueclose_take_reference(queue))
      end = MTS_TURN_CLOSED;
  }
  else if ((queue->is_shut || queue->closes_when_idle) &&
           !mts_queue_is_busy(queue)) {
    mts_state_retain(queue->state);
    end = queue->is_shut ? MTS_TURN_SHUT : MTS_TURN_UNOWNED;
    queue->is_shut = queue->closes_when_idle = false;
  }
  return end;
}

mts_TurnEnd mts_queueturn_end(mts_Queue *queue)
{
  mts_TurnEnd end = MTS_TURN_AGAIN;
  bool has_granted, has_closers = false;
  mts_mutex_lock(&queue->mutex);
  has_closers = queue->closing.first && !mts_queue_has_work(queue);
  if (!has_something_to_run(queue) ||
      ((queue->closes_when_idle || queue->is_shut) &&
       !mts_queue_has_work(queue)))
    end = become_idle(queue);
  has_granted = mts_room_has_granted(queue) && end != MTS_TURN_AGAIN;
  if (has_granted || has_closers)
    mts_state_retain(queue->state); /* it can be closed at once */
  mts_mutex_unlock(&queue->mutex);
  if (has_granted)
    mts_room_tell_all(queue);
  if (has_closers)
    mts_queueclose_tell_closers(queue);
  if (has_granted || has_closers)
    mts_state_release(queue->state);
  return end;
}

void mts_queueturn_block(mts_Queue *queue)
{
  mts_mutex_lock(&queue->mutex);
  queue->status = MTS_QUEUE_BLOCKED;
  queue->was_refused = true;
  mts_mutex_unlock(&queue->mutex);
}

bool mts_queueturn_unblock(mts_Queue *queue)
{
  bool was_blocked;
  mts_mutex_lock(&queue->mutex);
  was_blocked = queue->status == MTS_QUEUE_BLOCKED;
  if (was_blocked)
    queue->status = MTS_QUEUE_SCHEDULED;
  mts_mutex_unlock(&queue->mutex);
  return was_blocked;
}
