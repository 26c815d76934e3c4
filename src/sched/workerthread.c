/*
** workerthread.c - what a worker does
**
** A worker takes a queue, out of its slot or the run queue, serves it for one
** turn, and takes the next one (pool.c has the tokens that it needs for that).
**
** - Slot.  What a request makes runnable goes into the slot of its worker, and
**   has the next turn there: the data is in the cache, and no thread needs to
**   be woken, which takes longer than most requests.  After MOST_STREAK turns
**   in a row the run queue goes first.
** - Search.  A worker without work looks at the run queue for SEARCH_SECONDS,
**   if no other one does, before it parks.
** - Parking.  Under the run mutex the worker looks once more; then it gives
**   its token back and enters the list of parked workers, in the same step.
**   Who makes a queue runnable adds it to the run queue and looks for a parked
**   worker in one step, too.  So no wake-up is lost.
** - Timers (timer.c).  Of the parked workers one is the keeper, which sleeps
**   until the next timer is due; another one is woken first for other work.
** - A worker that was parked for SURPLUS_SECONDS ends, if there are more
**   parked ones than idle tokens.
**
** While it is parked, a worker blocks all signals and owns nothing of any
** state.  It serves requests with the signal mask of the program.
*/
#include "sched/workerthread.h"

#include <sched.h>
#include <stdio.h>

#include "base/process.h"
#include "core/signal.h"
#include "core/thread.h"
#include "sched/monitor.h"
#include "sched/serve.h"
#include "sched/timer.h"
#include "sched/worker.h"

/* Bytes of C stack. */
#define WORKER_STACK ((size_t)4 * 1024 * 1024)

#define MOST_STREAK 16
#define SEARCH_SECONDS 50e-6
#define SURPLUS_SECONDS 5.0

/* ======================================================================= */
/* The list of workers                                                     */
/* ======================================================================= */

static void link_worker(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  worker->next = mts_pool.first;
  if (mts_pool.first)
    mts_pool.first->previous = worker;
  mts_pool.first = worker;
}

static void unlink_worker(const mts_Worker *worker)
    MTS_REQUIRES(mts_pool.mutex)
{
  if (worker->next)
    worker->next->previous = worker->previous;
  if (worker->previous)
    worker->previous->next = worker->next;
  else
    mts_pool.first = worker->next;
  mts_pool.threads--;
}

/* ======================================================================= */
/* Search and park                                                         */
/* ======================================================================= */

/* Looks for a queue that becomes runnable, for a while. */
static void search(void)
{
  const double end = mts_clock_now() + SEARCH_SECONDS;
  while (atomic_load(&mts_pool.runnable) == 0 && mts_clock_now() < end)
    sched_yield();
}

static void end_search(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  if (worker->is_searching)
    worker->is_searching = mts_pool.has_searcher = false;
}

/*
** Takes the head of the run queue.  If there is none, searches first, if no
** other worker does.
*/
static mts_Queue *pop_or_search(mts_Worker *worker)
    MTS_REQUIRES(mts_pool.mutex)
{
  mts_Queue *queue = mts_pool_pop();
  if (!queue && (worker->is_searching || !mts_pool.has_searcher)) {
    worker->is_searching = mts_pool.has_searcher = true;
    mts_mutex_unlock(&mts_pool.mutex);
    search();
    mts_mutex_lock(&mts_pool.mutex);
    if (mts_pool.idle >= 0 && !mts_pool.is_ending)
      queue = mts_pool_pop();
  }
  end_search(worker);
  return queue;
}

static void link_parked(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  worker->is_parked = true;
  worker->previous_parked = NULL;
  worker->next_parked = mts_pool.first_parked;
  if (mts_pool.first_parked)
    mts_pool.first_parked->previous_parked = worker;
  mts_pool.first_parked = worker;
  mts_pool.parked++;
}

/* Whether there are more parked workers than tokens for them. */
static bool is_surplus(void) MTS_REQUIRES(mts_pool.mutex)
{
  return mts_pool.parked > mts_pool.idle;
}

/* When the worker, which is parked, has to wake up for a timer. */
static double next_timer(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  const double next = mts_timer_next();
  if (next == MTS_FOREVER || next >= mts_pool_keeper_until())
    return MTS_FOREVER;
  atomic_store(&mts_pool.keeper_until, next);
  atomic_store(&mts_pool.keeper, worker);
  return next;
}

/*
** Sleeps until the deadline, or until the worker is woken; it is parked.
** Returns: whether the deadline has passed.
*/
static bool sleep_parked(mts_Worker *worker, double deadline)
    MTS_REQUIRES(mts_pool.mutex)
{
  bool is_woken;
  mts_mutex_unlock(&mts_pool.mutex);
  mts_signal_block_all();
  is_woken = mts_event_wait(&worker->wake_up, deadline);
  mts_timer_look();
  mts_mutex_lock(&mts_pool.mutex);
  if (atomic_load(&mts_pool.keeper) == worker)
    atomic_store(&mts_pool.keeper, NULL);
  return !is_woken;
}

