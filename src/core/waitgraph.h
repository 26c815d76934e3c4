/*
** waitgraph.h - which thread waits for which
*/
#ifndef MTS_WAITGRAPH_H
#define MTS_WAITGRAPH_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

#include "core/lockword.h"

MTS_BEGIN_HIDDEN

/* A thread that waits without timeout; lives on the stack of that thread. */
typedef struct mts_Wait {
  uintptr_t thread;
  const mts_LockWord *word; /* names the thread that holds what it waits for */
  struct mts_Wait *next;    /* in the same bucket */
} mts_Wait;

/*
** Notes that the calling thread is going to wait until word is free, unless
** that would close a cycle of waiting threads.
** Locks: takes the mutex of the graph, a leaf: may be called with others held.
** Owns: *word must live until mts_waitgraph_remove.
** Returns: false, and nothing noted, if there would be a cycle.
*/
bool mts_waitgraph_add(mts_Wait *wait, uintptr_t thread,
                       const mts_LockWord *word);

/* The wait is over.  Locks: as mts_waitgraph_add. */
void mts_waitgraph_remove(const mts_Wait *wait);

MTS_END_HIDDEN

#endif
