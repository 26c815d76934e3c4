/*
** room.c - the senders that wait for room in a queue; a part of queue.h
**
** A request that finds no room waits in its sender, which is on the stack of a
** thread, or belongs to a suspended task.  When there is room its request is
** moved into the queue, so that nobody overtakes it; the sender sleeps on for
** a while, since to wake it for each request would cost more than the
** requests.  So the list has those with room in front, and first_waiting is
** the first one without.  Those in front are told when the queue is half
** empty, when a turn ends, and, if one request takes long, by the monitor
** (monitor.c).
**
** A sender that is told is not in the list any more, and can be gone at once.
** One whose wait is over for another reason, such as its deadline, takes
** itself out of the list; until then it is passed over.
**
** All of it is guarded by the mutex of the queue.
*/
#include "sched/room.h"

#include "sched/worker.h"

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

/* Adds a sender at the end of the list. */
static void enlist_sender(mts_Queue *queue, mts_Sender *sender)
    MTS_REQUIRES(queue->mutex)
{
  sender->is_listed = true;
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
    const bool has_memory = mts_queue_has_memory(queue, sender->request);
    if (mts_wait_decide(sender->wait, has_memory ? MTS_OK : MTS_NO_MEMORY)) {
      sender->is_granted = has_memory;
      sender->is_refused = !has_memory;
      if (has_memory)
        mts_queue_append(queue, sender->request);
    }
    queue->first_waiting = sender->next;
  }
}

/*
** The sender, which is the first one, leaves the list.  If its wait ends with
** MTS_OK or with that status it goes on, and can be gone at once.
*/
static void tell_sender(mts_Queue *queue, mts_Status status, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex)
{
  mts_Sender *sender = queue->first_sender;
  unlink_sender(queue, sender);
  sender->is_listed = false;
  if (mts_wait_decide(sender->wait, status) || sender->is_granted ||
      sender->is_refused)
    mts_wait_tell(sender->wait, wakes);
}

/* Tells those who have got room, as many as can be woken at once. */
void mts_room_tell(mts_Queue *queue, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex)
{
  while (mts_room_has_granted(queue) && wakes->count < MTS_WAKES)
    tell_sender(queue, MTS_OK, wakes);
}

void mts_room_tell_all(mts_Queue *queue)
{
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&queue->mutex);
    mts_room_tell(queue, &wakes);
    mts_mutex_unlock(&queue->mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
}

mts_Status mts_room_begin(mts_Sender *sender)
{
  mts_Queue *queue = atomic_load(&sender->request->future.state->queue);
  mts_Status status;
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  status = mts_queue_append_if_room(queue, sender->request, &is_runnable);
  if (status == MTS_BUSY)
    enlist_sender(queue, sender);
  sender->is_granted = status == MTS_OK;
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
  return status;
}

void mts_room_end(mts_Queue *queue, mts_Sender *sender)
{
  mts_mutex_lock(&queue->mutex);
  if (sender->is_listed)
    unlink_sender(queue, sender);
  mts_mutex_unlock(&queue->mutex);
}

/* Tells all senders that are in the list. */
void mts_room_dismiss(mts_Queue *queue)
{
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&queue->mutex);
    mts_room_tell(queue, &wakes);
    while (queue->first_sender && wakes.count < MTS_WAKES)
      tell_sender(queue, MTS_CLOSED, &wakes);
    mts_mutex_unlock(&queue->mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
}
