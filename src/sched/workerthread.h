/*
** workerthread.h - what a worker does; a part of worker.c
*/
#ifndef MTS_WORKERTHREAD_H
#define MTS_WORKERTHREAD_H

#include "base/compiler.h"

#include "sched/pool.h"

MTS_BEGIN_HIDDEN

/*
** Starts a worker, with a token.
** Returns: false if the system has no resources for it.
*/
bool mts_workerthread_start(void) MTS_REQUIRES(mts_pool.mutex);

MTS_END_HIDDEN

#endif
