/*
** serve.c - a worker runs requests and tasks of a state
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
** A member of a pool that is kept for a call counts as busy (teamcall.c), but
** not in step 3: there the worker can be faster than the call.
**
** The thread that has closed the lock of a state, or has asked the holder to,
** fails the requests that have not begun.
**
** A child process has no workers after a fork, and mutexes that other threads
** held stay locked there: it touches no queue.  If a request has forked, it
** can end in the child; nothing follows then.
*/
#include "sched/serve.h"

#include "core/interrupt.h"
#include "core/memory.h"
#include "core/registry.h"
#include "core/thread.h"
#include "core/traceback.h"
#include "sched/blocker.h"
#include "sched/closing.h"
#include "sched/log.h"
#include "sched/monitor.h"
#include "sched/notices.h"
#include "sched/queueclose.h"
#include "sched/queueturn.h"
#include "sched/taskrun.h"
#include "sched/tasktrace.h"
#include "sched/team.h"
#include "sched/teamcall.h"
#include "sched/teamclose.h"
#include "sched/timer.h"
#include "sched/worker.h"

/* ======================================================================= */
/* A turn                                                                  */
/* ======================================================================= */

/*
** What the member of a pool runs next can take long: another one that is idle
** looks at the requests and notices of the pool, if there are some.
*/
static void pass_shared(const mts_Queue *queue)
{
  if (mts_queue_has_shared(queue))
    mts_team_wake(queue->shared->team);
}

/*
** Runs the callback for a notice, if there is one there: in the queue itself,
** or in that of its pool.
** Returns: whether there was.
*/
static bool run_notice(mts_Queue *queue, mts_Queue *there)
{
  if (mts_queue_notices(there) == 0 || !mts_queue_may_begin_now(queue))
    return false;
  mts_queue_begin_request(queue);
  if (!mts_notices_take(there)) {
    mts_queue_end_request(queue, false);
    return false;
  }
  pass_shared(queue);
  mts_taskrun_begin_notice(queue);
  return true;
}

/* Whether what was run neither has forked nor lets the state quit. */
static bool may_go_on(const mts_State *s)
{
  return mts_worker_takes_requests() && !mts_lock_quits(&s->lock);
}

/*
** When a turn has begun; it is looked at only if there is more to run, as that
** takes as long as some requests do.
*/
typedef struct TurnClock {
  double start; /* or 0: it was not looked at */
  int next;     /* look when so many requests have been run */
  int stride;   /* look at least each time that so many more have been run */
} TurnClock;

static void start_clock(TurnClock *clock)
{
  if (clock->start == 0)
    clock->start = mts_clock_now();
}

/*
** Whether the turn has taken as long as it may, after count requests.  The
** longer the requests take, the more often this looks.
*/
static bool is_over(TurnClock *clock, int count)
{
  const int stride = count < clock->stride ? count : clock->stride;
  double used;
  if (count < clock->next)
    return false;
  start_clock(clock);
  used = mts_clock_now() - clock->start;
  clock->next += used < MTS_TURN_SECONDS / 16 ? stride : 1;
  return used >= MTS_TURN_SECONDS;
}

/* Whether there is perhaps something to run, of the pool of s, too. */
static bool has_more(const mts_Queue *queue)
{
  return mts_queue_has_more(queue) || mts_queue_has_shared(queue);
}

/*
** Runs the next request or ready task, and before it a notice, so that neither
** waits for long for the other.
** Returns: how many were run.
*/
static int run_next(mts_State *s, mts_Queue *queue, TurnClock *clock)
{
  const bool has_noticed = run_notice(queue, queue);
  mts_Task *task = NULL;
  mts_Request *request = NULL;
  if (!has_noticed || may_go_on(s))
    request = mts_queue_take(queue, &task);
  if (has_more(queue))
    start_clock(clock);
  if (request || task)
    pass_shared(queue);
  if (request)
    mts_taskrun_begin(queue, request);
  else if (task)
    mts_taskrun_go_on(task);
  return has_noticed + (request != NULL || task != NULL);
}

