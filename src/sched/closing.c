/*
** closing.c - closing states: now, when they are done, or all of them
**
** What closing is, is in lock.c and state.c; here is what has to do with
** threads and requests.  A state that is closed when it is done takes no more
** requests; when its queue is idle, the closer enters it as a call would,
** which waits for calls in progress, and closes it when it leaves.
**
** The states are not locked from one step to the next: others can close them
** meanwhile, and open new ones.
*/
#include "sched/closing.h"

#include <stdlib.h>

#include "core/interrupt.h"
#include "core/registry.h"
#include "core/thread.h"
#include "sched/queueclose.h"
#include "sched/queuelist.h"
#include "sched/teamclose.h"
#include "sched/worker.h"

/* Seconds that code has to end before it is interrupted, and afterwards. */
#define GRACE 0.1

/* ======================================================================= */
/* One state                                                               */
/* ======================================================================= */

/* Whether the thread of s, another one than the calling one, closes it. */
static bool has_closer(const mts_State *s)
{
  return s->has_own_thread && mts_state_closer(s) != mts_thread_id();
}

/*
** Waits only if a thread of the module closes s, and it has a queue: that of a
** host does so when it likes.
*/
static mts_Status await_end(mts_State *s, const mts_Patience *patience)
{
  mts_Queue *queue =
      mts_worker_is_forked() || s->is_host ? NULL : atomic_load(&s->queue);
  return queue ? mts_queueclose_await_end(queue, patience) : MTS_OK;
}

/* Whether code of a request, or of a fork, runs in s. */
static bool is_running(const mts_State *s)
{
  const mts_Queue *queue = atomic_load(&s->queue);
  return queue && atomic_load(&queue->tasks.is_running);
}

/*
** A thread that holds s in a turn, but runs nothing any more, or not yet, is
** about to close s: nobody can know of such turns.
*/
mts_Status mts_closing_await_stop(mts_State *s, const mts_Patience *patience)
{
  return is_running(s) ? MTS_OK : await_end(s, patience);
}

mts_Status mts_closing_close(mts_State *s, const mts_Patience *patience)
{
  if (s->team)
    return mts_teamclose_close(s->team->pool, patience);
  switch (mts_registry_close(s)) {
  case MTS_LOCK_IN_USE:
    return MTS_BUSY;
  case MTS_LOCK_TAKEN:
    return has_closer(s) ? await_end(s, patience) : MTS_OK;
  case MTS_LOCK_DEFERRED:
    return mts_closing_await_stop(s, patience);
  default:
    return MTS_OK;
  }
}

void mts_closing_stop(mts_State *s)
{
  if (mts_registry_close(s) == MTS_LOCK_IN_USE) {
    mts_registry_withdraw(s);
    mts_state_close_when_free(s);
  }
}

/* Seconds until the deadline. */
static double time_left(double deadline)
{
  return deadline == MTS_FOREVER ? deadline : deadline - mts_clock_now();
}

/*
** Closes s, whose queue is idle, when no call is in progress.
** Returns: MTS_OK, and what mts_state_enter returns.
*/
static mts_Status close_when_left(mts_State *s, const mts_Patience *patience)
{
  mts_Patience closing = *patience;
  mts_Status status;
  closing.deadline = MTS_FOREVER; /* the patience is for what is to be done */
  status = mts_closing_close(s, &closing);
  if (status == MTS_OK) /* another thread may be closing it */
    status = await_end(s, &closing);
  if (status != MTS_BUSY)
    return status;
  if (s->has_own_thread && atomic_load(&s->queue)) { /* it alone gets in */
    mts_queueclose_shut(atomic_load(&s->queue));
    return mts_queueclose_await_end(atomic_load(&s->queue), patience);
  }
  status = mts_state_enter(s, time_left(patience->deadline));
  if (status == MTS_OK) {
    mts_lock_quit(&s->lock);
    mts_state_leave(s);
  }
  return status == MTS_CLOSED ? MTS_OK : status;
}

/*
** The queue of s, which takes no more requests until stop_refusing; NULL: it
** has none, and cannot have one.
*/
static mts_Queue *refuse_requests(mts_State *s)
{
  mts_Queue *queue = mts_worker_is_forked() ? NULL : mts_queue_of(s);
  if (queue)
    mts_queueclose_add_closer(queue, 1);
  return queue;
}

static void stop_refusing(mts_Queue *queue)
{
  if (queue) {
    mts_queueclose_accept_notices(queue);
    mts_queueclose_add_closer(queue, -1);
  }
}

/* Waits until all that was sent before is done; nothing more is taken then. */
mts_Status mts_closing_await_done(mts_Queue *queue,
                                  const mts_Patience *patience)
{
  mts_Status status;
  do {
    status = mts_queueclose_await_idle(queue, patience);
  } while (status == MTS_OK && !mts_queueclose_refuse_notices(queue));
  return status;
}

