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
#include "sched/queuelist.h"
#include "sched/worker.h"

#define PATIENCE 0.1 /* seconds */

/* How many requests wait or are under way, but for that of this thread. */
static size_t count_lost(void)
{
  size_t count = mts_queuelist_count();
  return mts_self.worker && count > 0 ? count - 1 : count;
}

static void stop_running(void)
{
  const double end = mts_clock_now() + PATIENCE;
  while (mts_worker_count_running() > 0 && mts_clock_now() < end) {
    mts_queuelist_interrupt();
    mts_clock_pause();
  }
}

void mts_ending_run(void)
{
  size_t lost;
  if (!mts_worker_takes_requests())
    return;
  mts_worker_stop_requests();
  mts_log_stop();
  lost = count_lost();
  stop_running();
  if (lost > 0)
    fprintf(stderr,
            "mtstates: %zu request%s lost at the end of the process; "
            "see mtstates.shutdown\n",
            lost, lost == 1 ? " was" : "s were");
}
