/*
** taskrun.h - a thread that holds a state runs its tasks
*/
#ifndef MTS_TASKRUN_H
#define MTS_TASKRUN_H

#include "base/compiler.h"

#include "sched/task.h"

MTS_BEGIN_HIDDEN

/*
** All of these are for the thread that holds the state, at its outermost
** level.  They return when the task has ended, its request answered, or is
** suspended.  In a child process made by fork meanwhile nothing is answered.
** Locks: no mutex may be held: states can be closed.
*/

/* Begins a request, which was taken out of the queue. */
void mts_taskrun_begin(mts_Queue *queue, mts_Request *request);

/* Begins a call of the callback for a notice. */
void mts_taskrun_begin_notice(mts_Queue *queue);

/* Goes on with a ready task. */
void mts_taskrun_go_on(mts_Task *task);

/*
** Closes all tasks of the state, which is closing: to-be-closed variables run.
*/
void mts_taskrun_close_all(mts_Queue *queue);

MTS_END_HIDDEN

#endif
