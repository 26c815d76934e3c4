/*
** serve.c - a worker runs requests of a state
**
** A worker enters a state as any caller does.  If another thread is inside,
** the worker does not wait for it, but has the lock of the state report when
** that thread leaves:
**
** 1. The queue becomes blocked, then mts_lock_request sets the flag.  So the
**    report, which can follow at once, finds a blocked queue and schedules it.
** 2. If there is no thread to be asked any more, the worker takes the queue
**    back and tries again; unless the state was closed in between, which has
**    made the queue idle.
** 3. If the state is busy once more when the queue has its next turn, other
**    callers are faster.  Then the worker waits in line with them, and another
**    one takes its place; so requests and calls share the state fairly.
**
** The thread that has closed the lock of a state, or has asked the holder to,
** fails the requests that have not begun.
**
** A child process has no workers after a fork, and mutexes that other threads
** held stay locked there: it touches no queue.  If a request has forked, it
** can end in the child; nothing follows then.
*/
#include "sched/serve.h"

#include "core/call.h"
#include "core/registry.h"
#include "core/thread.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Requests                                                                */
/* ======================================================================= */

/* Moves what there is to say of a failed request into its answer. */
static void store_failure(mts_Future *future, const mts_Failure *failure)
{
  future->text = failure->text;
  future->has_value = failure->has_value;
  if (failure->has_value)
    future->values = failure->value;
}

/*
** The results can take the space of the arguments, which have been read when
** there are results.
*/
static void run_request(mts_State *s, mts_Queue *queue, mts_Request *request)
{
  mts_Future *future = &request->future;
  mts_Message results = {0};
  mts_Failure failure;
  mts_Status status;
  mts_failure_open(&failure);
  mts_buffer_start(&results.bytes, request->space, MTS_REQUEST_SPACE);
  status = mts_call_entered(s, &future->values,
                            request->is_send ? NULL : &results, &failure);
  if (mts_worker_is_forked()) /* the parent answers */
    return;
  mts_codec_free(&future->values);
  future->status = status;
  future->values = results;
  if (status != MTS_OK)
    mts_codec_free(&future->values);
  if (status == MTS_RAISED)
    store_failure(future, &failure);
  else if (status != MTS_OK)
    mts_failure_close(&failure);
  mts_queue_end_request(queue);
  mts_future_answer(future);
}

/* When to look at the clock, which takes as long as some requests do. */
typedef struct TurnClock {
  double start;
  int next; /* look when so many requests have been run */
} TurnClock;

/*
** Whether the turn has taken as long as it may, after count requests.  The
** longer the requests take, the more often this looks.
*/
static bool is_over(TurnClock *clock, int count)
{
  double used;
  if (count < clock->next)
    return false;
  used = mts_clock_now() - clock->start;
  clock->next += used < MTS_TURN_SECONDS / 16 ? count : 1;
  return used >= MTS_TURN_SECONDS;
}

/* For the thread that has entered s. */
static void run_requests(mts_State *s, mts_Queue *queue, atomic_uint *steps)
{
  TurnClock clock = {.start = mts_clock_now(), .next = 1};
  mts_Request *request;
  int count = 0;
  do {
    request = mts_queue_take(queue);
    if (!request)
      break;
    atomic_store_explicit(
        steps, atomic_load_explicit(steps, memory_order_relaxed) + 1,
        memory_order_relaxed);
    run_request(s, queue, request);
    count++;
  } while (count < MTS_TURN_REQUESTS && !is_over(&clock, count) &&
           mts_worker_takes_requests());
}

/* ======================================================================= */
/* Turns                                                                   */
/* ======================================================================= */

/*
** Has the queue scheduled again when s is left.
** Returns: false if s is not busy any more and the worker has the queue back.
*/
static bool schedule_when_left(mts_State *s, mts_Queue *queue)
{
  bool is_given_away;
  mts_state_retain(s); /* that of a blocked queue can go at any moment */
  mts_queue_block(queue);
  is_given_away = mts_lock_request(&s->lock) || !mts_queue_unblock(queue);
  mts_state_release(s);
  return is_given_away;
}

/*
** Enters s.
** Returns: MTS_OK; MTS_CLOSED; MTS_BUSY if the queue is blocked now.
*/
static mts_Status enter_to_serve(mts_State *s, mts_Queue *queue)
{
  mts_Status status = MTS_BUSY;
  if (queue->was_refused) {
    queue->was_refused = false;
    status = mts_state_enter(s, MTS_FOREVER);
  }
  while (status != MTS_OK && status != MTS_CLOSED) {
    status = mts_state_enter(s, 0);
    if (status == MTS_BUSY && schedule_when_left(s, queue))
      return MTS_BUSY;
  }
  return status;
}

/* Returns: as mts_serve_turn. */
static bool end_turn(mts_State *s, mts_Queue *queue)
{
  switch (mts_queue_end_turn(queue)) {
  case MTS_TURN_AGAIN:
    return true;
  case MTS_TURN_IDLE:
    break;
  case MTS_TURN_UNOWNED:
    mts_registry_close_unowned(s);
    mts_state_release(s);
    break;
  case MTS_TURN_CLOSED:
    mts_state_release(s);
  }
  return false;
}

bool mts_serve_turn(mts_Queue *queue, atomic_uint *steps)
{
  mts_State *s = queue->state;
  mts_Status status;
  atomic_store_explicit(&mts_self.served, &s->lock, memory_order_relaxed);
  status = enter_to_serve(s, queue);
  if (status == MTS_OK) {
    run_requests(s, queue, steps);
    if (mts_worker_is_forked())
      return false;
    mts_state_leave(s);
  }
  atomic_store_explicit(&mts_self.served, NULL, memory_order_relaxed);
  return status != MTS_BUSY && end_turn(s, queue);
}

/* ======================================================================= */
/* What core/ reports                                                      */
/* ======================================================================= */

static void state_left(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  if (!mts_worker_is_forked() && mts_queue_unblock(queue))
    mts_worker_schedule(queue);
}

static bool has_work(mts_State *s)
{
  const mts_QueueStats stats = mts_queue_stats(s);
  return stats.waiting > 0 || stats.is_under_way;
}

static bool owners_gone(mts_State *s)
{
  return !mts_worker_is_forked() &&
         mts_queue_close_when_idle(atomic_load(&s->queue));
}

static void state_closed(mts_State *s)
{
  if (!mts_worker_is_forked())
    mts_queue_close(atomic_load(&s->queue));
}

static void state_released(mts_State *s)
{
  if (!mts_worker_is_forked())
    mts_queue_free(atomic_load(&s->queue));
}

const mts_Upcalls mts_upcalls = {.state_left = state_left,
                                 .has_work = has_work,
                                 .owners_gone = owners_gone,
                                 .state_closed = state_closed,
                                 .state_released = state_released,
                                 .begin_wait = mts_worker_begin_wait,
                                 .end_wait = mts_worker_end_wait};
