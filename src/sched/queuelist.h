/*
** queuelist.h - all queues that there are
**
** Locks: all functions take a mutex that is before those of queues and locks.
*/
#ifndef MTS_QUEUELIST_H
#define MTS_QUEUELIST_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* A queue is in the list until its state is freed. */
void mts_queuelist_add(mts_Queue *queue);
void mts_queuelist_remove(mts_Queue *queue);

/* Wakes all senders that have got room. */
void mts_queuelist_wake_senders(void);

/*
** Interrupts all states that serve a request, but for those that the calling
** thread holds; waits for nothing.
*/
void mts_queuelist_interrupt(void);

/* Whether a state is being closed by a thread of the module. */
bool mts_queuelist_has_closing(void);

/*
** Adds the services that are being closed, while their threads are inside, to
** a list of states.
** Owns: *states can move; a reference to each.
** Returns: MTS_OK, MTS_NO_MEMORY.
*/
mts_Status mts_queuelist_add_closing(mts_State ***states, size_t *count);

/* How many requests wait or are under way, and how many of them wait. */
typedef struct mts_RequestStats {
  size_t requests, messages;
} mts_RequestStats;
mts_RequestStats mts_queuelist_stats(void);

MTS_END_HIDDEN

#endif
