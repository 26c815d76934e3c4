/*
** knot.h - whether what waits can ever go on
*/
#ifndef MTS_KNOT_H
#define MTS_KNOT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;

/*
** Something that has to go on before something else can: a thread; the task
** of a request, or the begin of that; a task that has no request; any member
** of a pool that could begin the request, or, without one, a call; one of
** these members.
*/
typedef enum mts_BlockerKind {
  MTS_BLOCKER_THREAD,
  MTS_BLOCKER_REQUEST,
  MTS_BLOCKER_TASK,
  MTS_BLOCKER_POOL,
  MTS_BLOCKER_MEMBER
} mts_BlockerKind;

typedef struct mts_Blocker {
  mts_BlockerKind kind;
  uintptr_t thread;
  const void *request;    /* or the task */
  const mts_State *state; /* to which the request is; whose task that is; the
                          ** pool; the member */
} mts_Blocker;

/* So many are met without allocating.  The first one is a power of two. */
#define MTS_KNOT_FEW 16
#define MTS_KNOT_FEW_WAYS 32

/* Something that was met. */
typedef struct mts_KnotNode {
  mts_Blocker blocker;
  size_t bucket, next; /* the first node of the bucket with the number of this
                       ** one; the next one in that of this one; one more
                       ** than the number, or 0 */
  size_t ways_to;      /* the first way that leads here; likewise */
  size_t needs;        /* so many that have to go on, and do not yet */
  size_t next_due;     /* that is known to go on, and not looked at yet */
  bool has_its_lock;   /* a thread that needs itself */
  bool goes_on;
  bool is_others; /* it waits, but not for the first one */
} mts_KnotNode;

/* That node needs another one. */
typedef struct mts_KnotWay {
  size_t from;
  size_t next; /* to the same node; one more than the number, or 0 */
} mts_KnotWay;

/* What was met on all ways from the first one.  See knot.c. */
typedef struct mts_Knot {
  mts_KnotNode *nodes; /* few_nodes, or allocated */
  mts_KnotWay *ways;
  size_t count, room;
  size_t way_count, way_room;
  bool is_incomplete; /* for want of memory */
  mts_KnotNode few_nodes[MTS_KNOT_FEW];
  mts_KnotWay few_ways[MTS_KNOT_FEW_WAYS];
} mts_Knot;

/* first: who is going to wait.  It is number 0. */
void mts_knot_open(mts_Knot *knot, const mts_Blocker *first);
void mts_knot_close(mts_Knot *knot);

static inline mts_Blocker mts_knot_get(const mts_Knot *knot, size_t number)
{
  return knot->nodes[number].blocker;
}

/* Number `from` needs that, or, as a pool, that or others. */
void mts_knot_add(mts_Knot *knot, size_t from, const mts_Blocker *blocker);

/*
** Whether the first one never goes on because it waits for itself.  To be
** asked once, when the needs of all that was met have been added.
** Returns: false, too, if there was no memory for all of them.
*/
bool mts_knot_is_tied(mts_Knot *knot);

MTS_END_HIDDEN

#endif