/* The worker, which may have been the keeper, ends: another one is, then. */
static void hand_timers_over(void) MTS_REQUIRES(mts_pool.mutex)
{
  mts_Worker *worker = mts_pool.first_parked;
  if (worker && mts_timer_next() < mts_pool_keeper_until() &&
      mts_event_set(&worker->wake_up))
    mts_event_wake(&worker->wake_up);
}

/*
** Sleeps until another thread gives the worker a token.
** Returns: false if the worker is to end instead.
*/
static bool park(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  const double surplus = mts_clock_now() + SURPLUS_SECONDS;
  mts_Aftermath aftermath;
  end_search(worker);
  mts_pool_give_token(worker);
  link_parked(worker);
  aftermath = mts_pool_balance();
  mts_mutex_unlock(&mts_pool.mutex);
  mts_pool_settle(aftermath);
  mts_mutex_lock(&mts_pool.mutex);
  while (worker->is_parked) {
    const double timer = next_timer(worker);
    const double end = is_surplus() ? surplus : MTS_FOREVER;
    if (sleep_parked(worker, timer < end ? timer : end) && worker->is_parked &&
        is_surplus() && mts_clock_now() >= surplus) {
      (void)mts_pool_unpark(worker);
      mts_pool_give_token(worker);
      hand_timers_over();
      return false;
    }
  }
  mts_signal_unblock();
  return true;
}

/* Takes the queue in the slot, unless it is the turn of the run queue. */
static mts_Queue *take_slot(mts_Worker *worker)
{
  mts_Queue *queue = NULL;
  if (worker->streak < MOST_STREAK)
    queue = atomic_exchange(&worker->slot, NULL);
  worker->streak = queue ? worker->streak + 1 : 0;
  return queue;
}

/* Returns: a queue; NULL if the worker is to end. */
static mts_Queue *take_work(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  mts_Queue *queue = NULL;
  do {
    if (mts_pool.idle >= 0 && !mts_pool.is_ending)
      queue = pop_or_search(worker);
  } while (!queue && park(worker));
  return queue;
}

/*
** again: the queue that the worker has served, if it is runnable, or NULL.
** Returns: the queue to be served next; NULL if the worker is to end: nobody
** counts on it any more.
*/
static mts_Queue *find_work(mts_Worker *worker, mts_Queue *again)
{
  mts_Queue *queue = NULL;
  mts_Aftermath aftermath;
  if (!again && !atomic_load(&worker->is_replaced) &&
      (queue = take_slot(worker)) != NULL)
    return queue;
  mts_mutex_lock(&mts_pool.mutex);
  mts_monitor_forget(worker);
  worker->is_serving = false;
  if (again)
    mts_pool_push(again);
  if (again && mts_pool.idle >= 0 && !mts_pool.is_ending)
    queue = take_slot(worker); /* else that was tried */
  mts_pool_flush(worker);
  if (!queue)
    queue = take_work(worker);
  worker->is_serving = queue != NULL;
  if (!queue)
    unlink_worker(worker);
  aftermath = mts_pool_balance();
  mts_mutex_unlock(&mts_pool.mutex);
  mts_pool_settle(aftermath);
  return queue;
}

/* ======================================================================= */
/* The thread                                                              */
/* ======================================================================= */

static void begin_worker(mts_Worker *worker)
{
  char name[24];
  unsigned number;
  worker->handle = pthread_self();
  worker->kernel_id = mts_process_kernel_id();
  mts_event_init(&worker->wake_up);
  mts_mutex_lock(&mts_pool.mutex);
  link_worker(worker);
  number = ++mts_pool.started;
  mts_mutex_unlock(&mts_pool.mutex);
  snprintf(name, sizeof(name), "mtstates/%u", number % 1000000);
  mts_async_name_thread(name);
  mts_process_make_timers_exact();
  mts_signal_unblock();
  (void)mts_thread_id();
  mts_self.worker = worker;
}

static void *run_worker(void *unused)
{
  mts_Worker worker = {.has_token = true};
  mts_Queue *queue = NULL;
  (void)unused;
  begin_worker(&worker);
  while ((queue = find_work(&worker, queue)) != NULL) {
    if (!mts_serve_turn(queue, &worker.steps))
      queue = NULL;
    if (mts_worker_is_forked())
      return NULL;
    mts_timer_look();
    mts_monitor_report();
  }
  mts_monitor_note_timers(); /* it may have been the keeper */
  mts_event_destroy(&worker.wake_up);
  return NULL;
}

bool mts_workerthread_start(void)
{
  bool is_started =
      mts_async_start_thread(run_worker, NULL, WORKER_STACK, NULL);
  if (is_started) {
    mts_pool.threads++;
    mts_pool.idle--;
  }
  return is_started;
}
