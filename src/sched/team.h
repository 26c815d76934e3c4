/*
** team.h - the members of a pool, and how they get its requests
*/
#ifndef MTS_TEAM_H
#define MTS_TEAM_H

#include "base/compiler.h"

#include "core/interrupt.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* One of the states behind the queue of a pool. */
typedef struct mts_Member {
  mts_State *state;             /* with a reference; constant */
  struct mts_Member *next_idle; /* in the list of the idle ones */
  bool is_idle;                 /* it is there */
  atomic_bool is_kept; /* for a call: requests do not begin; teamcall.c */
} mts_Member;

typedef struct mts_Caller mts_Caller;

/* Guarded by the mutex of the queue, but for what is constant. */
typedef struct mts_Team {
  mts_State *pool;                        /* constant */
  mts_Queue *queue;                       /* of the pool; constant */
  bool has_own_threads;                   /* each member has one; constant */
  size_t count;                           /* members; 0 once all have ended */
  size_t ended;                           /* of these */
  size_t next;                            /* where to look for a free one */
  mts_Member *idle;                       /* the last one first */
  mts_Caller *first_caller, *last_caller; /* who waits for a member */
  mts_Member members[];
} mts_Team;

/*
** Makes the new state, which nobody knows, a pool without members, for as many
** as that.
** Returns: MTS_OK, MTS_NO_MEMORY, MTS_FORKED.
*/
mts_Status mts_team_open(mts_State *pool, size_t most, bool has_own_threads);

/*
** The new state, which the calling thread holds, becomes a member of the pool,
** which nobody else knows yet.
** Owns: the pool has a reference to the member until all have ended, and the
** member one to the pool.
** Returns: MTS_OK; MTS_NO_MEMORY; MTS_CLOSED if a member before has quit.
*/
mts_Status mts_team_add(mts_State *pool, mts_State *s);

/* All members are idle: they can get requests. */
void mts_team_start(mts_State *pool);

/*
** Member number index.  Locks: takes that of the queue.
** Owns: the caller gets a reference.
** Returns: NULL if there are not so many, or all have ended.
** mts_team_find_member: no reference, for who follows the wait graph: the
** member is not freed meanwhile.
*/
mts_State *mts_team_find_member(const mts_State *pool, size_t index);
mts_State *mts_team_keep_member(const mts_State *pool, size_t index);

static inline mts_Member *mts_team_member_of(const mts_State *s)
{
  return &s->team->members[s->place];
}

/* Whether requests, or notices, wait. */
static inline bool mts_team_has_requests(const mts_Team *team)
    MTS_REQUIRES(team->queue->mutex)
{
  return team->queue->first || mts_queue_notices(team->queue) > 0;
}

/* Whether one of the idle members has nothing else to run. */
bool mts_team_has_free(const mts_Team *team) MTS_REQUIRES(team->queue->mutex);

/* Takes the member out of the list of idle ones, or puts it in. */
void mts_team_unlist(mts_Team *team, mts_Member *member)
    MTS_REQUIRES(team->queue->mutex);
void mts_team_list(mts_Team *team, mts_Member *member)
    MTS_REQUIRES(team->queue->mutex);

/*
** Has an idle member served, if there is one, and if requests wait.
** Locks: takes the mutexes of queues and those of mts_worker_schedule, one at
** a time; no mutex may be held.
*/
void mts_team_wake(mts_Team *team);

/*
** The calling worker has served the queue of a member and, unless that is
** runnable, does not know it any more.
** Locks: as mts_team_wake.
** Returns: whether it is runnable now; the caller knows it then.
*/
bool mts_team_settle(mts_Queue *queue, bool is_runnable);

/*
** Whether a member could begin a request now: then none waits for something
** that cannot be seen.  Locks: takes that of the queue.
*/
bool mts_team_may_begin(const mts_State *pool);

/*
** As mts_interrupt_request, for all members.
** Returns: MTS_OK, MTS_CLOSED.
*/
mts_Status mts_team_interrupt(mts_State *pool, mts_Interrupt level);

/* Frees what a pool, or a member, has; it has no references any more. */
void mts_team_release(mts_State *s);

MTS_END_HIDDEN

#endif
