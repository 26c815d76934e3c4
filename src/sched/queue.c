/*
** queue.c - the requests of a state that have not begun
**
** A state gets its queue with the first request, and keeps it.  The queue is a
** list of requests, in the order in which they begin, and a list of senders
** that wait for room, in the order in which they get it (room.c).
**
** Invariant, with the mutex free: if a sender is without room, the queue is
** full.
**
** The mutex is a leaf, but for a list of all queues, whose mutex is before it.
*/
#include "sched/queue.h"

#include <stdlib.h>

#include "sched/monitor.h"
#include "sched/queueclose.h"
#include "sched/queuelist.h"
#include "sched/queueturn.h"
#include "sched/room.h"
#include "sched/task.h"
#include "sched/team.h"
#include "sched/worker.h"

/* As many tasks, or requests, go on one after the other. */
#define MOST_STREAK 16

/* ======================================================================= */
/* The queue of a state                                                    */
/* ======================================================================= */

static void free_unknown(mts_Queue *queue)
{
  mts_event_destroy(&queue->own_wake_up);
  mts_mutex_destroy(&queue->mutex);
  free(queue);
}

void mts_queue_free(mts_Queue *queue)
{
  mts_queuelist_remove(queue);
  mts_task_free_idle(queue);
  free_unknown(queue);
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
  queue->heap = s->has_memory_limit ? &s->heap : NULL;
  queue->has_reference = true;
  atomic_init(&queue->notices, 0);
  atomic_init(&queue->has_more, false);
  atomic_init(&queue->begun, 0);
  queue->tasks.limit = s->task_limit;
  queue->has_own_thread = s->has_own_thread;
  atomic_init(&queue->is_closed, false);
  atomic_init(&queue->is_noticed, false);
  mts_event_init(&queue->own_wake_up);
  mts_mutex_init(&queue->mutex);
  if (!atomic_compare_exchange_strong(&s->queue, &present, queue)) {
    free_unknown(queue);
    return present;
  }
  mts_state_retain(s);
  mts_queuelist_add(queue);
  /* Who closes the state sets that in the lock before looking for a queue. */
  if (mts_lockword_is_ending(atomic_load(&s->lock.word)))
    mts_queueclose_close(queue);
  return queue;
}

mts_Queue *mts_queue_of(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  return queue ? queue : make_queue(s);
}

/* ======================================================================= */
/* Put and take                                                            */
/* ======================================================================= */

/* Its pool has the mutex of the queue, which the analyser cannot know. */
static bool has_free_member(const mts_Queue *queue) MTS_UNCHECKED
{
  return !queue->team || mts_team_has_free(queue->team);
}

/*
** Has an idle state collect garbage for the next sender; one that is not looks
** when it has run something.
** Returns: whether the queue is to be scheduled.
*/
static bool ask_for_memory(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  if (queue->first || mts_state_is_pool(queue->state))
    return false;
  atomic_store(&queue->heap->wants_room, true);
  return mts_queueturn_make_runnable(queue);
}

mts_Status mts_queue_append_if_room(mts_Queue *queue, mts_Request *request,
                                    bool *is_runnable)
{
  *is_runnable = false;
  if (atomic_load(&queue->is_closed) || queue->closers > 0)
    return MTS_CLOSED;
  if (request->is_counted &&
      (queue->first_waiting || !mts_queue_has_room(queue)))
    return MTS_BUSY;
  if (!mts_queue_has_memory(queue, request)) {
    *is_runnable = ask_for_memory(queue);
    return MTS_NO_MEMORY;
  }
  mts_queue_append(queue, request);
  *is_runnable = mts_queueturn_make_runnable(queue);
  request->is_first = mts_queue_beginnable(queue) == request &&
                      !mts_task_has_ready(queue) && has_free_member(queue) &&
                      !atomic_load(&queue->tasks.is_running);
  return MTS_OK;
}

/* Waits for room, unless there is some again. */
static mts_Status put_when_room(mts_Queue *queue, mts_Request *request,
                                const mts_Patience *patience)
{
  mts_ThreadWait wait;
  mts_Sender sender = {.request = request, .wait = &wait.wait};
  mts_Status status = mts_wait_begin(&wait, patience);
  if (status != MTS_OK)
    return status;
  status = mts_room_begin(&sender);
  if (status == MTS_BUSY) {
    mts_trace_begin(MTS_TRACE_ROOM, queue->state);
    status = mts_wait_sleep(&wait, patience, queue->state, request);
    mts_trace_end();
    if (status != MTS_OK)
      mts_room_end(queue, &sender);
  }
  mts_wait_end(&wait, status);
  return status;
}

static mts_Status put(mts_Queue *queue, mts_Request *request,
                      const mts_Patience *patience)
{
  mts_Status status;
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  status = mts_queue_append_if_room(queue, request, &is_runnable);
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
  if (status == MTS_BUSY && patience->deadline > 0)
    status = put_when_room(queue, request, patience);
  return status;
}

