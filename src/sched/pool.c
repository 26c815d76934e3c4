/*
** pool.c - tokens, the run queue, and the list of workers
**
** The run queue has the queues that are runnable, in the order in which they
** have their turns.  A worker needs a token to serve one; there are as many
** tokens as there are workers to be.  A worker that waits gives its token to
** another one, and takes one when it goes on, even if there is none left: then
** idle is negative, and the next worker that ends a turn parks.
**
** Invariants, with the mutex free:
**
** 1. idle is wanted minus the workers that have tokens.
** 2. If there is something in the run queue, a worker searches, or the monitor
**    is on, or going to be: either no token is idle, or no further thread can
**    be had.
** 3. A parked worker has no token, and its event is not set; one that is not
**    parked any more has been given a token, and its event is set.
*/
#include "sched/pool.h"

#include "sched/monitor.h"
#include "sched/workerthread.h"

mts_Pool mts_pool = {.mutex = MTS_MUTEX_INIT};

/* ======================================================================= */
/* The run queue                                                           */
/* ======================================================================= */

void mts_pool_push(mts_Queue *queue)
{
  queue->next_runnable = NULL;
  if (mts_pool.last_runnable)
    mts_pool.last_runnable->next_runnable = queue;
  else
    mts_pool.first_runnable = queue;
  mts_pool.last_runnable = queue;
  atomic_fetch_add(&mts_pool.runnable, 1);
}

mts_Queue *mts_pool_pop(void)
{
  mts_Queue *queue = mts_pool.first_runnable;
  if (queue) {
    mts_pool.first_runnable = queue->next_runnable;
    if (!mts_pool.first_runnable)
      mts_pool.last_runnable = NULL;
    atomic_fetch_sub(&mts_pool.runnable, 1);
    mts_pool.begun++;
  }
  return queue;
}

void mts_pool_flush(mts_Worker *worker)
{
  mts_Queue *queue = atomic_exchange(&worker->slot, NULL);
  if (queue)
    mts_pool_push(queue);
}

/* ======================================================================= */
/* Tokens                                                                  */
/* ======================================================================= */

void mts_pool_give_token(mts_Worker *worker)
{
  if (worker->has_token) {
    worker->has_token = false;
    mts_pool.idle++;
  }
}

void mts_pool_take_token(mts_Worker *worker)
{
  worker->has_token = true;
  mts_pool.idle--;
}

/* ======================================================================= */
/* Parked workers                                                          */
/* ======================================================================= */

mts_Event *mts_pool_unpark(mts_Worker *worker)
{
  worker->is_parked = false;
  mts_pool.parked--;
  if (worker->next_parked)
    worker->next_parked->previous_parked = worker->previous_parked;
  if (worker->previous_parked)
    worker->previous_parked->next_parked = worker->next_parked;
  else
    mts_pool.first_parked = worker->next_parked;
  mts_pool_take_token(worker);
  return mts_event_set(&worker->wake_up) ? &worker->wake_up : NULL;
}

/* Has a worker search.  Returns: false if there is none to be had. */
static bool wake_searcher(mts_Event **event) MTS_REQUIRES(mts_pool.mutex)
{
  mts_Worker *worker = mts_pool.first_parked;
  *event = NULL;
  if (mts_self.worker && mts_self.worker->is_parked)
    worker = mts_self.worker; /* it has looked at the timers */
  else if (worker && worker == atomic_load(&mts_pool.keeper) &&
           worker->next_parked)
    worker = worker->next_parked;
  if (!worker)
    return mts_workerthread_start();
  worker->is_searching = mts_pool.has_searcher = true;
  *event = mts_pool_unpark(worker);
  return true;
}

mts_Aftermath mts_pool_balance(void)
{
  mts_Aftermath aftermath = {NULL, false};
  if (mts_pool.first_runnable && !mts_pool.has_searcher && !mts_pool.is_ending)
    aftermath.is_late = mts_pool.idle <= 0 || !wake_searcher(&aftermath.event);
  return aftermath;
}

void mts_pool_settle(mts_Aftermath aftermath)
{
  if (aftermath.event)
    mts_event_wake(aftermath.event);
  if (aftermath.is_late)
    mts_monitor_start();
}