/* The same for a request, or notice, of the pool of the member s. */
static int run_shared(mts_State *s, mts_Queue *queue)
{
  mts_Request *request;
  if (!mts_queue_has_shared(queue) || !may_go_on(s) ||
      !mts_queue_may_begin_now(queue))
    return 0;
  if (run_notice(queue, queue->shared))
    return 1;
  request = mts_queue_take_shared(queue);
  if (request)
    mts_taskrun_begin(queue, request);
  return request != NULL;
}

/* How much a turn runs at most. */
typedef struct TurnLimit {
  int most;   /* requests and stretches of tasks */
  int stride; /* see TurnClock */
} TurnLimit;

/* For the thread that has entered s.  Returns: how many have been run. */
static int run_requests(mts_State *s, mts_Queue *queue, atomic_uint *steps,
                        TurnLimit limit)
{
  TurnClock clock = {.start = 0, .next = 1, .stride = limit.stride};
  int count = 0, added;
  do {
    atomic_store_explicit(
        steps, atomic_load_explicit(steps, memory_order_relaxed) + 1,
        memory_order_relaxed);
    if (mts_timer_next() != MTS_FOREVER)
      mts_monitor_note_timers();
    added = run_next(s, queue, &clock);
    added += run_shared(s, queue);
    count += added;
  } while (added > 0 && has_more(queue) && count < limit.most &&
           !is_over(&clock, count) && may_go_on(s));
  return count;
}

/* ======================================================================= */
/* Turns                                                                   */
/* ======================================================================= */

/* Whether s is a member of a pool that is kept for a call; see teamcall.c. */
static bool is_kept_for_call(const mts_State *s)
{
  return s->team && atomic_load(&mts_team_member_of(s)->is_kept);
}

/*
** Has the queue scheduled again when s is left.
** Returns: false if s is not busy any more and the worker has the queue back.
*/
static bool schedule_when_left(mts_State *s, mts_Queue *queue)
{
  bool is_given_away;
  mts_state_retain(s); /* that of a blocked queue can go at any moment */
  mts_queueturn_block(queue);
  is_given_away = mts_lock_request(&s->lock) || is_kept_for_call(s) ||
                  !mts_queueturn_unblock(queue);
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
  if (queue->is_parked) {
    queue->is_parked = false;
    return mts_state_unpark(s) ? MTS_OK : MTS_CLOSED;
  }
  if (queue->was_refused)
    status = mts_state_enter_first(s, MTS_FOREVER);
  while (status != MTS_OK && status != MTS_CLOSED) {
    status = is_kept_for_call(s) ? MTS_BUSY : mts_state_enter_first(s, 0);
    if (status == MTS_BUSY && schedule_when_left(s, queue))
      return MTS_BUSY;
  }
  queue->was_refused = false;
  return status;
}

/* Returns: as mts_serve_turn. */
static bool end_turn(mts_State *s, mts_Queue *queue)
{
  switch (mts_queueturn_end(queue)) {
  case MTS_TURN_AGAIN:
    return true;
  case MTS_TURN_IDLE:
    break;
  case MTS_TURN_UNOWNED:
    mts_registry_close_unowned(s);
    mts_queueturn_schedule_ready(queue); /* it may have an owner again */
    mts_state_release(s);
    break;
  case MTS_TURN_SHUT:
    mts_closing_stop(s);
    mts_queueturn_schedule_ready(queue);
    mts_state_release(s);
    break;
  case MTS_TURN_CLOSED:
    mts_state_release(s);
  }
  return false;
}

/* Returns: as mts_serve_turn. */
static bool serve_state(mts_Queue *queue, atomic_uint *steps, TurnLimit limit,
                        int *count)
{
  mts_State *s = queue->state;
  mts_Status status;
  if (mts_timer_next() != MTS_FOREVER)
    mts_monitor_note_timers();
  atomic_store_explicit(&mts_self.served, &s->lock, memory_order_relaxed);
  status = enter_to_serve(s, queue);
  if (status == MTS_OK) {
    if (mts_interrupt_is_looked_at(s))
      mts_traceback_answer();
    mts_memory_answer(s);
    *count += run_requests(s, queue, steps, limit);
    if (mts_worker_is_forked())
      return false;
    queue->is_parked = mts_queue_keeps_state(queue) && mts_state_park(s);
    if (!queue->is_parked)
      mts_state_leave(s);
  }
  atomic_store_explicit(&mts_self.served, NULL, memory_order_relaxed);
  return status != MTS_BUSY && end_turn(s, queue);
}

