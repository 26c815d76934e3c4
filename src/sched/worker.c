/*
** worker.c - the threads that serve requests, as seen from outside
**
** Workers are started with the first request, and so is the watcher: if it
** could not be had later, nobody would help a request behind one that blocks.
**
** A queue that becomes runnable is scheduled: it goes into the slot of the
** worker that runs the code which made it runnable, or into the run queue, for
** which a parked worker is woken if that takes one.
**
** A worker that waits inside the module gives its token back, so that another
** one does what there is to do, and takes one when it goes on.  There must be
** one left that does not wait, even if there is nothing to do yet: to start it
** later could fail, and nobody would hear of that.
**
** The child of a fork has no workers.  There the thread that has forked ends
** when it has nothing more to do, if it is a worker.
**
** The run mutex is that of the pool; it is held while threads are started.
*/
#include "sched/worker.h"

#include <stdlib.h>

#include "base/process.h"
#include "core/thread.h"
#include "core/trace.h"
#include "core/usage.h"
#include "core/watch.h"
#include "sched/ending.h"
#include "sched/monitor.h"
#include "sched/notices.h"
#include "sched/ownthread.h"
#include "sched/pool.h"
#include "sched/team.h"
#include "sched/workerthread.h"

/* Whether there are workers; a fork, or the end of the process, ends that. */
typedef enum Stage { NOT_STARTED, STARTED, FORKED, ENDING } Stage;
static atomic_int stage = NOT_STARTED;

/* ======================================================================= */
/* Start                                                                   */
/* ======================================================================= */

static void note_fork(void)
{
  if (atomic_load(&stage) == STARTED)
    atomic_store(&stage, FORKED);
}

/* Returns: the number in the text, or 0 if it is none that can be meant. */
static unsigned parse_count(const char *text)
{
  char *end;
  long count = strtol(text, &end, 10);
  bool is_good =
      end != text && *end == '\0' && count >= 1 && count <= MTS_WORKER_LIMIT;
  return is_good ? (unsigned)count : 0;
}

bool mts_worker_open(void)
{
  const char *text = getenv(MTS_WORKERS_VARIABLE);
  unsigned count = text && *text != '\0' ? parse_count(text)
                                         : mts_process_count_processors();
  mts_mutex_lock(&mts_pool.mutex);
  if (mts_pool.wanted == 0 && count > 0) {
    mts_pool.wanted = mts_pool.idle =
        (int)(count < MTS_WORKER_LIMIT ? count : MTS_WORKER_LIMIT);
    mts_process_on_fork(NULL, NULL, note_fork);
    mts_process_on_exit(mts_ending_run);
  }
  mts_mutex_unlock(&mts_pool.mutex);
  return count > 0;
}

/* Starts workers until there are as many as wanted, as far as that goes. */
static void start_missing(void) MTS_REQUIRES(mts_pool.mutex)
{
  while (mts_pool.threads < mts_pool.wanted && mts_workerthread_start())
    ;
}

mts_Status mts_worker_start_all(void)
{
  mts_Status status = MTS_OK;
  if (atomic_load_explicit(&stage, memory_order_acquire) == STARTED)
    return MTS_OK;
  if (mts_worker_is_forked())
    return MTS_FORKED;
  if (atomic_load(&stage) == ENDING) /* it will be lost */
    return MTS_OK;
  if (!mts_watch_open(mts_notices_schedule))
    return MTS_NO_MEMORY;
  mts_usage_open();
  mts_mutex_lock(&mts_pool.mutex);
  start_missing();
  if (mts_pool.threads == 0)
    status = MTS_NO_MEMORY;
  else
    atomic_store(&stage, STARTED);
  mts_mutex_unlock(&mts_pool.mutex);
  return status;
}

bool mts_worker_is_forked(void)
{
  return atomic_load_explicit(&stage, memory_order_relaxed) == FORKED;
}

/* ======================================================================= */
/* Schedule                                                                */
/* ======================================================================= */

void mts_worker_schedule(mts_Queue *queue)
{
  mts_Worker *self = mts_self.worker;
  mts_Queue *none = NULL;
  mts_Aftermath aftermath = {NULL, true};
  if (queue->has_own_thread) {
    mts_ownthread_wake(queue);
    return;
  }
  if (queue->team) {
    mts_team_wake(queue->team);
    return;
  }
  if (!self || !self->is_serving || atomic_load(&self->is_replaced) ||
      !atomic_compare_exchange_strong(&self->slot, &none, queue)) {
    mts_mutex_lock(&mts_pool.mutex);
    mts_pool_push(queue);
    aftermath = mts_pool_balance();
    mts_mutex_unlock(&mts_pool.mutex);
  }
  mts_pool_settle(aftermath);
}

