/*
** suspend.h - a task is suspended, and goes on
*/
#ifndef MTS_SUSPEND_H
#define MTS_SUSPEND_H

#include "base/compiler.h"

#include "sched/task.h"

MTS_BEGIN_HIDDEN

/*
** The task, which has yielded to wait, is suspended: what it waits for makes
** it ready.  To be called by the thread that holds the state.
** Locks: takes the mutexes of queue, lock, timers and future, one at a time.
*/
void mts_suspend_task(mts_Task *task);

/*
** The task, which has been taken from the ready ones, goes on: nobody else
** knows its wait any more.
** Locks: as mts_suspend_task.
** Returns: why it is over.
*/
mts_Status mts_suspend_settle(mts_Task *task);

/*
** What the code of the task has waited for is not waited for any more.
** Locks: no mutex may be held: states can be closed.
*/
void mts_suspend_drop(mts_Task *task);

MTS_END_HIDDEN

#endif
