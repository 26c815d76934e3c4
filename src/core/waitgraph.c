/*
** waitgraph.c - which thread waits for which
**
** One hash table, by thread, of all waits without timeout, behind one mutex.
** A deadlock is a cycle: each thread waits for something that the next one
** holds.  A thread adds its wait and looks for a cycle in one step, so the
** last thread of a cycle sees all others.
**
** Words of locks are read without the mutexes of the locks, which is sound:
**
** 1. A thread whose wait is in the table stands still: what it holds stays
**    held as long as the mutex of the graph is.  The one exception is a thread
**    that was just handed what it waits for: then the word names that thread
**    itself, and the search ends.
** 2. A thread that is not in the table runs, so there is no cycle yet.  If it
**    waits later it finds the cycle itself.
** 3. Only words that a thread in the table waits for are read; that thread
**    keeps them alive.  Threads are looked up by number, never followed as
**    pointers: one that runs can end at any moment.
*/
#include "core/waitgraph.h"

#include "async_util.h"

#define BUCKET_BITS 10

static mts_Mutex graph_mutex = MTS_MUTEX_INIT;
static mts_Wait *buckets[1 << BUCKET_BITS] MTS_GUARDED_BY(graph_mutex);

/* Threads are addresses, which may differ in a few bits only. */
static mts_Wait **bucket_of(uintptr_t thread) MTS_REQUIRES(graph_mutex)
{
  return &buckets[(uint32_t)(thread >> 3) * 2654435769u >> (32 - BUCKET_BITS)];
}

/* The thread that has to leave before a waiting one gets in, or 0. */
static uintptr_t blocking_thread(const mts_LockWord *word)
{
  uintptr_t value = atomic_load(word);
  if (mts_lockword_is_ending(value)) /* threads that wait give up */
    return 0;
  return mts_lockword_holder(value);
}

static const mts_Wait *find_wait(uintptr_t thread) MTS_REQUIRES(graph_mutex)
{
  const mts_Wait *wait = *bucket_of(thread);
  while (wait && wait->thread != thread)
    wait = wait->next;
  return wait;
}

static bool is_cycle(uintptr_t self, const mts_LockWord *word)
    MTS_REQUIRES(graph_mutex)
{
  uintptr_t thread = blocking_thread(word);
  while (thread != 0 && thread != self) {
    const mts_Wait *wait = find_wait(thread);
    uintptr_t next = wait ? blocking_thread(wait->word) : 0;
    if (next == thread) /* the lock was just handed to it */
      return false;
    thread = next;
  }
  return thread == self;
}

bool mts_waitgraph_add(mts_Wait *wait, uintptr_t thread,
                       const mts_LockWord *word)
{
  bool is_sound;
  wait->thread = thread;
  wait->word = word;
  mts_mutex_lock(&graph_mutex);
  is_sound = !is_cycle(thread, word);
  if (is_sound) {
    mts_Wait **bucket = bucket_of(thread);
    wait->next = *bucket;
    *bucket = wait;
  }
  mts_mutex_unlock(&graph_mutex);
  return is_sound;
}

void mts_waitgraph_remove(const mts_Wait *wait)
{
  mts_Wait **link;
  mts_mutex_lock(&graph_mutex);
  link = bucket_of(wait->thread);
  while (*link != wait)
    link = &(*link)->next;
  *link = wait->next;
  mts_mutex_unlock(&graph_mutex);
}
