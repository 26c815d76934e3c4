/*
** queue.c - the requests of a state that have not begun
**
** A state gets its queue with the first request, and keeps it.  The queue is a
** list of requests, in the order in which they begin, and a list of senders
** that wait for room, in the order in which they get it.
**
** The senders are in room.c.
**
** Invariants, with the mutex free:
**
** 1. If the status is idle, there are no requests and no turn is in progress.
**    Otherwise the queue is known in one place, which status names, and only
**    who takes it from there changes the status, but for closing.
** 2. If a sender is without room, the queue is full.
** 3. The queue has a reference to its state until that is closed and the queue
**    is idle.
** 4. Once is_closed is true there are no requests, and senders leave at once.
**
** The mutex is a leaf, but for a list of all queues, whose mutex is before it.
*/
#include "sched/queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/event.h"
#include "sched/log.h"
#include "sched/monitor.h"
#include "sched/queuelist.h"
#include "sched/room.h"
#include "sched/worker.h"

/* ======================================================================= */
/* The queue of a state                                                    */
/* ======================================================================= */

void mts_queue_free(mts_Queue *queue)
{
  mts_queuelist_remove(queue);
  mts_mutex_destroy(&queue->mutex);
  free(queue);
}

/* Returns: the queue, which another thread may have made; NULL: no memory. */
static mts_Queue *make_queue(mts_State *s)
{
  mts_Queue *present = NULL;
  mts_Queue *queue = calloc(1, sizeof(*queue));
  if (!queue)
    return NULL;
  queue->state = s;
  queue->limit = s->queue_limit;
  queue->has_reference = true;
  mts_mutex_init(&queue->mutex);
  if (!atomic_compare_exchange_strong(&s->queue, &present, queue)) {
    mts_mutex_destroy(&queue->mutex);
    free(queue);
    return present;
  }
  mts_state_retain(s);
  mts_queuelist_add(queue);
  /* Who closes the state sets that in the lock before looking for a queue. */
  if (mts_lockword_is_ending(atomic_load(&s->lock.word)))
    mts_queue_close(queue);
  return queue;
}

static mts_Queue *queue_of(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  return queue ? queue : make_queue(s);
}

/* ======================================================================= */
/* Put and take                                                            */
/* ======================================================================= */

/*
** Appends the request if there is room, or the sender has none to wait for.
** Returns: MTS_OK, MTS_BUSY (the sender is in the list), MTS_CLOSED;
** *is_runnable: whether the queue is to be scheduled.
*/
static mts_Status append_or_enlist(mts_Queue *queue, mts_Sender *sender,
                                   bool *is_runnable)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Request *request = sender->request;
  *is_runnable = false;
  if (queue->is_closed)
    return MTS_CLOSED;
  if (request->is_counted &&
      (queue->first_waiting || !mts_queue_has_room(queue))) {
    mts_room_enlist(queue, sender);
    return MTS_BUSY;
  }
  mts_queue_append(queue, sender->request);
  *is_runnable = queue->status == MTS_QUEUE_IDLE;
  if (*is_runnable)
    queue->status = MTS_QUEUE_SCHEDULED;
  return MTS_OK;
}

static mts_Status put(mts_Queue *queue, mts_Request *request, double deadline)
{
  mts_Sender sender = {.request = request};
  mts_Status status;
  bool is_runnable;
  mts_event_init(&sender.woken);
  mts_mutex_lock(&queue->mutex);
  status = append_or_enlist(queue, &sender, &is_runnable);
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
  if (status == MTS_BUSY) {
    const bool may_wait = deadline > 0 && mts_thread_begin_wait();
    status = mts_room_wait(queue, &sender, may_wait ? deadline : 0);
    if (may_wait)
      mts_thread_end_wait();
    else if (status == MTS_BUSY && deadline > 0)
      status = MTS_NO_MEMORY;
  }
  mts_event_destroy(&sender.woken);
  return status;
}

mts_Status mts_request_put(mts_Request *request, const mts_State *sender,
                           double deadline)
{
  mts_State *s = request->future.state;
  mts_Status status = mts_worker_start_all();
  mts_Queue *queue = status == MTS_OK ? queue_of(s) : NULL;
  if (!queue)
    return status == MTS_OK ? MTS_NO_MEMORY : status;
  request->is_counted = sender != s;
  return put(queue, request, deadline);
}

