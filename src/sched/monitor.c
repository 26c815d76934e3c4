/*
** monitor.c - looks after requests that take long
**
** A request can block in foreign code, or compute for long, and nobody tells.
** So while something is to be done that nobody does, the watcher (watch.c)
** looks every TICK seconds:
**
** 1. Senders that have got room are woken, if the worker that serves the queue
**    has not done that.
** 2. If a worker is in the same request as at the tick before, the queue in
**    its slot goes to the run queue.
** 3. If there is something in the run queue and no token for it, a worker that
**    is in the same request, has used no processor time and wants none, is
**    replaced: it loses its token to another one.
** 4. One that computes is replaced, too, if no turn could begin for one tick;
**    the next one after two, four ticks and so on, as threads that compute
**    share the processors.
**
** 5. Timers that are due are run, if no parked worker looks at them in time.
**
** There are MOST_REPLACED such replacements at most.  A worker that was
** replaced takes a token again when its turn ends, as after a wait.
**
** The monitor is off when there is nothing to look after, so that an idle
** process sleeps.  Whoever makes something wait stores that first and then
** looks whether the monitor is on; the monitor notes that it is off and then
** looks once more.
*/
#include "sched/monitor.h"

#include <stdio.h>
#include <string.h>

#include "base/process.h"
#include "core/trace.h"
#include "core/watch.h"
#include "sched/log.h"
#include "sched/queuelist.h"
#include "sched/timer.h"
#include "sched/worker.h"

#define TICK 0.01 /* seconds */

/* Of processor time: who uses less in a tick is blocked. */
#define BLOCKED_SECONDS 0.0005

#define MOST_REPLACED 64

#define TEXT_OF(number) #number
#define WARNING(most)                                                         \
  TEXT_OF(most)                                                               \
  " workers are busy with requests that take long; "                          \
  "others have to wait"
static const char warning[] = WARNING(MOST_REPLACED);

static mts_Watch watch;
static atomic_bool is_on;
static atomic_bool has_senders; /* that are to be woken */
static atomic_bool has_warning; /* to be logged by a worker */

/* Guarded by the run mutex. */
static size_t seen_begun;
static int ticks;        /* since a turn has begun, */
static int patience = 1; /* and how many there may be until one is replaced */
static bool has_warned, is_warning_due;

/* ======================================================================= */
/* Workers that are stuck                                                  */
/* ======================================================================= */

void mts_monitor_forget(mts_Worker *worker)
{
  if (atomic_load(&worker->is_replaced)) {
    atomic_store(&worker->is_replaced, false);
    mts_pool.replaced--;
    mts_pool_take_token(worker);
  }
}

/* Whether there is something in the run queue for which no token is idle. */
static bool lacks_token(void) MTS_REQUIRES(mts_pool.mutex)
{
  return mts_pool.idle < (int)atomic_load(&mts_pool.runnable);
}

static void replace(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex)
{
  if (mts_pool.replaced < MOST_REPLACED) {
    atomic_store(&worker->is_replaced, true);
    mts_pool.replaced++;
    mts_pool_give_token(worker);
  }
  else if (!has_warned)
    has_warned = is_warning_due = true;
}

/* Finds out what the worker, which serves, has done since the last tick. */
static mts_Activity activity_of(mts_Worker *worker)
    MTS_REQUIRES(mts_pool.mutex)
{
  const unsigned steps = atomic_load(&worker->steps);
  const double time = mts_process_thread_seconds(worker->handle);
  const double used = time - worker->seen_time;
  const bool is_same = steps == worker->seen_steps;
  worker->seen_steps = steps;
  worker->seen_time = time;
  if (!is_same)
    return MTS_GOES_ON;
  if (time < 0 || used >= BLOCKED_SECONDS)
    return MTS_COMPUTES;
  /* It can be other programs that keep it from the processor. */
  return mts_process_thread_is_ready(worker->kernel_id) ? MTS_COMPUTES
                                                        : MTS_BLOCKS;
}

