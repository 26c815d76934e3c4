/*
** room.c - the senders that wait for room in a queue; a part of queue.c
**
** A request that finds no room waits in its sender, which is on the stack of a
** thread.  When there is room its request is moved into the queue, so that
** nobody overtakes it; the thread sleeps on for a while, since to wake it for
** each request would cost more than the requests.  So the list has those with
** room in front, and first_waiting is the first one without.  Those in front
** are told when the queue is half empty, when a turn ends, and, if one request
** takes long, by the monitor (monitor.c).
**
** A sender that is told is not in the list any more, and can be gone at once.
** One whose deadline has passed takes itself out of the list.
**
** All of it is guarded by the mutex of the queue.
*/
#include "sched/room.h"

static void unlink_sender(mts_Queue *queue, const mts_Sender *sender)
    MTS_REQUIRES(queue->mutex)
{
  if (queue->first_waiting == sender)
    queue->first_waiting = sender->next;
  if (sender->next)
    sender->next->previous = sender->previous;
  else
    queue->last_sender = sender->previous;
  if (sender->previous)
    sender->previous->next = sender->next;
  else
    queue->first_sender = sender->next;
}

void mts_room_enlist(mts_Queue *queue, mts_Sender *sender)
    MTS_REQUIRES(queue->mutex)
{
  sender->next = NULL;
  sender->previous = queue->last_sender;
  if (queue->last_sender)
    queue->last_sender->next = sender;
  else
    queue->first_sender = sender;
  queue->last_sender = sender;
  if (!queue->first_waiting)
    queue->first_waiting = sender;
}

/* Gives room that has become free to those who wait for it. */
void mts_room_grant(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  while (queue->first_waiting && mts_queue_has_room(queue)) {
    mts_Sender *sender = queue->first_waiting;
    mts_queue_append(queue, sender->request);
    sender->is_granted = true;
    queue->first_waiting = sender->next;
  }
}

/* The sender, which is the first one, goes on, and can be gone at once. */
static void tell_sender(mts_Queue *queue, mts_Status status, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex)
{
  mts_Sender *sender = queue->first_sender;
  unlink_sender(queue, sender);
  sender->is_told = true;
  sender->status = status;
  if (mts_event_set(&sender->woken))
    wakes->events[wakes->count++] = &sender->woken;
}

/* Tells those who have got room, as many as can be woken at once. */
void mts_room_tell(mts_Queue *queue, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex)
{
  while (queue->first_sender != queue->first_waiting &&
         wakes->count < MTS_ROOM_WAKES)
    tell_sender(queue, MTS_OK, wakes);
}

void mts_room_wake(const mts_Wakes *wakes)
{
  int i;
  for (i = 0; i < wakes->count; i++)
    mts_event_wake(wakes->events[i]);
}

void mts_room_tell_all(mts_Queue *queue)
{
  mts_Wakes wakes;
  do {
    wakes.count = 0;
    mts_mutex_lock(&queue->mutex);
    mts_room_tell(queue, &wakes);
    mts_mutex_unlock(&queue->mutex);
    mts_room_wake(&wakes);
  } while (wakes.count == MTS_ROOM_WAKES);
}

/* For a sender in the list.  Returns: MTS_OK, MTS_BUSY, MTS_CLOSED. */
mts_Status mts_room_wait(mts_Queue *queue, mts_Sender *sender, double deadline)
{
  if (!mts_event_wait(&sender->woken, deadline)) {
    mts_mutex_lock(&queue->mutex);
    if (!sender->is_told) {
      sender->status = sender->is_granted ? MTS_OK : MTS_BUSY;
      unlink_sender(queue, sender);
    }
    mts_mutex_unlock(&queue->mutex);
  }
  return sender->status;
}

/* Tells all senders that are in the list. */
void mts_room_dismiss(mts_Queue *queue)
{
  mts_Wakes wakes;
  do {
    wakes.count = 0;
    mts_mutex_lock(&queue->mutex);
    mts_room_tell(queue, &wakes);
    while (queue->first_sender && wakes.count < MTS_ROOM_WAKES)
      tell_sender(queue, MTS_CLOSED, &wakes);
    mts_mutex_unlock(&queue->mutex);
    mts_room_wake(&wakes);
  } while (wakes.count == MTS_ROOM_WAKES);
}
