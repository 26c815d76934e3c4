/*
** room.h - the senders that wait for room in a queue; a part of queue.h
*/
#ifndef MTS_ROOM_H
#define MTS_ROOM_H

#include "base/compiler.h"

#include "core/wait.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* One that waits for room, once; first all zero but the first two. */
struct mts_Sender {
  mts_Request *request;
  mts_Wait *wait; /* its outcome is MTS_OK once the request is in the queue */
  atomic_bool is_listed;
  bool is_granted; /* the request is in the queue, or was */
  bool is_refused; /* there was room, but not the memory */
  mts_Sender *next, *previous;
};

/* Whether senders have got room and are not told yet. */
static inline bool mts_room_has_granted(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->first_sender != queue->first_waiting;
}

/* Gives room that has become free to those who wait for it. */
void mts_room_grant(mts_Queue *queue) MTS_REQUIRES(queue->mutex);

/* Tells those who have got room, as many as can be woken at once. */
void mts_room_tell(mts_Queue *queue, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex);

/*
** Tells and wakes all who have got room, or all senders, as the queue closes.
** Locks: take queue->mutex.
*/
void mts_room_tell_all(mts_Queue *queue);
void mts_room_dismiss(mts_Queue *queue);

/*
** Puts the request of the sender into its queue, if there is room by now;
** otherwise the sender is in the list: its wait is going to be finished, with
** MTS_OK when it is there, or MTS_CLOSED, or MTS_NO_MEMORY.
** Locks: takes the mutex of the queue, and those of mts_worker_schedule.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_NO_MEMORY.
*/
mts_Status mts_room_begin(mts_Sender *sender);

/* Takes the sender out of the list, if it is in. */
void mts_room_end(mts_Queue *queue, mts_Sender *sender);

MTS_END_HIDDEN

#endif
