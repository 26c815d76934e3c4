/*
** waitgraph.c - which thread waits for which
**
** A deadlock is a cycle: each thread waits, without timeout, for a state
** that the next one holds.  All waits without timeout are in one hash table
** behind one mutex.  A thread enters its wait and looks for a cycle in one
** step, so of the threads of a cycle the last one sees all others.
**
** The words are read without their locks.  That is sound because a thread
** whose wait is in the table stands still: what it holds stays held while the
** mutex of the graph is.  The one exception is that it is just given what it
** waits for; then the word names that thread itself, and the search ends.
** If a word names a thread that is not in the table, that thread runs, so
** there is no cycle yet; should it wait later, it will find the cycle itself.
** Only words of states that a thread in the table waits for are read, and such
** a thread has a reference to the state.  Threads are looked up, never
** followed: one that runs can end at any moment.
*/
#include "core/waitgraph.h"

#define BUCKET_BITS 10

static mts_Mutex graph = MTS_MUTEX_INIT;
static mts_Wait *buckets[1 << BUCKET_BITS] MTS_GUARDED_BY(graph);

/* Threads are addresses, which may differ in a few bits only. */
static mts_Wait **bucket_of(uintptr_t thread) MTS_REQUIRES(graph)
{
  return &buckets[(uint32_t)(thread >> 3) * 2654435769u >> (32 - BUCKET_BITS)];
}

/* The thread that has to leave before somebody who waits gets in, or 0. */
static uintptr_t blocking_thread(const mts_Word *word)
{
  uintptr_t value = atomic_load(word);
  /* Who waits for something closed is being sent away. */
  if (value & (MTS_WORD_CLOSING | MTS_WORD_CLOSED))
    return 0;
  return value & ~MTS_WORD_FLAGS;
}

static const mts_Wait *find_wait(uintptr_t thread) MTS_REQUIRES(graph)
{
  const mts_Wait *wait = *bucket_of(thread);
  while (wait && wait->thread != thread)
    wait = wait->next;
  return wait;
}

static bool is_cycle(uintptr_t self, const mts_Word *word) MTS_REQUIRES(graph)
{
  uintptr_t thread = blocking_thread(word);
  while (thread != 0 && thread != self) {
    const mts_Wait *wait = find_wait(thread);
    uintptr_t next = wait ? blocking_thread(wait->word) : 0;
    if (next == thread) /* it has just been let in */
      return false;
    thread = next;
  }
  return thread == self;
}

bool mts_waitgraph_add(mts_Wait *wait, uintptr_t thread, const mts_Word *word)
{
  bool is_sound;
  wait->thread = thread;
  wait->word = word;
  mts_mutex_lock(&graph);
  is_sound = !is_cycle(thread, word);
  if (is_sound) {
    mts_Wait **bucket = bucket_of(thread);
    wait->next = *bucket;
    *bucket = wait;
  }
  mts_mutex_unlock(&graph);
  return is_sound;
}

void mts_waitgraph_remove(const mts_Wait *wait)
{
  mts_Wait **link;
  mts_mutex_lock(&graph);
  link = bucket_of(wait->thread);
  while (*link != wait)
    link = &(*link)->next;
  *link = wait->next;
  mts_mutex_unlock(&graph);
}
