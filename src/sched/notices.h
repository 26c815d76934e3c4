/*
** notices.h - calls without arguments that native threads ask for
*/
#ifndef MTS_NOTICES_H
#define MTS_NOTICES_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/*
** Makes sure that mts_notices_add can be called for s.
** Locks: takes that of the watcher, and the run mutex.
** Returns: MTS_OK, MTS_NO_MEMORY, MTS_FORKED.
*/
mts_Status mts_notices_open(mts_State *s);

/*
** One more call of the callback of s, without arguments, soon.  For any
** thread, real-time ones too: one atomic addition; if no notice of s waits,
** some more atomic operations, and a system call if the watcher sleeps.
** Locks: none; waits for nothing and needs no memory.
** Returns: MTS_OK, MTS_CLOSED, MTS_FORKED.
*/
mts_Status mts_notices_add(mts_State *s);

/* Takes one of them away.  Returns: false if there is none. */
static inline bool mts_notices_take(mts_Queue *queue)
{
  size_t notices = atomic_load(&queue->notices);
  if (queue->team)
    atomic_fetch_add(&queue->begun, 1); /* see teamclose.c */
  while (notices >= MTS_NOTICE)         /* closing the queue makes it less */
    if (atomic_compare_exchange_weak(&queue->notices, &notices,
                                     notices - MTS_NOTICE))
      return true;
  return false;
}

/* Has states served that notices have made runnable; for the watcher. */
void mts_notices_schedule(void);

MTS_END_HIDDEN

#endif
