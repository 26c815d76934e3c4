/*
** signal.h - interrupting another thread, at once, by a signal
*/
#ifndef MTS_SIGNAL_H
#define MTS_SIGNAL_H

#include "base/compiler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

MTS_BEGIN_HIDDEN

/* The environment variable that names the signal; see the documentation. */
#define MTS_SIGNAL_VARIABLE "MTSTATES_SIGNAL"

/* Part of the record of each thread; the protocol is in signal.c. */
typedef struct mts_SignalTarget {
  pthread_t handle;
  long kernel_id;           /* what the kernel calls the thread */
  bool was_blocked;         /* the signal, when the mask was last read */
  unsigned seen;            /* value of `taken` at that time */
  atomic_uint taken;        /* signals that its handler has taken */
  atomic_bool is_signalled; /* a signal is on its way */
} mts_SignalTarget;

/*
** Once per process: chooses the signal, and stores the signal mask of the
** calling thread as that of the program.  handler: what the handler of the
** signal calls in the thread that gets it; it has to call mts_signal_take
** before it looks for what it is to do.
** Returns: false if the environment variable makes no sense; then nothing else
** may be called.
*/
bool mts_signal_open(void (*handler)(void));

/* To be called by the thread itself, also in the child after fork. */
void mts_signal_init_target(mts_SignalTarget *target);

/* To be called by the handler when the signal has arrived, in its thread. */
static inline void mts_signal_take(mts_SignalTarget *target)
{
  atomic_fetch_add(&target->taken, 1);
  atomic_store(&target->is_signalled, false);
}

/*
** Sends a thread the signal, unless one is on its way already; waits for
** nothing.  The thread has to live until this returns.  is_overdue: it was
** sent one a while ago and did not take it; so the system is asked for its
** signal mask.
** Locks: takes a mutex of its own, a leaf.
** Returns: false if it is known that the thread will not take a signal, since
** it blocks the signal, or there is none that can be used.  True does not
** promise that a signal has been sent, as the system can be out of resources:
** the caller tries again after a while.
*/
bool mts_signal_send(mts_SignalTarget *target, bool is_overdue);

/*
** For threads that the module has started, while they run code of their own:
** the calling thread gets no signals.
*/
void mts_signal_block_all(void);

/*
** For the same threads, before they run Lua code: the calling thread has the
** signal mask that mts_signal_open has stored, which processes inherit that it
** starts, with the module's own signal open.
*/
void mts_signal_unblock(void);

MTS_END_HIDDEN

#endif
