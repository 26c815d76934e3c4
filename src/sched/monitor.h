/*
** monitor.h - looks after requests that take long
*/
#ifndef MTS_MONITOR_H
#define MTS_MONITOR_H

#include "base/compiler.h"

#include "sched/pool.h"

MTS_BEGIN_HIDDEN

/*
** Has the watcher look whether something that is to be done waits too long.
** To be called when something has begun to wait.
** Locks: takes the mutex of the watcher; no mutex may be held.
*/
void mts_monitor_start(void);

/* The worker has ended its turn, or waits: it is not stuck any more. */
void mts_monitor_forget(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex);

/* Notes that a queue has senders to be woken; see queue.c. */
void mts_monitor_note_senders(void);

/*
** Timers are pending, and the worker goes on with something that can take
** long.
*/
void mts_monitor_note_timers(void);

/* Logs the warnings that are due.  Locks: no mutex may be held. */
void mts_monitor_report(void);
void mts_monitor_report_trace(void);

MTS_END_HIDDEN

#endif
