/*
** queueclose.h - the end of a queue; a part of queue.h
*/
#ifndef MTS_QUEUECLOSE_H
#define MTS_QUEUECLOSE_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/*
** The queue takes no more requests, and those in it fail.
** Locks: takes queue->mutex; no mutex may be held.
*/
void mts_queueclose_close(mts_Queue *queue);

/*
** The queue takes no more requests, and nothing in it begins, but all stays
** there: the process ends, and counts it as lost.
** Locks: takes queue->mutex.
*/
void mts_queueclose_freeze(mts_Queue *queue);

/*
** The state has lost its last owner.
** Locks: takes queue->mutex.
** Returns: false if there are no requests: the queue is closed now.
*/
bool mts_queueclose_when_idle(mts_Queue *queue);

/*
** The same, but if there are no requests, the next turn, which has to be
** scheduled by the caller, closes the state.
** Returns: whether it has to be scheduled.
*/
bool mts_queueclose_by_turn(mts_Queue *queue);

/* Returns: whether the caller has the queue's reference to the state now. */
static inline bool mts_queueclose_take_reference(mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  const bool has_reference = queue->has_reference;
  queue->has_reference = false;
  return has_reference;
}

/*
** One closer more (1) or less (-1): as long as there is one, the queue takes
** no more requests.
** Locks: takes queue->mutex.
*/
void mts_queueclose_add_closer(mts_Queue *queue, int count);

/*
** Waits until there is no request, and none under way.
** Locks: takes queue->mutex, and those of mts_wait_begin.
** Returns: MTS_OK, and as mts_wait_begin and mts_wait_sleep.
*/
mts_Status mts_queueclose_await_idle(mts_Queue *queue,
                                     const mts_Patience *patience);

/*
** Takes no more notices, if none waits; or takes them again, unless the queue
** is closed.
** Locks: takes queue->mutex to take them again.
** Returns: false if there are some.
*/
bool mts_queueclose_refuse_notices(mts_Queue *queue);
void mts_queueclose_accept_notices(mts_Queue *queue);

/*
** The queue is idle: those who wait for that go on.
** Locks: takes queue->mutex.
*/
void mts_queueclose_tell_closers(mts_Queue *queue);

/*
** Has the state closed by the turn that makes the queue idle; the next one, if
** it is.
** Locks: takes queue->mutex, and those of mts_worker_schedule.
*/
void mts_queueclose_shut(mts_Queue *queue);

/*
** The Lua state is closed.
** Locks: takes queue->mutex.
*/
void mts_queueclose_note_end(mts_Queue *queue);

/*
** Waits for that.
** Locks: takes queue->mutex, and those of mts_wait_begin.
** Returns: MTS_OK, and as mts_wait_begin and mts_wait_sleep.
*/
mts_Status mts_queueclose_await_end(mts_Queue *queue,
                                    const mts_Patience *patience);

MTS_END_HIDDEN

#endif
