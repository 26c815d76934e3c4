/*
** team.c - the members of a pool, and how they get its requests
**
** A pool is a state without a Lua state: it has a name, owners, and a queue.
** Its members are states as others are, each with a queue of its own for what
** it is sent itself, its tasks and forks.  What runs are turns of the members;
** the pool has none.
**
** In a turn a member runs its own things and requests of the pool by turns
** (serve.c).  A request stays in the queue of the pool until a member begins
** it, so none waits behind another one for a member that is busy.  From then
** on it is a request to that member.
**
** Who puts a request schedules an idle member, that is one of a list.  The
** queue of the pool never counts as scheduled: it is runnable if it has idle
** members.
**
** Invariants, with the mutexes free:
**
** 1. If requests wait, no member that could begin them is idle: each is in the
**    run queue, or served, or kept for a call, and looks at the requests
**    afterwards.
** 2. A member that has a turn and cannot take requests then, as a call is
**    inside, or a task waits for room, or that runs something else first, has
**    another idle one scheduled.  So does one that takes a request, or notice,
**    if there are more.
** 3. That a member is in the list of idle ones says nothing of its own queue:
**    that can have been scheduled since.  Such a member is passed over, as it
**    looks at the requests when its turn ends.
**
** So the end of a turn is: the queue of the member becomes idle, under its own
** mutex; then, under the mutex of the pool's queue, the member either enters
** the list or sees the requests, for which it is scheduled again.  Who puts a
** request does so under the same mutex, and so finds it in the list, or is
** seen.
**
** A pool and its members live and end together: who closes one of them closes
** all (teamclose.c).  The team is freed with the pool.  Members keep the pool
** until they are freed, and the pool keeps them until all have ended.
**
** Locks: the mutex of the pool's queue guards the team.  The mutexes of queues
** are leaves: never two at once.
*/
#include "sched/team.h"

#include <stdlib.h>

#include "core/registry.h"
#include "sched/queueclose.h"
#include "sched/queueturn.h"
#include "sched/room.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Make and free                                                           */
/* ======================================================================= */

mts_Status mts_team_open(mts_State *pool, size_t most, bool has_own_threads)
{
  mts_Status status = mts_worker_start_all();
  mts_Team *team;
  if (status != MTS_OK)
    return status;
  if (most > SIZE_MAX / sizeof(mts_Member) - 1)
    return MTS_NO_MEMORY;
  team = calloc(1, sizeof(*team) + most * sizeof(mts_Member));
  if (!team)
    return MTS_NO_MEMORY;
  pool->is_service = true;
  team->pool = pool;
  team->has_own_threads = has_own_threads;
  team->queue = mts_queue_of(pool);
  if (!team->queue) {
    free(team);
    return MTS_NO_MEMORY;
  }
  pool->team = team;
  mts_mutex_lock(&team->queue->mutex); /* who looks at all queues finds it */
  team->queue->team = team;
  mts_mutex_unlock(&team->queue->mutex);
  atomic_store(&pool->own_thread, MTS_STATE_POOL);
  return MTS_OK;
}

mts_Status mts_team_add(mts_State *pool, mts_State *s)
{
  mts_Team *team = pool->team;
  mts_Queue *queue = mts_queue_of(s);
  mts_Status status = MTS_OK;
  if (!queue)
    return MTS_NO_MEMORY;
  mts_mutex_lock(&team->queue->mutex);
  if (atomic_load(&team->queue->is_closed))
    status = MTS_CLOSED;
  else {
    mts_state_retain(pool);
    s->team = team;
    s->place = team->count;
    queue->shared = team->queue;
    mts_state_retain(s);
    team->members[team->count++].state = s;
  }
  mts_mutex_unlock(&team->queue->mutex);
  return status;
}

void mts_team_start(mts_State *pool)
{
  mts_Team *team = pool->team;
  size_t i;
  mts_mutex_lock(&team->queue->mutex);
  for (i = 0; i < team->count; i++)
    mts_team_list(team, &team->members[i]);
  mts_mutex_unlock(&team->queue->mutex);
  mts_team_wake(team);
}

void mts_team_release(mts_State *s)
{
  if (mts_state_is_pool(s))
    free(s->team);
  else
    mts_state_release(s->team->pool);
}

mts_State *mts_team_find_member(const mts_State *pool, size_t index)
{
  const mts_Team *team = pool->team;
  mts_State *s;
  mts_mutex_lock(&team->queue->mutex);
  s = index < team->count ? team->members[index].state : NULL;
  mts_mutex_unlock(&team->queue->mutex);
  return s;
}

mts_State *mts_team_keep_member(const mts_State *pool, size_t index)
{
  const mts_Team *team = pool->team;
  mts_State *s = NULL;
  if (mts_worker_is_forked()) {
    if (index >= team->count)
      return NULL;
    mts_state_retain(team->members[index].state);
    return team->members[index].state;
  }
  mts_mutex_lock(&team->queue->mutex);
  if (index < team->count) {
    s = team->members[index].state;
    mts_state_retain(s);
  }
  mts_mutex_unlock(&team->queue->mutex);
  return s;
}

