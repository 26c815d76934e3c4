/*
** room.h - the senders that wait for room in a queue; a part of queue.c
*/
#ifndef MTS_ROOM_H
#define MTS_ROOM_H

#include "base/compiler.h"

#include "base/event.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* A thread that waits for room; lives on its stack. */
struct mts_Sender {
  mts_Request *request;
  mts_Event woken;
  mts_Status status; /* once it is told */
  bool is_granted;   /* its request is in the queue, or was */
  bool is_told;
  mts_Sender *next, *previous;
};

/* Events that are set, to be woken by mts_room_wake without the mutex. */
#define MTS_ROOM_WAKES 16
typedef struct mts_Wakes {
  mts_Event *events[MTS_ROOM_WAKES];
  int count;
} mts_Wakes;

/* Adds a sender at the end of the list. */
void mts_room_enlist(mts_Queue *queue, mts_Sender *sender)
    MTS_REQUIRES(queue->mutex);

/* Gives room that has become free to those who wait for it. */
void mts_room_grant(mts_Queue *queue) MTS_REQUIRES(queue->mutex);

/* Tells those who have got room, as many as can be woken at once. */
void mts_room_tell(mts_Queue *queue, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex);

void mts_room_wake(const mts_Wakes *wakes);

/*
** Tells and wakes all who have got room, or all senders, as the queue closes.
** Locks: take queue->mutex.
*/
void mts_room_tell_all(mts_Queue *queue);
void mts_room_dismiss(mts_Queue *queue);

/*
** Waits for room, for a sender in the list.
** Locks: takes queue->mutex.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED.
*/
mts_Status mts_room_wait(mts_Queue *queue, mts_Sender *sender,
                         double deadline);

MTS_END_HIDDEN

#endif
