/*
** waitgraph.h - which thread waits for which
*/
#ifndef MTS_WAITGRAPH_H
#define MTS_WAITGRAPH_H

#include "base/compiler.h"

#include <stdint.h>

#include "async_util.h"

MTS_BEGIN_HIDDEN

/*
** Who holds something that threads can wait for: a thread, or 0, plus flags
** in the lowest bits.  A thread is a number, never 0, that no other living
** thread has.
*/
typedef atomic_uintptr_t mts_Word;

#define MTS_WORD_CONTENDED ((uintptr_t)1) /* who leaves comes to the mutex */
#define MTS_WORD_CLOSING ((uintptr_t)2)   /* who leaves it has to close it */
#define MTS_WORD_CLOSED ((uintptr_t)4)    /* for good; nobody holds it */
#define MTS_WORD_FLAGS ((uintptr_t)7)

/* One thread that waits without timeout; lives on the stack of that thread. */
typedef struct mts_Wait {
  uintptr_t thread;
  const mts_Word *word;  /* who holds what it waits for */
  struct mts_Wait *next; /* in the same bucket */
} mts_Wait;

/*
** Notes that the calling thread is going to wait until word is free, unless
** that would close a cycle of waiting threads.  False, and nothing noted, if
** it would.
** Locks: takes the mutex of the graph, a leaf: may be called with others held.
** Owns: *word must live until mts_waitgraph_remove.
*/
bool mts_waitgraph_add(mts_Wait *wait, uintptr_t thread, const mts_Word *word);

/* The wait is over.  Locks: as above. */
void mts_waitgraph_remove(const mts_Wait *wait);

MTS_END_HIDDEN

#endif
