/*
** ownthread.h - the thread of a state that has one of its own
*/
#ifndef MTS_OWNTHREAD_H
#define MTS_OWNTHREAD_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/*
** Starts the thread of s, which is about to be published: from then on that
** alone runs and closes s.
** Locks: no mutex may be held.
** Returns: MTS_OK, MTS_NO_MEMORY, MTS_FORKED.
*/
mts_Status mts_ownthread_start(mts_State *s);

/* Has the thread look for what there is to do. */
void mts_ownthread_wake(mts_Queue *queue);

/* Returns: how many such threads run code; the calling one does not count. */
unsigned mts_ownthread_count_running(void);

MTS_END_HIDDEN

#endif
