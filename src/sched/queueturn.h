/*
** queueturn.h - when a queue is served; a part of queue.h
*/
#ifndef MTS_QUEUETURN_H
#define MTS_QUEUETURN_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/*
** Makes an idle queue count as scheduled; that of a pool never does.
** Returns: whether the caller has to schedule it.
*/
static inline bool mts_queueturn_make_runnable(mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  const bool was_idle = queue->status == MTS_QUEUE_IDLE;
  if (queue->team)
    return queue->has_idle;
  if (was_idle)
    queue->status = MTS_QUEUE_SCHEDULED;
  return was_idle;
}

/*
** Has the queue served if it is idle, though there is no request.
** mts_queueturn_schedule_again: for its worker, which then knows it again.
** Locks: takes queue->mutex, and those of mts_worker_schedule, or not.
** Returns: whether it was idle, and is not closed.
*/
bool mts_queueturn_schedule(mts_Queue *queue);
bool mts_queueturn_schedule_again(mts_Queue *queue);

/*
** The same if there is something to run: to be called when a turn has left the
** queue idle although there was.
*/
void mts_queueturn_schedule_ready(mts_Queue *queue);

/* Whether the caller, who alone serves the queue, has to. */
bool mts_queueturn_is_scheduled(mts_Queue *queue);

/* What follows a turn. */
typedef enum mts_TurnEnd {
  MTS_TURN_AGAIN, /* there is more to run */
  MTS_TURN_IDLE,
  MTS_TURN_UNOWNED, /* idle; the state had no owner */
  MTS_TURN_SHUT,    /* idle; see mts_queueclose_shut */
  MTS_TURN_CLOSED   /* idle, and the state has been closed */
} mts_TurnEnd;

/*
** The turn of the worker has ended; unless there is another one, the worker
** does not know the queue any more.
** Locks: takes queue->mutex.
** Owns: with MTS_TURN_UNOWNED, MTS_TURN_SHUT and MTS_TURN_CLOSED, the caller
** gets a reference to the state.
*/
mts_TurnEnd mts_queueturn_end(mts_Queue *queue);

/*
** The state is busy: the queue is blocked until mts_queueturn_unblock.
** Locks: take queue->mutex.
** Returns: whether the queue was blocked; then the caller knows it.
*/
void mts_queueturn_block(mts_Queue *queue);
bool mts_queueturn_unblock(mts_Queue *queue);

MTS_END_HIDDEN

#endif