/* ======================================================================= */
/* Idle members                                                            */
/* ======================================================================= */

void mts_team_list(mts_Team *team, mts_Member *member)
{
  if (!member->is_idle) {
    member->is_idle = true;
    member->next_idle = team->idle;
    team->idle = member;
    team->queue->has_idle = true;
  }
}

void mts_team_unlist(mts_Team *team, mts_Member *member)
{
  if (member->is_idle) {
    mts_Member **link = &team->idle;
    while (*link != member)
      link = &(*link)->next_idle;
    *link = member->next_idle;
    member->is_idle = false;
    team->queue->has_idle = team->idle != NULL;
  }
}

/*
** Whether it is idle indeed, and a request may begin.  A thread that takes
** something from the queue has the lock before, so that is looked at last.
*/
static bool is_unused(const mts_Member *member)
{
  const mts_Queue *queue = atomic_load(&member->state->queue);
  return !mts_queue_has_more(queue) &&
         atomic_load(&queue->tasks.under_way) < queue->tasks.limit &&
         atomic_load(&queue->tasks.room_waits) == 0 &&
         !atomic_load(&queue->tasks.is_running) &&
         mts_lock_is_free(&member->state->lock);
}

bool mts_team_has_free(const mts_Team *team)
{
  const mts_Member *member = team->idle;
  while (member && !is_unused(member))
    member = member->next_idle;
  return member != NULL;
}

/* Returns: an idle member, with a reference, if requests wait; or NULL. */
static mts_State *pop_idle(mts_Team *team)
{
  mts_State *s = NULL;
  mts_mutex_lock(&team->queue->mutex);
  if (team->idle && mts_team_has_requests(team)) {
    s = team->idle->state;
    mts_team_unlist(team, team->idle);
    mts_state_retain(s);
  }
  mts_mutex_unlock(&team->queue->mutex);
  return s;
}

void mts_team_wake(mts_Team *team)
{
  mts_State *s;
  bool is_made = false;
  while (!is_made && (s = pop_idle(team)) != NULL) {
    is_made = mts_queueturn_schedule(atomic_load(&s->queue));
    mts_state_release(s);
  }
}

/* Whether a request could begin in the member when its turn has ended. */
static bool is_at_rest(mts_Queue *queue)
{
  bool is_free;
  mts_mutex_lock(&queue->mutex);
  is_free = queue->status == MTS_QUEUE_IDLE && mts_queue_may_begin(queue) &&
            !atomic_load(&queue->is_closed);
  mts_mutex_unlock(&queue->mutex);
  return is_free;
}

bool mts_team_settle(mts_Queue *queue, bool is_runnable)
{
  mts_Team *team = queue->state->team;
  mts_Queue *shared = team->queue;
  mts_Member *member = mts_team_member_of(queue->state);
  const bool may_begin = !is_runnable && is_at_rest(queue);
  bool has_requests, has_granted, has_closers, is_free, is_unowned;
  mts_mutex_lock(&team->queue->mutex);
  has_requests = mts_team_has_requests(team);
  has_granted = shared->first_sender != shared->first_waiting;
  has_closers = shared->closing.first && !has_requests;
  is_free = may_begin && !atomic_load(&member->is_kept);
  is_unowned = shared->closes_when_idle && !has_requests;
  if (is_unowned)
    shared->closes_when_idle = false;
  if (is_free && !has_requests)
    mts_team_list(team, member);
  mts_mutex_unlock(&team->queue->mutex);
  if (has_granted)
    mts_room_tell_all(shared);
  if (has_closers)
    mts_queueclose_tell_closers(shared);
  if (is_unowned)
    mts_registry_close_unowned(team->pool);
  if (has_requests && !is_free && !is_runnable)
    mts_team_wake(team);
  return is_runnable ||
         (has_requests && is_free && mts_queueturn_schedule_again(queue));
}

/* Whether nothing that the scheduler knows keeps requests from beginning. */
static bool is_unhindered(const mts_State *s)
{
  const mts_Queue *queue = atomic_load(&s->queue);
  return mts_lockword_holder(atomic_load(&s->lock.word)) == 0 &&
         atomic_load(&queue->tasks.room_waits) == 0;
}

bool mts_team_may_begin(const mts_State *pool)
{
  const mts_Team *team = pool->team;
  size_t i = 0;
  bool may_begin;
  mts_mutex_lock(&team->queue->mutex);
  while (i < team->count && !is_unhindered(team->members[i].state))
    i++;
  may_begin = i < team->count;
  mts_mutex_unlock(&team->queue->mutex);
  return may_begin;
}

mts_Status mts_team_interrupt(mts_State *pool, mts_Interrupt level)
{
  mts_State *s;
  size_t i;
  if (mts_lock_is_closed(&pool->lock))
    return MTS_CLOSED;
  for (i = 0; (s = mts_team_keep_member(pool, i)) != NULL; i++) {
    (void)mts_interrupt_request(s, level);
    mts_state_release(s);
  }
  return MTS_OK;
}