mts_Status mts_closing_finish(mts_State *s, const mts_Patience *patience,
                              bool *is_done)
{
  mts_Queue *queue;
  mts_Status status = MTS_OK;
  if (s->team)
    return mts_teamclose_finish(s->team->pool, patience, is_done);
  *is_done = true;
  if (mts_lock_is_held(&s->lock, mts_thread_id()))
    return MTS_BUSY;
  queue = refuse_requests(s);
  if (queue)
    status = mts_closing_await_done(queue, patience);
  if (status == MTS_OK)
    status = close_when_left(s, patience);
  if (status == MTS_BUSY) {
    *is_done = false;
    status = mts_registry_close(s) == MTS_LOCK_IN_USE ? MTS_BUSY : MTS_OK;
  }
  stop_refusing(queue);
  return status;
}

bool mts_closing_close_unowned(mts_State *s)
{
  mts_Queue *queue;
  if (mts_worker_start_all() != MTS_OK || !mts_worker_takes_requests() ||
      !(queue = mts_queue_of(s)))
    return false;
  if (mts_queueclose_by_turn(queue))
    mts_worker_schedule(queue);
  return true;
}

/* ======================================================================= */
/* All services                                                            */
/* ======================================================================= */

/* Services, the youngest first, each with a reference. */
typedef struct Services {
  mts_State **states;
  size_t count;
} Services;

static int compare_ages(const void *a, const void *b)
{
  const mts_State *one = *(mts_State *const *)a;
  const mts_State *other = *(mts_State *const *)b;
  return (one->id < other->id) - (one->id > other->id);
}

/* Those that are open, and those that are being closed. */
static mts_Status find_services(Services *services)
{
  mts_Status status =
      mts_registry_list_services(&services->states, &services->count);
  if (status == MTS_OK)
    status = mts_queuelist_add_closing(&services->states, &services->count);
  if (services->count > 0)
    qsort(services->states, services->count, sizeof(*services->states),
          compare_ages);
  return status;
}

static void release_services(Services *services)
{
  size_t i;
  for (i = 0; i < services->count; i++)
    mts_state_release(services->states[i]);
  free(services->states);
}

/*
** Closes a service: when what was sent is done, or patience is over.  Its last
** function, which can take any time, is run by a thread of the module; that is
** waited for until the point of the clock `end`.  What a call in progress does
** is not waited for.
*/
static mts_Status close_service(mts_State *s, const mts_Patience *patience,
                                double end)
{
  mts_Patience closing = *patience;
  mts_Queue *queue;
  mts_Status status = MTS_OK;
  closing.deadline = end;
  if (mts_state_is_pool(s))
    return mts_teamclose_shut(s, patience, &closing);
  if (s->team && !mts_lock_is_closed(&s->team->pool->lock))
    return MTS_OK; /* it is closed with its pool, which is older */
  queue = refuse_requests(s);
  if (queue)
    status = mts_closing_await_done(queue, patience);
  if (status == MTS_OK && queue && mts_worker_start_all() == MTS_OK &&
      mts_worker_takes_requests())
    mts_queueclose_shut(queue);
  else if (status == MTS_OK || status == MTS_BUSY)
    mts_closing_stop(s);
  if (status == MTS_OK && queue)
    status = mts_queueclose_await_end(queue, &closing);
  stop_refusing(queue);
  return status == MTS_BUSY ? MTS_OK : status;
}

/* Whether s is going to be closed when the calling thread runs it next. */
static bool is_own_host(const mts_State *s)
{
  return s->is_host && atomic_load(&s->own_thread) == mts_thread_id() &&
         mts_lock_lacks_closer(&s->lock);
}

static size_t count_open(const Services *services)
{
  size_t i, count = 0;
  for (i = 0; i < services->count; i++)
    count += !mts_lock_is_closed(&services->states[i]->lock) &&
             !is_own_host(services->states[i]);
  return count;
}

/* Interrupts what still runs.  Returns: whether all are closed in the end. */
static bool stop_services(const Services *services)
{
  const double end = mts_clock_now() + GRACE;
  do {
    size_t i;
    for (i = 0; i < services->count; i++)
      mts_interrupt_post(services->states[i], MTS_INTERRUPT_ALWAYS);
    mts_clock_pause();
  } while (count_open(services) > 0 && mts_clock_now() < end);
  return count_open(services) == 0;
}

mts_Status mts_closing_shutdown(const mts_Patience *patience, bool *is_done)
{
  const double grace = mts_clock_now() + GRACE;
  const double end = patience->deadline > grace ? patience->deadline : grace;
  Services services = {NULL, 0};
  mts_Status status = find_services(&services);
  size_t i;
  for (i = 0; status == MTS_OK && i < services.count; i++)
    status = close_service(services.states[i], patience, end);
  *is_done = status == MTS_OK &&
             (count_open(&services) == 0 || stop_services(&services));
  release_services(&services);
  return status;
}