mts_Request *mts_queue_take(mts_Queue *queue)
{
  mts_Wakes wakes = {.count = 0};
  mts_Request *request;
  bool has_granted;
  mts_mutex_lock(&queue->mutex);
  request = queue->first;
  if (request) {
    mts_queue_remove(queue, request);
    atomic_store_explicit(&queue->is_under_way, true, memory_order_relaxed);
    mts_room_grant(queue);
    if (queue->counted <= queue->limit / 2)
      mts_room_tell(queue, &wakes);
  }
  has_granted = queue->first_sender != queue->first_waiting;
  mts_mutex_unlock(&queue->mutex);
  mts_room_wake(&wakes);
  if (has_granted)
    mts_monitor_note_senders();
  return request;
}

bool mts_queue_withdraw(mts_Request *request)
{
  mts_Queue *queue = atomic_load(&request->future.state->queue);
  bool is_queued;
  if (mts_worker_is_forked())
    return false;
  mts_mutex_lock(&queue->mutex);
  is_queued = request->is_queued;
  if (is_queued) {
    mts_queue_remove(queue, request);
    mts_room_grant(queue);
  }
  mts_mutex_unlock(&queue->mutex);
  if (is_queued)
    mts_room_tell_all(queue);
  return is_queued;
}

/* ======================================================================= */
/* Turns                                                                   */
/* ======================================================================= */

/* Returns: whether the caller has the queue's reference now. */
static bool take_reference(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  const bool has_reference = queue->has_reference;
  queue->has_reference = false;
  return has_reference;
}

mts_TurnEnd mts_queue_end_turn(mts_Queue *queue)
{
  mts_TurnEnd end = MTS_TURN_AGAIN;
  bool has_granted;
  mts_mutex_lock(&queue->mutex);
  if (!queue->first) {
    queue->status = MTS_QUEUE_IDLE;
    end = MTS_TURN_IDLE;
    if (queue->is_closed && take_reference(queue))
      end = MTS_TURN_CLOSED;
    else if (queue->closes_when_idle) {
      mts_state_retain(queue->state);
      end = MTS_TURN_UNOWNED;
    }
    queue->closes_when_idle = false;
  }
  has_granted = queue->first_sender != queue->first_waiting;
  mts_mutex_unlock(&queue->mutex);
  if (has_granted && end != MTS_TURN_AGAIN)
    mts_room_tell_all(queue);
  return end;
}

void mts_queue_block(mts_Queue *queue)
{
  mts_mutex_lock(&queue->mutex);
  queue->status = MTS_QUEUE_BLOCKED;
  queue->was_refused = true;
  mts_mutex_unlock(&queue->mutex);
}

bool mts_queue_unblock(mts_Queue *queue)
{
  bool was_blocked;
  mts_mutex_lock(&queue->mutex);
  was_blocked = queue->status == MTS_QUEUE_BLOCKED;
  if (was_blocked)
    queue->status = MTS_QUEUE_SCHEDULED;
  mts_mutex_unlock(&queue->mutex);
  return was_blocked;
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

/* Fails the requests of a list. */
static void fail_all(const mts_State *s, mts_Request *request)
{
  size_t count = 0;
  bool has_send = false;
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
  return first;
}

void mts_queue_close(mts_Queue *queue)
{
  mts_State *s = queue->state;
  mts_Request *requests;
  bool is_last = false;
  mts_mutex_lock(&queue->mutex);
  queue->is_closed = true;
  requests = take_all(queue);
  if (queue->status == MTS_QUEUE_BLOCKED)
    queue->status = MTS_QUEUE_IDLE;
  if (queue->status == MTS_QUEUE_IDLE)
    is_last = take_reference(queue);
  mts_mutex_unlock(&queue->mutex);
  mts_room_dismiss(queue);
  fail_all(s, requests);
  if (is_last)
    mts_state_release(s);
}

bool mts_queue_close_when_idle(mts_Queue *queue)
{
  bool is_busy;
  mts_mutex_lock(&queue->mutex);
  is_busy = queue->status != MTS_QUEUE_IDLE;
  if (is_busy)
    queue->closes_when_idle = true;
  else
    queue->is_closed = true;
  mts_mutex_unlock(&queue->mutex);
  return is_busy;
}

mts_Request *mts_queue_take_log(mts_Queue *queue)
{
  mts_Request *request;
  mts_mutex_lock(&queue->mutex);
  request = queue->first;
  while (request && !request->is_log)
    request = request->next;
  if (request)
    mts_queue_remove(queue, request);
  mts_mutex_unlock(&queue->mutex);
  return request;
}

/* ======================================================================= */
/* Look                                                                    */
/* ======================================================================= */

mts_QueueStats mts_queue_stats(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  mts_QueueStats stats = {0, false};
  if (!queue || mts_worker_is_forked())
    return stats;
  mts_mutex_lock(&queue->mutex);
  stats.waiting = queue->waiting;
  stats.is_under_way = atomic_load(&queue->is_under_way);
  mts_mutex_unlock(&queue->mutex);
  return stats;
}