/* The same; a member of a pool then looks at the requests of that. */
static bool serve(mts_Queue *queue, atomic_uint *steps, TurnLimit limit,
                  int *count)
{
  mts_State *s = queue->state;
  bool is_runnable;
  if (!queue->shared)
    return serve_state(queue, steps, limit, count);
  mts_state_retain(s);
  is_runnable = serve_state(queue, steps, limit, count);
  if (!mts_worker_is_forked()) {
    is_runnable = mts_team_settle(queue, is_runnable);
    mts_teamclose_after_turn(s);
    mts_state_release(s);
  }
  return is_runnable;
}

bool mts_serve_turn(mts_Queue *queue, atomic_uint *steps)
{
  const TurnLimit limit = {MTS_TURN_REQUESTS, MTS_TURN_REQUESTS};
  int count = 0;
  return serve(queue, steps, limit, &count);
}

bool mts_serve_some(mts_Queue *queue, atomic_uint *steps, int most, int *count)
{
  const TurnLimit limit = {most, 1};
  return serve(queue, steps, limit, count);
}

/* ======================================================================= */
/* What core/ reports                                                      */
/* ======================================================================= */

static void state_left(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  if (mts_worker_is_forked())
    return;
  if (s->team)
    (void)mts_teamcall_offer(s);
  if (mts_queueturn_unblock(queue))
    mts_worker_schedule(queue);
}

static bool has_work(mts_State *s)
{
  const mts_QueueStats stats = mts_teamclose_stats(s);
  return stats.waiting > 0 || stats.under_way > 0 || stats.forks > 0 ||
         stats.deferred > 0;
}

static bool owners_gone(mts_State *s)
{
  if (mts_worker_is_forked())
    return false;
  if (mts_state_is_pool(s))
    return mts_teamclose_when_idle(s);
  return mts_queueclose_when_idle(atomic_load(&s->queue));
}

static void state_closed(mts_State *s)
{
  if (!mts_worker_is_forked())
    mts_queueclose_close(atomic_load(&s->queue));
  if (s->team)
    mts_teamclose_follow(s);
}

static void state_lost(mts_State *s)
{
  if (!mts_worker_is_forked())
    mts_queueclose_freeze(atomic_load(&s->queue));
}

static void close_tasks(mts_State *s)
{
  if (!mts_worker_is_forked())
    mts_taskrun_close_all(atomic_load(&s->queue));
}

static void state_ended(mts_State *s)
{
  if (mts_worker_is_forked())
    return;
  mts_queueclose_note_end(atomic_load(&s->queue));
  if (s->team && !mts_state_is_pool(s))
    mts_teamclose_note_end(s);
}

static void state_released(mts_State *s)
{
  if (mts_worker_is_forked())
    return;
  mts_queue_free(atomic_load(&s->queue));
  if (s->team)
    mts_team_release(s);
}

static bool has_own_threads(void)
{
  return !mts_worker_is_forked();
}

static void report(mts_State *s, const char *text, size_t length)
{
  mts_log_error(s, text, length);
}

const mts_Upcalls mts_upcalls = {.state_left = state_left,
                                 .has_work = has_work,
                                 .owners_gone = owners_gone,
                                 .state_closed = state_closed,
                                 .state_lost = state_lost,
                                 .close_tasks = close_tasks,
                                 .state_ended = state_ended,
                                 .state_released = state_released,
                                 .close_unowned = mts_closing_close_unowned,
                                 .has_own_threads = has_own_threads,
                                 .has_workers = mts_worker_takes_requests,
                                 .find_ways = mts_blocker_find_ways,
                                 .find_ways_in = mts_blocker_find_ways_in,
                                 .report = report,
                                 .has_suspended = mts_tasktrace_has_suspended,
                                 .serve = mts_tasktrace_serve,
                                 .write_tasks = mts_tasktrace_write,
                                 .begin_wait = mts_worker_begin_wait,
                                 .end_wait = mts_worker_end_wait};
