/*
** signal.h - interrupting another thread, at once, by a signal
*/
#ifndef MTS_SIGNAL_H
#define MTS_SIGNAL_H

#include "base/compiler.h"
#include "async_util.h"

MTS_BEGIN_HIDDEN

/* The environment variable that names the signal; see the README. */
#define MTS_SIGNAL_VARIABLE "MTSTATES_SIGNAL"

/*
** Settles which signal is used and what its handler calls, in the thread that
** got it; the first call in the process decides.  The handler's function has
** to call mts_signal_take before it looks for what it is to do.
** False if the environment variable makes no sense; then nothing else is
** called.
*/
bool mts_signal_open(void (*handler)(void));

/* To be called by the thread itself, as is mts_thread_init. */
void mts_signal_init_thread(mts_Thread *thread);

/* A signal has come; to be called by the handler, with its own thread. */
static inline void mts_signal_take(mts_Thread *thread)
{
  atomic_fetch_add(&thread->taken, 1);
  atomic_store(&thread->is_signalled, false);
}

/*
** Sends a thread the signal, unless one is on its way already; waits for
** nothing.  The thread has to live until this returns.  is_overdue: it had one
** for a while and did not take it; so the system is asked for its signal mask.
** Returns: false if it is known that the thread will not take a signal: it
** blocks it, or there is none to be used.  True does not promise that it has
** been sent, as the system can be out of resources: the caller tries again
** after a while.
** Locks: takes a mutex of its own, a leaf.
*/
bool mts_signal_send(mts_Thread *thread, bool is_overdue);

MTS_END_HIDDEN

#endif