/* Whether s is the sender itself, or its pool, or a member of the same one. */
static bool is_own_sender(const mts_State *sender, const mts_State *s)
{
  return sender == s || (sender && sender->team && sender->team == s->team);
}

mts_Status mts_request_put(mts_Request *request, const mts_State *sender,
                           const mts_Patience *patience)
{
  mts_State *s = request->future.state;
  mts_Status status = mts_worker_start_all();
  mts_Queue *queue = status == MTS_OK ? mts_queue_of(s) : NULL;
  if (!queue)
    return status == MTS_OK ? MTS_NO_MEMORY : status;
  request->is_counted = !is_own_sender(sender, s) && !request->is_call;
  return put(queue, request, patience);
}

/*
** Whether a ready task goes on now, and not the request begins, if there is
** one: each kind has its turn for a while, so that a task that lets others run
** goes on behind what waits.  But forks begin soon.
*/
static bool is_turn_of_task(const mts_Queue *queue, const mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Tasks *tasks = &queue->tasks;
  const bool is_over = tasks->streak >= MOST_STREAK;
  return mts_task_has_ready(queue) &&
         (!request || tasks->was_task_taken != is_over ||
          (tasks->fresh > 0 && !is_over));
}

/* A ready task, or a request that is not one, is taken now. */
static void note_taken(mts_Tasks *tasks, bool is_task)
{
  tasks->streak = tasks->was_task_taken == is_task ? tasks->streak + 1 : 1;
  tasks->was_task_taken = is_task;
}

/* Takes the request out; it begins as one of the queue `own`. */
static void remove_to_begin(mts_Queue *queue, mts_Request *request,
                            mts_Queue *own, mts_Wakes *wakes)
    MTS_REQUIRES(queue->mutex)
{
  mts_queue_remove(queue, request);
  request->has_begun = true;
  mts_queue_begin_request(own);
  mts_room_grant(queue);
  if (queue->counted <= queue->limit / 2)
    mts_room_tell(queue, wakes);
}

/* Something was taken: wakes those who have got room by that. */
static void unlock_taken(mts_Queue *queue, const mts_Wakes *wakes)
    MTS_RELEASES(queue->mutex)
{
  const bool has_granted = mts_room_has_granted(queue);
  mts_mutex_unlock(&queue->mutex);
  mts_wakes_wake(wakes);
  if (has_granted)
    mts_monitor_note_senders();
}

mts_Request *mts_queue_take(mts_Queue *queue, mts_Task **task)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_Request *request = NULL;
  *task = NULL;
  mts_mutex_lock(&queue->mutex);
  if (!atomic_load_explicit(&queue->is_closed, memory_order_relaxed)) {
    request = mts_queue_beginnable(queue);
    if (is_turn_of_task(queue, request)) {
      *task = mts_task_take_ready(queue);
      mts_queue_note_run(queue);
      request = NULL;
    }
    note_taken(&queue->tasks, *task != NULL);
  }
  if (request)
    remove_to_begin(queue, request, queue, &wakes);
  mts_queue_note_more(queue, queue->first || queue->tasks.first_ready);
  unlock_taken(queue, &wakes);
  return request;
}

mts_Request *mts_queue_take_shared(mts_Queue *queue)
{
  mts_Queue *shared = queue->shared;
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_Request *request;
  bool is_runnable;
  mts_mutex_lock(&shared->mutex);
  request = shared->first; /* NULL if it is closed */
  if (request) {
    remove_to_begin(shared, request, queue, &wakes);
    atomic_fetch_add(&shared->begun, 1);
    mts_request_bind(request, queue->state);
  }
  mts_queue_note_more(shared, shared->first != NULL);
  is_runnable =
      shared->has_idle && (shared->first || mts_queue_notices(shared) > 0);
  unlock_taken(shared, &wakes);
  if (is_runnable)
    mts_team_wake(shared->team);
  return request;
}

void mts_queue_note_deferred(mts_Queue *queue)
{
  mts_mutex_lock(&queue->mutex);
  queue->tasks.deferred++;
  mts_mutex_unlock(&queue->mutex);
}

bool mts_queue_may_begin_now(mts_Queue *queue)
{
  bool may_begin;
  mts_mutex_lock(&queue->mutex);
  may_begin = mts_queue_may_begin(queue);
  mts_mutex_unlock(&queue->mutex);
  return may_begin;
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
/* Look                                                                    */
/* ======================================================================= */

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

mts_QueueStats mts_queue_stats(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  mts_QueueStats stats = {0};
  if (!queue || mts_worker_is_forked())
    return stats;
  mts_mutex_lock(&queue->mutex);
  stats.waiting = queue->waiting + mts_queue_notices(queue);
  stats.calls = queue->calls;
  stats.under_way = atomic_load(&queue->tasks.under_way);
  stats.deferred = queue->tasks.deferred;
  stats.forks = atomic_load(&queue->tasks.forks);
  mts_mutex_unlock(&queue->mutex);
  return stats;
}
