/*
** waitgraph.c - who waits for whom
**
** Threads that wait without timeout are in one hash table, behind one mutex.
** Tasks that are suspended are found by what they answer: the scheduler knows
** (mts_upcalls.find_ways) what has to go on before a request is answered, or a
** state gets free.
**
** One that is going to wait makes its wait known and then follows all ways
** that begin there, so the last one of a deadlock sees all others.  It is told
** if it waits for itself (knot.c).  Only one at a time looks, and gives its
** own wait an outcome then: the others find no deadlock any more.
**
** Words of locks are read without the mutexes of the locks, which is sound:
**
** 1. A thread whose wait is in the table stands still: what it holds stays
**    held as long as the mutex of the graph is.  There are two exceptions.  A
**    thread that was just handed what it waits for: then the word names that
**    thread itself, and the search ends.  And a thread whose wait has an
**    outcome, which has not noticed yet: that is looked at.
** 2. Who gives a wait its outcome does so before it waits itself.  So a thread
**    that finds a cycle sees all outcomes that the others in it have set.
** 3. A thread that is not in the table runs, so there is no cycle yet.  If it
**    waits later it finds the cycle itself.
** 4. Threads are looked up by number, never followed as pointers: one that
**    runs can end at any moment.
**
** Tasks go on meanwhile, but one that is part of a deadlock cannot, unless its
** wait has an outcome; so a deadlock stays one.  What is none can look like
** one only if each step was true when it was taken and one of them was undone
** since; so the ways are followed twice, and it counts if both times no wait
** on them has had an outcome.
**
** Requests and states that are met on the way are kept by those who wait for
** them, but a task that goes on gives them back.  Before they are freed the
** thread that does so looks whether somebody searches, and waits for the end
** of that.  The searcher has said that it searches before it looks for them.
*/
#include "core/waitgraph.h"

#include "async_util.h"
#include "base/status.h"
#include "core/knot.h"
#include "core/upcalls.h"

#define BUCKET_BITS 10

static mts_Mutex graph_mutex = MTS_MUTEX_INIT;
static mts_WaitEdge *buckets[1 << BUCKET_BITS] MTS_GUARDED_BY(graph_mutex);
static atomic_bool is_searching;

/* Threads are addresses, which may differ in a few bits only. */
static mts_WaitEdge **bucket_of(uintptr_t thread) MTS_REQUIRES(graph_mutex)
{
  return &buckets[(uint32_t)(thread >> 3) * 2654435769u >> (32 - BUCKET_BITS)];
}

static const mts_WaitEdge *find_edge(uintptr_t thread)
    MTS_REQUIRES(graph_mutex)
{
  const mts_WaitEdge *edge = *bucket_of(thread);
  while (edge && edge->thread != thread)
    edge = edge->next;
  return edge;
}

static void remove_edge(const mts_WaitEdge *edge) MTS_REQUIRES(graph_mutex)
{
  mts_WaitEdge **link = bucket_of(edge->thread);
  while (*link != edge)
    link = &(*link)->next;
  *link = edge->next;
}

/* A node of a graph that is followed. */
typedef struct At {
  mts_Knot *knot;
  size_t number;
} At;

static void add_way(void *data, const mts_Blocker *blocker)
{
  const At *at = data;
  mts_knot_add(at->knot, at->number, blocker);
}

/* Adds what has to go on before the waiting thread does. */
static void add_ways_of_thread(At *at, const mts_WaitEdge *edge)
{
  mts_Blocker blocker = {MTS_BLOCKER_THREAD, 0, NULL, NULL};
  uintptr_t word;
  if (edge->outcome && atomic_load(edge->outcome) != MTS_WAIT_OPEN)
    return;
  if (edge->request) {
    blocker.kind = MTS_BLOCKER_REQUEST;
    blocker.request = edge->request;
    blocker.state = edge->state;
    add_way(at, &blocker);
    return;
  }
  if (edge->state &&
      mts_upcalls.find_ways_in(edge->state, edge->word, add_way, at))
    return;
  word = atomic_load(edge->word);
  blocker.thread = mts_lockword_holder(word);
  if (blocker.thread != 0 && (edge->outcome || !mts_lockword_is_ending(word)))
    add_way(at, &blocker);
}

static void add_ways(At *at) MTS_REQUIRES(graph_mutex)
{
  const mts_Blocker blocker = mts_knot_get(at->knot, at->number);
  if (blocker.kind == MTS_BLOCKER_THREAD) {
    const mts_WaitEdge *edge = find_edge(blocker.thread);
    if (edge)
      add_ways_of_thread(at, edge);
  }
  else
    mts_upcalls.find_ways(&blocker, add_way, at);
}

/* Whether the first one waits for itself. */
static bool is_tied(const mts_Blocker *first) MTS_REQUIRES(graph_mutex)
{
  mts_Knot knot;
  At at = {&knot, 0};
  bool result;
  mts_knot_open(&knot, first);
  for (; at.number < knot.count; at.number++)
    add_ways(&at);
  result = mts_knot_is_tied(&knot);
  mts_knot_close(&knot);
  return result;
}

static bool is_deadlock(const mts_Blocker *first) MTS_REQUIRES(graph_mutex)
{
  bool is_found;
  atomic_store(&is_searching, true);
  is_found = is_tied(first);
  if (is_found)
    is_found = is_tied(first);
  atomic_store(&is_searching, false);
  return is_found;
}

bool mts_waitgraph_add(mts_WaitEdge *edge)
{
  const mts_Blocker self = {MTS_BLOCKER_THREAD, edge->thread, NULL, NULL};
  mts_WaitEdge **bucket;
  bool is_sound;
  mts_mutex_lock(&graph_mutex);
  bucket = bucket_of(edge->thread);
  edge->next = *bucket;
  *bucket = edge;
  is_sound = !is_deadlock(&self);
  if (!is_sound)
    remove_edge(edge);
  mts_mutex_unlock(&graph_mutex);
  return is_sound;
}

void mts_waitgraph_remove(const mts_WaitEdge *edge)
{
  mts_mutex_lock(&graph_mutex);
  remove_edge(edge);
  mts_mutex_unlock(&graph_mutex);
}

bool mts_waitgraph_ends_task(const mts_Blocker *waiting, atomic_int *outcome)
{
  int open = MTS_WAIT_OPEN;
  bool is_ended;
  mts_mutex_lock(&graph_mutex);
  is_ended = is_deadlock(waiting) &&
             atomic_compare_exchange_strong(outcome, &open, MTS_DEADLOCK);
  mts_mutex_unlock(&graph_mutex);
  return is_ended;
}

void mts_waitgraph_settle(void)
{
  if (atomic_load(&is_searching)) {
    mts_mutex_lock(&graph_mutex);
    mts_mutex_unlock(&graph_mutex);
  }
}