/*
** Looks at all workers.  Returns: how many block and have a token;
** *computing: one that computes, or NULL.
*/
static int look_at_all(mts_Worker **computing) MTS_REQUIRES(mts_pool.mutex)
{
  mts_Worker *worker;
  int blocked = 0;
  *computing = NULL;
  for (worker = mts_pool.first; worker; worker = worker->next) {
    worker->activity = MTS_GOES_ON;
    if (atomic_load(&worker->is_replaced))
      mts_pool_flush(worker);
    if (!worker->has_token || !worker->is_serving)
      continue;
    worker->activity = activity_of(worker);
    if (worker->activity != MTS_GOES_ON)
      mts_pool_flush(worker);
    if (worker->activity == MTS_COMPUTES)
      *computing = worker;
    blocked += worker->activity == MTS_BLOCKS;
  }
  return blocked;
}

/* Replaces workers that block, as many as needed, if that yields a token. */
static void replace_blocked(int blocked) MTS_REQUIRES(mts_pool.mutex)
{
  mts_Worker *worker;
  if (mts_pool.idle + blocked <= 0)
    return;
  for (worker = mts_pool.first; worker && lacks_token(); worker = worker->next)
    if (worker->activity == MTS_BLOCKS)
      replace(worker);
}

/* Replaces the worker, which computes, if nothing could begin for long. */
static void replace_computing(mts_Worker *computing)
    MTS_REQUIRES(mts_pool.mutex)
{
  if (!mts_pool.first_runnable)
    patience = 1;
  if (!mts_pool.first_runnable || mts_pool.begun != seen_begun)
    ticks = 0;
  else
    ticks++;
  seen_begun = mts_pool.begun;
  if (computing && lacks_token() && ticks >= patience) {
    replace(computing);
    patience *= 2;
    ticks = 0;
  }
}

/* ======================================================================= */
/* Ticks                                                                   */
/* ======================================================================= */

static bool has_filled_slot(void) MTS_REQUIRES(mts_pool.mutex)
{
  const mts_Worker *worker = mts_pool.first;
  while (worker && !atomic_load(&worker->slot))
    worker = worker->next;
  return worker != NULL;
}

/* Whether there is a timer for which no parked worker is going to wake up. */
static bool lacks_keeper(void)
{
  const double next = mts_timer_next();
  return next != MTS_FOREVER && next < mts_pool_keeper_until();
}

static bool has_something_due(void) MTS_REQUIRES(mts_pool.mutex)
{
  return mts_pool.first_runnable || has_filled_slot() ||
         atomic_load(&has_senders) || lacks_keeper();
}

/* Called by the watcher. */
static double tick(mts_Watch *unused)
{
  mts_Event *event;
  mts_Worker *computing;
  bool goes_on, warns;
  (void)unused;
  if (atomic_exchange(&has_senders, false))
    mts_queuelist_wake_senders();
  mts_timer_look();
  mts_mutex_lock(&mts_pool.mutex);
  replace_blocked(look_at_all(&computing));
  replace_computing(computing);
  warns = is_warning_due;
  is_warning_due = false;
  event = mts_pool_balance().event;
  goes_on = has_something_due();
  if (!goes_on) {
    atomic_store(&is_on, false);
    goes_on = has_something_due();
    atomic_store(&is_on, goes_on);
  }
  mts_mutex_unlock(&mts_pool.mutex);
  if (event)
    mts_event_wake(event);
  if (warns && !mts_log_warn_at_once(warning))
    atomic_store(&has_warning, true);
  return goes_on ? TICK : 0;
}

void mts_monitor_start(void)
{
  if (!atomic_load(&is_on) && !atomic_exchange(&is_on, true) &&
      !mts_watch_start(&watch, tick, mts_clock_now() + TICK))
    atomic_store(&is_on, mts_watch_is_on(&watch)); /* not without thread */
}

void mts_monitor_note_timers(void)
{
  if (lacks_keeper())
    mts_monitor_start();
}

void mts_monitor_report_trace(void)
{
  char text[200], reason[100];
  int error;
  if (mts_trace_take_failure(&error)) {
    mts_process_describe_error(error, reason, sizeof(reason));
    snprintf(text, sizeof(text),
             "the trace has ended: it cannot be written: %s", reason);
    mts_log_warning(NULL, text, strlen(text));
  }
}

void mts_monitor_report(void)
{
  mts_monitor_report_trace();
  if (atomic_load_explicit(&has_warning, memory_order_relaxed) &&
      atomic_exchange(&has_warning, false))
    mts_log_warning(NULL, warning, sizeof(warning) - 1);
}

void mts_monitor_note_senders(void)
{
  atomic_store(&has_senders, true);
  mts_monitor_start();
}
