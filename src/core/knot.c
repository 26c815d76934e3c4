/*
** knot.c - whether what waits can ever go on
**
** A graph of what was met: a node is something that waits, or does not, and
** ways lead from it to what it needs.  A node goes on if all that it needs
** does; a pool if one of those does.  What needs nothing goes on, and a pool
** without members.  So what goes on is found from its end: each node that does
** is one need less of those that lead to it.
**
** The rest waits for ever, unless somebody is told.  Not each of them is to
** be: only who waits for itself.  Others only wait for such ones, and go on
** when those have been told.  So it is found twice what goes on.  First as if
** the first node did: what waits nevertheless is no matter of the first one,
** but of others that were told, or are just finding out.  Then as if those
** did: if the first one waits nevertheless, it waits for itself.
**
** A thread that needs itself was just handed the lock that it waits for, so it
** goes on; but not the first one, which does not wait for that yet.
**
** Takes no locks.
*/
#include "core/knot.h"

#include <stdlib.h>
#include <string.h>

static size_t *bucket_for(const mts_Knot *knot, const mts_Blocker *blocker)
{
  const uint64_t hash =
      ((uint64_t)blocker->thread ^ (uintptr_t)blocker->request ^
       blocker->kind ^
       (blocker->kind > MTS_BLOCKER_REQUEST ? (uintptr_t)blocker->state : 0)) *
      0x9e3779b97f4a7c15u;
  return &knot->nodes[(size_t)(hash >> 32) & (knot->room - 1)].bucket;
}

/* A request can be known with its pool, or with the member that it went to. */
static bool is_same(const mts_Blocker *a, const mts_Blocker *b)
{
  return a->kind == b->kind && a->thread == b->thread &&
         a->request == b->request &&
         (a->kind <= MTS_BLOCKER_REQUEST || a->state == b->state);
}

static void link_node(mts_Knot *knot, size_t index)
{
  size_t *bucket = bucket_for(knot, &knot->nodes[index].blocker);
  knot->nodes[index].next = *bucket;
  *bucket = index + 1;
}

static void link_all(mts_Knot *knot)
{
  size_t i;
  for (i = 0; i < knot->room; i++)
    knot->nodes[i].bucket = 0;
  for (i = 0; i < knot->count; i++)
    link_node(knot, i);
}

/* Returns: twice the room, with the old elements; or NULL. */
static void *enlarge(void *old, bool is_allocated, size_t size)
{
  void *bytes = malloc(2 * size);
  if (bytes) {
    memcpy(bytes, old, size);
    if (is_allocated)
      free(old);
  }
  return bytes;
}

static bool enlarge_nodes(mts_Knot *knot)
{
  mts_KnotNode *nodes = enlarge(knot->nodes, knot->nodes != knot->few_nodes,
                                knot->room * sizeof(*nodes));
  if (!nodes)
    return false;
  knot->nodes = nodes;
  knot->room *= 2;
  link_all(knot);
  return true;
}

static bool enlarge_ways(mts_Knot *knot)
{
  mts_KnotWay *ways = enlarge(knot->ways, knot->ways != knot->few_ways,
                              knot->way_room * sizeof(*ways));
  if (!ways)
    return false;
  knot->ways = ways;
  knot->way_room *= 2;
  return true;
}

/* The node of that; there is room for a new one. */
static size_t meet(mts_Knot *knot, const mts_Blocker *blocker)
{
  size_t at = *bucket_for(knot, blocker);
  while (at > 0 && !is_same(&knot->nodes[at - 1].blocker, blocker))
    at = knot->nodes[at - 1].next;
  if (at == 0) {
    mts_KnotNode *node = &knot->nodes[knot->count];
    node->blocker = *blocker;
    node->ways_to = 0;
    node->has_its_lock = false;
    link_node(knot, knot->count);
    at = ++knot->count;
  }
  return at - 1;
}

void mts_knot_open(mts_Knot *knot, const mts_Blocker *first)
{
  knot->nodes = knot->few_nodes;
  knot->ways = knot->few_ways;
  knot->room = MTS_KNOT_FEW;
  knot->way_room = MTS_KNOT_FEW_WAYS;
  knot->count = knot->way_count = 0;
  knot->is_incomplete = false;
  link_all(knot);
  (void)meet(knot, first);
}

void mts_knot_close(mts_Knot *knot)
{
  if (knot->nodes != knot->few_nodes)
    free(knot->nodes);
  if (knot->ways != knot->few_ways)
    free(knot->ways);
}

void mts_knot_add(mts_Knot *knot, size_t from, const mts_Blocker *blocker)
{
  mts_KnotWay *way;
  size_t to;
  if ((knot->count == knot->room && !enlarge_nodes(knot)) ||
      (knot->way_count == knot->way_room && !enlarge_ways(knot))) {
    knot->is_incomplete = true;
    return;
  }
  to = meet(knot, blocker);
  if (to == from && to > 0 && blocker->kind == MTS_BLOCKER_THREAD)
    knot->nodes[to].has_its_lock = true;
  way = &knot->ways[knot->way_count++];
  way->from = from;
  way->next = knot->nodes[to].ways_to;
  knot->nodes[to].ways_to = knot->way_count;
}

/* ======================================================================= */
/* What goes on                                                            */
/* ======================================================================= */

static void count_needs(mts_Knot *knot)
{
  size_t i;
  for (i = 0; i < knot->count; i++) {
    knot->nodes[i].needs = 0;
    knot->nodes[i].goes_on = false;
  }
  for (i = 0; i < knot->way_count; i++)
    knot->nodes[knot->ways[i].from].needs++;
}

/* The node goes on: puts it on the list, whose head is one more than *due. */
static void let_go_on(mts_Knot *knot, size_t index, size_t *due)
{
  mts_KnotNode *node = &knot->nodes[index];
  if (!node->goes_on) {
    node->goes_on = true;
    node->next_due = *due;
    *due = index + 1;
  }
}

/* Those that lead to nodes on the list have one need less. */
static void follow_back(mts_Knot *knot, size_t due)
{
  while (due > 0) {
    size_t at = knot->nodes[due - 1].ways_to;
    due = knot->nodes[due - 1].next_due;
    while (at > 0) {
      const mts_KnotWay *way = &knot->ways[at - 1];
      mts_KnotNode *node = &knot->nodes[way->from];
      node->needs--;
      if (node->needs == 0 || node->blocker.kind == MTS_BLOCKER_POOL)
        let_go_on(knot, way->from, &due);
      at = way->next;
    }
  }
}

/* Finds what goes on: what needs nothing, and, besides, the chosen ones. */
static void find_what_goes_on(mts_Knot *knot, bool first_does)
{
  size_t due = 0, i;
  count_needs(knot);
  for (i = 0; i < knot->count; i++)
    if (knot->nodes[i].needs == 0 || knot->nodes[i].has_its_lock ||
        (first_does ? i == 0 : knot->nodes[i].is_others))
      let_go_on(knot, i, &due);
  follow_back(knot, due);
}

bool mts_knot_is_tied(mts_Knot *knot)
{
  size_t i;
  if (knot->is_incomplete)
    return false;
  find_what_goes_on(knot, true);
  for (i = 0; i < knot->count; i++)
    knot->nodes[i].is_others = !knot->nodes[i].goes_on;
  find_what_goes_on(knot, false);
  return !knot->nodes[0].goes_on;
}
