/*
** waitgraph.c - who waits for whom
**
** Threads that wait without timeout are in one hash table, behind one mutex.
** Tasks that are suspended are found by what they answer: the scheduler knows
** (mts_upcalls.find_blocker) what has to go on before a request is answered,
** or a state gets free.
**
** A deadlock is a cycle: each thread, or task, waits for something that the
** next one is to do.  One that is going to wait makes its wait known and then
** follows the way that begins there, so the last one of a cycle sees all
** others.  Only one at a time looks, and gives its own wait an outcome if
** there is a cycle: the others find no cycle then.
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
** Tasks go on meanwhile, but one that is part of a cycle cannot, unless its
** wait has an outcome; so a way that is a cycle stays one.  What is not a
** cycle can look like one only if each step was true when it was taken and one
** of them was undone since; so the way is followed twice, and counts if both
** times no wait on it has had an outcome.
**
** A suspended task needs several things to go on: what it waits for, and its
** state.  So does a request, or call, that has not begun: the thread that
** holds the state has to leave it, and other tasks must not keep it.  All of
** them are ways, and it is a deadlock if one leads back.
**
** What waits for a pool waits for any of its members.  So there the way
** divides, and it is a deadlock if all that it leads to waits, and leads back:
** then nothing of it can go on.  If it does not lead back, one of those who
** wait there is going to see that, and to end its own wait.  What is met more
** than once is followed once; without memory to know that, it counts as
** something that goes on.
**
** Requests and states that are met on the way are kept by those who wait for
** them, but a task that goes on gives them back.  Before they are freed the
** thread that does so looks whether somebody searches, and waits for the end
** of that.  The searcher has said that it searches before it looks for them.
*/
#include "core/waitgraph.h"

#include <stdlib.h>
#include <string.h>

#include "async_util.h"
#include "base/status.h"
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

static bool is_blocker(const mts_Blocker *blocker)
{
  return blocker->thread != 0 || blocker->request || blocker->is_pool;
}

static bool is_same(const mts_Blocker *a, const mts_Blocker *b)
{
  return a->thread == b->thread && a->request == b->request &&
         a->is_pool == b->is_pool && (!a->is_pool || a->state == b->state);
}

/* What has to go on before the waiting thread does. */
static mts_Blocker blocker_of_thread(const mts_WaitEdge *edge)
{
  mts_Blocker blocker = {0, NULL, NULL, false};
  if (edge->outcome && atomic_load(edge->outcome) != MTS_WAIT_OPEN)
    return blocker;
  if (edge->request) {
    blocker.request = edge->request;
    blocker.state = edge->state;
    return blocker;
  }
  if (edge->state &&
      mts_upcalls.find_blocker(edge->state, NULL, edge->word, &blocker))
    return blocker;
  blocker.thread = mts_lockword_holder(atomic_load(edge->word));
  if (!edge->outcome && mts_lockword_is_ending(atomic_load(edge->word)))
    blocker.thread = 0;
  return blocker;
}

/* What has to go on before that does. */
static mts_Blocker follow(const mts_Blocker *at) MTS_REQUIRES(graph_mutex)
{
  mts_Blocker next = {0, NULL, NULL, false};
  if (at->thread != 0) {
    const mts_WaitEdge *edge = find_edge(at->thread);
    if (edge)
      next = blocker_of_thread(edge);
  }
  else
    (void)mts_upcalls.find_blocker(at->state, at->request, NULL, &next);
  return next;
}

/* So many can be met without memory.  A power of two. */
#define FEW 16

/* What was met: entries, and a hash table of their numbers. */
typedef struct MetEntry {
  mts_Blocker blocker;
  size_t first, next; /* of the bucket with the number of this entry; in that
                      ** of this entry; one more than the number, or 0 */
} MetEntry;

typedef struct Met {
  MetEntry *entries;        /* `few`, or allocated */
  size_t count, room;       /* room: a power of two */
  const mts_Blocker *first; /* who is going to wait */
  bool leads_back;          /* that was met */
  MetEntry few[FEW];
} Met;

static size_t *bucket_in(const Met *met, const mts_Blocker *blocker)
{
  const uint64_t hash =
      ((uint64_t)blocker->thread ^ (uintptr_t)blocker->request ^
       (blocker->is_pool ? (uintptr_t)blocker->state : 0)) *
      0x9e3779b97f4a7c15u;
  return &met->entries[(size_t)(hash >> 32) & (met->room - 1)].first;
}

static void link_entry(Met *met, size_t index)
{
  MetEntry *entry = &met->entries[index];
  size_t *first = bucket_in(met, &entry->blocker);
  entry->next = *first;
  *first = index + 1;
}

static void link_all(Met *met)
{
  size_t i;
  for (i = 0; i < met->room; i++)
    met->entries[i].first = 0;
  for (i = 0; i < met->count; i++)
    link_entry(met, i);
}

