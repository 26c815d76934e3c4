/*
** waitgraph.h - who waits for whom
*/
#ifndef MTS_WAITGRAPH_H
#define MTS_WAITGRAPH_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/lockword.h"

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;
struct mts_Blocker;

/* What the outcome of a wait is until it has one, a status. */
#define MTS_WAIT_OPEN (-1)

/* A thread that waits without timeout; lives on the stack of that thread. */
typedef struct mts_WaitEdge {
  uintptr_t thread;
  const mts_LockWord *word; /* names the thread that it waits for */
  /*
  ** NULL: it waits for the word to be free.  Otherwise for something that is
  ** to be done, and this is MTS_WAIT_OPEN until then.
  */
  const atomic_int *outcome;
  const mts_State *state;    /* whose word that is, or NULL */
  const void *request;       /* to that state, that is waited for, or NULL */
  struct mts_WaitEdge *next; /* in the same bucket */
} mts_WaitEdge;

/*
** Notes that the calling thread, edge->thread, is going to wait for what the
** edge says, unless that would close a cycle.  With an outcome, whoever sets
** that can find the wait already.
** Locks: takes the mutex of the graph, and with it those of queues: may be
** called with others held.
** Owns: what the edge names must live until mts_waitgraph_remove.
** Returns: false, and nothing noted, if there would be a cycle.
*/
bool mts_waitgraph_add(mts_WaitEdge *edge);

/* The wait is over.  Locks: as mts_waitgraph_add. */
void mts_waitgraph_remove(const mts_WaitEdge *edge);

/*
** Whether a request, or a task without one, waits for itself: the task is
** suspended, or the answer deferred; then that wait is finished with
** MTS_DEADLOCK, as mts_wait_decide does.
** Locks: as mts_waitgraph_add; no other mutex may be held.
*/
bool mts_waitgraph_ends_task(const struct mts_Blocker *waiting,
                             atomic_int *outcome);

/*
** To be called before memory of requests and states is freed that nobody can
** find any more: who is looking at it just now, ends that.
** Locks: takes the mutex of the graph, at times; none may be held but that of
** the registry.
*/
void mts_waitgraph_settle(void);

MTS_END_HIDDEN

#endif
