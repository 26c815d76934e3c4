/*
** worker.h - the threads that serve requests
*/
#ifndef MTS_WORKER_H
#define MTS_WORKER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "core/wait.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* How many there may be. */
#define MTS_WORKER_LIMIT 1000

/* The environment variable that says how many there are to be. */
#define MTS_WORKERS_VARIABLE "MTSTATES_WORKERS"

/*
** Sets how many workers there are to be, and has the process end with what
** ending.h says.  Can be called again.
** Returns: false if the environment makes no sense.
*/
bool mts_worker_open(void);

/*
** Makes sure that there are workers.
** Returns: MTS_OK, MTS_NO_MEMORY, MTS_FORKED.
*/
mts_Status mts_worker_start_all(void);

/* Whether workers have been started, and requests may still begin. */
bool mts_worker_takes_requests(void);

/* Whether the process was made by fork after workers had been started. */
bool mts_worker_is_forked(void);

/*
** Has a worker serve the queue, which has just become runnable.
** Locks: takes the run mutex; no mutex may be held.
** Owns: takes the queue.
*/
void mts_worker_schedule(mts_Queue *queue);

/*
** The next timer was added, with that deadline: makes sure that somebody
** looks.
** Locks: takes the run mutex; no mutex may be held.
*/
void mts_worker_note_timer(double deadline);

/* See mts_thread_begin_wait. */
bool mts_worker_begin_wait(void);
void mts_worker_end_wait(void);

/*
** Sleeps until the deadline.  In a worker, another one takes its place.
** Locks: as mts_wait_begin.
** Returns: MTS_OK, and as mts_wait_begin and mts_wait_sleep, but MTS_BUSY.
*/
mts_Status mts_worker_sleep(const mts_Patience *patience);

/*
** How many workers there are to be, without replacements; sets that.  In a
** process that is forked there are none.
*/
unsigned mts_worker_count(void);
void mts_worker_set_count(unsigned count);

/*
** For the end of the process: no request begins any more; how many other
** workers run code.
*/
void mts_worker_stop_requests(void);
unsigned mts_worker_count_running(void);

typedef struct mts_WorkerStats {
  unsigned workers, replacements, idle;
} mts_WorkerStats;
mts_WorkerStats mts_worker_stats(void);

MTS_END_HIDDEN

#endif