/*
** A worker that serves is going to look itself.  If there is none that is
** parked, the others look when they have time to run what is due; the monitor
** takes care of the rest.
*/
void mts_worker_note_timer(double deadline)
{
  const mts_Worker *self = mts_self.worker;
  mts_Worker *worker;
  mts_Event *event = NULL;
  if (self && self->is_serving && !atomic_load(&self->is_replaced))
    return;
  mts_mutex_lock(&mts_pool.mutex);
  worker = atomic_load(&mts_pool.keeper);
  if (!worker)
    worker = mts_pool.first_parked;
  if (worker && deadline < mts_pool_keeper_until() &&
      mts_event_set(&worker->wake_up))
    event = &worker->wake_up;
  mts_mutex_unlock(&mts_pool.mutex);
  if (event)
    mts_event_wake(event);
  if (!worker)
    mts_monitor_start();
}

/* ======================================================================= */
/* Wait                                                                    */
/* ======================================================================= */

/* Whether there is a worker that neither waits nor is stuck. */
static bool has_worker_left(void) MTS_REQUIRES(mts_pool.mutex)
{
  return mts_pool.threads > mts_pool.waiting + mts_pool.replaced;
}

/*
** Another worker takes over what there is to do.  There has to be one even if
** there is nothing to do yet.
*/
bool mts_worker_begin_wait(void)
{
  mts_Worker *self = mts_self.worker;
  mts_Aftermath aftermath = {NULL, false};
  bool may_wait;
  if (mts_worker_is_forked())
    return true;
  mts_mutex_lock(&mts_pool.mutex);
  mts_pool_flush(self);
  mts_monitor_forget(self);
  mts_pool.waiting++;
  mts_pool_give_token(self);
  may_wait = has_worker_left() || mts_workerthread_start();
  if (may_wait)
    aftermath = mts_pool_balance();
  else {
    mts_pool.waiting--;
    mts_pool_take_token(self);
  }
  mts_mutex_unlock(&mts_pool.mutex);
  mts_pool_settle(aftermath);
  return may_wait;
}

void mts_worker_end_wait(void)
{
  if (mts_worker_is_forked())
    return;
  mts_mutex_lock(&mts_pool.mutex);
  mts_pool.waiting--;
  mts_pool_take_token(mts_self.worker);
  mts_mutex_unlock(&mts_pool.mutex);
}

mts_Status mts_worker_sleep(const mts_Patience *patience)
{
  mts_ThreadWait wait;
  mts_Status status = mts_wait_begin(&wait, patience);
  if (status != MTS_OK)
    return status;
  mts_trace_begin(MTS_TRACE_TIME, NULL);
  status = mts_wait_sleep(&wait, patience, NULL, NULL);
  mts_trace_end();
  mts_wait_end(&wait, status);
  return status == MTS_BUSY ? MTS_OK : status;
}

/* ======================================================================= */
/* How many                                                                */
/* ======================================================================= */

unsigned mts_worker_count(void)
{
  return mts_worker_stats().workers;
}

/* Wakes all parked workers, so that those who are too many end after a while.
 */
static void wake_parked(void) MTS_REQUIRES(mts_pool.mutex)
{
  while (mts_pool.first_parked) {
    mts_Event *event = mts_pool_unpark(mts_pool.first_parked);
    if (event)
      mts_event_wake(event);
  }
}

void mts_worker_set_count(unsigned count)
{
  mts_Aftermath aftermath;
  if (mts_worker_is_forked())
    return;
  mts_mutex_lock(&mts_pool.mutex);
  mts_pool.idle += (int)count - mts_pool.wanted;
  mts_pool.wanted = (int)count;
  if (atomic_load(&stage) == STARTED) {
    wake_parked();
    start_missing();
  }
  aftermath = mts_pool_balance();
  mts_mutex_unlock(&mts_pool.mutex);
  mts_pool_settle(aftermath);
}

/* Parked and waiting ones do not run, nor does the caller count. */
unsigned mts_worker_count_running(void)
{
  int count;
  mts_mutex_lock(&mts_pool.mutex);
  count = mts_pool.threads - mts_pool.parked - mts_pool.waiting -
          (mts_self.worker != NULL);
  mts_mutex_unlock(&mts_pool.mutex);
  return (unsigned)count;
}

void mts_worker_stop_requests(void)
{
  mts_mutex_lock(&mts_pool.mutex);
  atomic_store(&stage, ENDING);
  mts_pool.is_ending = true;
  mts_mutex_unlock(&mts_pool.mutex);
}

bool mts_worker_takes_requests(void)
{
  return atomic_load(&stage) == STARTED;
}

mts_WorkerStats mts_worker_stats(void)
{
  mts_WorkerStats stats = {0};
  if (mts_worker_is_forked())
    return stats;
  mts_mutex_lock(&mts_pool.mutex);
  stats.workers = (unsigned)mts_pool.wanted;
  stats.replacements = (unsigned)(mts_pool.threads > mts_pool.wanted
                                      ? mts_pool.threads - mts_pool.wanted
                                      : 0);
  stats.idle = (unsigned)mts_pool.parked;
  mts_mutex_unlock(&mts_pool.mutex);
  return stats;
}