static void open_met(Met *met, const mts_Blocker *first)
{
  met->entries = met->few;
  met->count = 0;
  met->room = FEW;
  met->first = first;
  met->leads_back = false;
  link_all(met);
}

static void close_met(Met *met)
{
  if (met->entries != met->few)
    free(met->entries);
}

/* Returns: false if there is no memory. */
static bool enlarge_met(Met *met)
{
  MetEntry *entries = malloc(2 * met->room * sizeof(*entries));
  if (!entries)
    return false;
  memcpy(entries, met->entries, met->count * sizeof(*entries));
  close_met(met);
  met->entries = entries;
  met->room *= 2;
  link_all(met);
  return true;
}

/* Adds what was not met before.  Returns: false if that goes on. */
static bool meet(Met *met, const mts_Blocker *blocker)
{
  size_t at;
  if (!is_blocker(blocker) || (met->count == met->room && !enlarge_met(met)))
    return false;
  at = *bucket_in(met, blocker);
  while (at > 0 && !is_same(&met->entries[at - 1].blocker, blocker))
    at = met->entries[at - 1].next;
  if (at == 0) {
    met->leads_back = met->leads_back || is_same(blocker, met->first);
    met->entries[met->count].blocker = *blocker;
    link_entry(met, met->count++);
  }
  return true;
}

/* Adds what each member of a pool waits for. */
static bool meet_members(Met *met, const mts_Blocker *pool)
{
  mts_Blocker next;
  size_t i;
  for (i = 0; next = (mts_Blocker){0, NULL, NULL, false},
      mts_upcalls.find_member(pool->state, pool->request, i, &next);
       i++)
    if (!meet(met, &next))
      return false;
  return i > 0;
}

/*
** Whether all that the way from a pool on leads to waits, the first one among
** it: it goes on if one of the members does, so each of them is followed.
*/
static bool is_stuck(const mts_Blocker *pool, const mts_Blocker *first)
    MTS_REQUIRES(graph_mutex)
{
  Met met;
  size_t i;
  bool waits;
  open_met(&met, first);
  waits = meet(&met, pool);
  for (i = 0; waits && i < met.count; i++) {
    const mts_Blocker at = met.entries[i].blocker;
    if (at.is_pool)
      waits = meet_members(&met, &at);
    else {
      const mts_Blocker next = follow(&at);
      waits = !is_same(&next, &at) && meet(&met, &next);
    }
  }
  close_met(&met);
  return waits && met.leads_back;
}

static void meet_other(void *met, const mts_Blocker *blocker)
{
  (void)meet(met, blocker);
}

/* Adds all that has to go on before that does. */
static void meet_ways(Met *met, const mts_Blocker *at)
    MTS_REQUIRES(graph_mutex)
{
  const mts_WaitEdge *edge = at->thread != 0 ? find_edge(at->thread) : NULL;
  const mts_Blocker next = follow(at);
  (void)meet(met, &next);
  if (edge && edge->state && !edge->outcome)
    mts_upcalls.find_others(edge->state, NULL, meet_other, met);
  else if (at->request)
    mts_upcalls.find_others(at->state, at->request, meet_other, met);
}

/*
** Whether a way that goes on from the first one leads back to it.  Others can
** be in a cycle that it leads to, for a moment: those notice that themselves.
*/
static bool leads_back(const mts_Blocker *first) MTS_REQUIRES(graph_mutex)
{
  Met met;
  size_t i;
  open_met(&met, first);
  meet_ways(&met, first);
  for (i = 0; !met.leads_back && i < met.count; i++) {
    const mts_Blocker at = met.entries[i].blocker;
    if (at.is_pool)
      met.leads_back = is_stuck(&at, first);
    else
      meet_ways(&met, &at);
  }
  close_met(&met);
  return met.leads_back;
}

static bool is_cycle(const mts_Blocker *first) MTS_REQUIRES(graph_mutex)
{
  bool is_found;
  atomic_store(&is_searching, true);
  is_found = leads_back(first);
  if (is_found)
    is_found = leads_back(first);
  atomic_store(&is_searching, false);
  return is_found;
}

bool mts_waitgraph_add(mts_WaitEdge *edge)
{
  const mts_Blocker self = {edge->thread, NULL, NULL, false};
  mts_WaitEdge **bucket;
  bool is_sound;
  mts_mutex_lock(&graph_mutex);
  bucket = bucket_of(edge->thread);
  edge->next = *bucket;
  *bucket = edge;
  is_sound = !is_cycle(&self);
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

bool mts_waitgraph_ends_task(const mts_State *s, const void *request,
                             atomic_int *outcome)
{
  const mts_Blocker self = {0, request, s, false};
  int open = MTS_WAIT_OPEN;
  bool is_ended;
  mts_mutex_lock(&graph_mutex);
  is_ended = is_cycle(&self) &&
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
