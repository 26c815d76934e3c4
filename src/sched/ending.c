/*
** ending.c - the end of the process
**
** exit calls mts_ending_run in the thread that ends the process, which can be
** a worker.  No request begins from then on, and Lua code that runs in
** requests is interrupted; but nothing is waited for beyond PATIENCE: foreign
** code may never return.  The Lua states stay as they are, so no thread meets
** one that is being closed.
*/
#include "sched/ending.h"

#include <stdio.h>

#include "async_util.h"
#include "core/thread.h"
#include "sched/log.h"
#include "sched/monitor.h"
#include "sched/ownthread.h"
#include "sched/queuelist.h"
#include "sched/worker.h"

#define PATIENCE 0.1 /* seconds */

/* How many requests wait or are under way, but for that of this thread. */
static size_t count_lost(void)
{
  size_t count = mts_queuelist_stats().requests;
  return atomic_load(&mts_self.served) && count > 0 ? count - 1 : count;
}

/*
** States that are closed by threads of the module are, but for what takes
** long. One that goes from one step to the next can be missed, so looks twice.
*/
static void finish_closing(double end)
{
  int quiet = 0;
  while (quiet < 2 && mts_clock_now() < end) {
    quiet = mts_queuelist_has_closing() ? 0 : quiet + 1;
    if (quiet < 2)
      mts_clock_pause();
  }
}

static void stop_running(double end)
{
  while (mts_worker_count_running() + mts_ownthread_count_running() > 0 &&
         mts_clock_now() < end) {
    mts_queuelist_interrupt();
    mts_clock_pause();
  }
}

void mts_ending_run(void)
{
  const double end = mts_clock_now() + PATIENCE;
  size_t lost;
  mts_monitor_report_trace(); /* it has ended just now */
  if (!mts_worker_takes_requests())
    return;
  finish_closing(end);
  mts_worker_stop_requests();
  mts_log_stop();
  lost = count_lost();
  stop_running(end);
  if (lost > 0)
    fprintf(stderr,
            "mtstates: %zu request%s lost at the end of the process; "
            "see mtstates.shutdown\n",
            lost, lost == 1 ? " was" : "s were");
}
