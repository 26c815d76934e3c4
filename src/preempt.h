/*
** preempt.h - running a function in another thread, at once, by a signal
*/
#ifndef MTS_PREEMPT_H
#define MTS_PREEMPT_H

#include "compiler.h"
#include "async_util.h"

MTS_BEGIN_HIDDEN

/* The environment variable that names the signal; see the README. */
#define MTS_PREEMPT_VARIABLE "MTSTATES_SIGNAL"

/*
** Settles which signal is used; the first call in the process decides.  False
** if the environment variable makes no sense; then nothing else is called.
*/
bool mts_preempt_open(void);

/* To be called by the thread itself, as is mts_thread_init. */
void mts_preempt_init_thread(mts_Thread *thread);

/*
** Has another thread run function(data) in a signal handler, wherever it is
** just now, and returns true when it has.  False if the thread blocks the
** signal or there is none to be used; then the function will not be run.  The
** thread has to live until this returns.  It takes PATIENCE (see preempt.c) to
** find out that a thread has begun to block the signal.
** Locks: takes a mutex of its own, a leaf.
*/
bool mts_preempt_run(mts_Thread *thread, void (*function)(void *), void *data);

MTS_END_HIDDEN

#endif
