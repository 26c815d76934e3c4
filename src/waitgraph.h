/*
** waitgraph.h - which thread waits for which
*/
#ifndef MTS_WAITGRAPH_H
#define MTS_WAITGRAPH_H

#include "state.h"

/* One thread that waits without timeout; lives on the stack of that thread. */
typedef struct mts_Wait {
  uintptr_t thread;
  const mts_Word *word; /* who holds what it waits for */
  struct mts_Wait *next, *previous;
} mts_Wait;

/*
** Notes that the calling thread is going to wait until word is free, unless
** that would close a cycle of waiting threads.  False, and nothing noted, if
** it would.
** Locks: takes the mutex of the graph, a leaf: may be called with others held.
** Owns: *word must live until mts_waitgraph_remove.
*/
bool mts_waitgraph_add(mts_Wait *wait, const mts_Word *word);

/* The wait is over.  Locks: as above. */
void mts_waitgraph_remove(mts_Wait *wait);

#endif
