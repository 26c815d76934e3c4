/*
** teamclose.c - the end of a pool and its members
**
** A pool and its members are closed together: when one of them takes no more
** requests, by close, quit, or the loss of the last owner, the others are
** closed as if by mts_closing_stop: a member that is in use when its call
** returns.  The lock of a pool is never held, so a pool closes at once; who
** closes it waits for the members as mts_closing_close does for a state.
**
** A member that is free is closed by a turn of its own, since its last
** function and finalizers can take any time: the parker gets its lock
** (lock.h), and the worker that serves it then takes the lock over.  Threads
** of their own do that themselves.
**
** A pool without owners stays until it is idle: no request waits, and no
** member is busy with one; forks alone do not keep it.  Who looks for that
** keeps nobody from sending meanwhile:
**
** 1. From now on a member whose turn ends looks, too.
** 2. No member is busy, twice: one that was can have sent something to another
**    one that had been looked at already.
** 3. In the step that closes the queue of the pool, it is empty, and no member
**    has begun something of it since 1.
**
** Locks: mutexes of queues, leaves, one at a time.
*/
#include "sched/teamclose.h"

#include "core/registry.h"
#include "core/thread.h"
#include "sched/closing.h"
#include "sched/queueclose.h"
#include "sched/teamcall.h"
#include "sched/worker.h"

/* ======================================================================= */
/* All members                                                             */
/* ======================================================================= */

typedef mts_Status (*MemberFunction)(mts_State *s,
                                     const mts_Patience *patience);

/* Calls the function for each member, until one does not return MTS_OK. */
static mts_Status for_members(mts_State *pool, MemberFunction function,
                              const mts_Patience *patience)
{
  mts_Status status = MTS_OK;
  mts_State *s;
  size_t i;
  for (i = 0; status == MTS_OK && (s = mts_team_keep_member(pool, i)) != NULL;
       i++) {
    status = function(s, patience);
    mts_state_release(s);
  }
  return status;
}

static mts_Status stop_member(mts_State *s, const mts_Patience *patience)
{
  (void)patience;
  mts_closing_stop(s);
  return MTS_OK;
}

void mts_teamclose_follow(mts_State *s)
{
  mts_State *pool = s->team->pool;
  if (s != pool) {
    mts_closing_stop(pool);
    return;
  }
  if (!mts_worker_is_forked())
    mts_teamcall_dismiss(pool);
  (void)for_members(pool, stop_member, NULL);
}

void mts_teamclose_after_turn(mts_State *s)
{
  if (mts_lock_lacks_closer(&s->lock) &&
      mts_lock_take_over(&s->lock, mts_thread_id()))
    mts_state_close_taken(s);
}

/*
** Once all members have ended nobody needs the list of them.  A member that
** was never published counts, too.
*/
void mts_teamclose_note_end(mts_State *s)
{
  mts_Team *team = s->team;
  size_t count = 0;
  mts_mutex_lock(&team->queue->mutex);
  if (++team->ended == team->count) {
    count = team->count;
    team->count = 0;
    team->idle = NULL;
    team->queue->has_idle = false;
  }
  mts_mutex_unlock(&team->queue->mutex);
  while (count > 0)
    mts_state_release(team->members[--count].state);
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

static mts_Status check_member(mts_State *s, const mts_Patience *patience)
{
  (void)patience;
  return mts_lock_is_in_use(&s->lock) ? MTS_BUSY : MTS_OK;
}

/*
** The pool is closed: so is the member, soon.
** await_member_end: whatever it runs, a call, too;
** await_unless_called: but not that.
*/
static mts_Status await_member(mts_State *s, const mts_Patience *patience)
{
  return mts_lock_is_in_use(&s->lock) ? MTS_OK
                                      : mts_closing_await_stop(s, patience);
}

static mts_Status await_member_end(mts_State *s, const mts_Patience *patience)
{
  return mts_queueclose_await_end(atomic_load(&s->queue), patience);
}

static mts_Status await_unless_called(mts_State *s,
                                      const mts_Patience *patience)
{
  return mts_lock_is_in_use(&s->lock) ? MTS_OK : await_member_end(s, patience);
}

static mts_Status close_all(mts_State *pool, const mts_Patience *patience)
{
  mts_closing_stop(pool);
  return for_members(pool, await_member, patience);
}

mts_Status mts_teamclose_close(mts_State *pool, const mts_Patience *patience)
{
  const mts_Status status = for_members(pool, check_member, NULL);
  if (status != MTS_OK || mts_lock_is_closed(&pool->lock))
    return status;
  return close_all(pool, patience);
}

void mts_teamclose_give_up(mts_State *pool)
{
  const mts_Patience patience = mts_patience_until(MTS_FOREVER);
  if (pool->team)
    (void)close_all(pool, &patience);
  else
    mts_closing_stop(pool);
}

static mts_Status check_not_inside(mts_State *s, const mts_Patience *patience)
{
  (void)patience;
  return mts_lock_is_held(&s->lock, mts_thread_id()) ? MTS_BUSY : MTS_OK;
}

static mts_Status refuse_member(mts_State *s, const mts_Patience *patience)
{
  (void)patience;
  mts_queueclose_add_closer(atomic_load(&s->queue), 1);
  return MTS_OK;
}

static mts_Status accept_member(mts_State *s, const mts_Patience *patience)
{
  (void)patience;
  mts_queueclose_accept_notices(atomic_load(&s->queue));
  mts_queueclose_add_closer(atomic_load(&s->queue), -1);
  return MTS_OK;
}

static mts_Status finish_member(mts_State *s, const mts_Patience *patience)
{
  return mts_closing_await_done(atomic_load(&s->queue), patience);
}

static void refuse_members(mts_State *pool)
{
  mts_queueclose_add_closer(atomic_load(&pool->queue), 1);
  (void)for_members(pool, refuse_member, NULL);
}

static void accept_members(mts_State *pool)
{
  (void)accept_member(pool, NULL);
  (void)for_members(pool, accept_member, NULL);
}

/* Waits for the call in progress; those of own threads are requests. */
static mts_Status pass_through(mts_State *s, const mts_Patience *patience)
{
  const double deadline = patience->deadline;
  mts_Status status;
  if (s->has_own_thread)
    return MTS_OK;
  status = mts_state_enter(
      s, deadline == MTS_FOREVER ? deadline : deadline - mts_clock_now());
  if (status == MTS_OK)
    mts_state_leave(s);
  return status == MTS_CLOSED ? MTS_OK : status;
}

/* All that was sent before, to the pool or a member, is done. */
static mts_Status finish_all(mts_State *pool, const mts_Patience *patience)
{
  const mts_Status status = finish_member(pool, patience);
  return status == MTS_OK ? for_members(pool, finish_member, patience)
                          : status;
}

mts_Status mts_teamclose_finish(mts_State *pool, const mts_Patience *patience,
                                bool *is_done)
{
  mts_Patience closing = *patience;
  mts_Status status;
  *is_done = true;
  if (for_members(pool, check_not_inside, NULL) != MTS_OK)
    return MTS_BUSY;
  if (mts_worker_is_forked())
    return mts_teamclose_close(pool, patience);
  refuse_members(pool);
  status = finish_all(pool, patience);
  if (status == MTS_OK)
    status = for_members(pool, pass_through, patience);
  closing.deadline = MTS_FOREVER; /* as in closing.c */
  if (status == MTS_OK) {
    mts_closing_stop(pool);
    status = for_members(pool, await_unless_called, &closing);
  }
  else if (status == MTS_BUSY) {
    *is_done = false;
    status = mts_teamclose_close(pool, &closing);
  }
  accept_members(pool);
  return status;
}

mts_Status mts_teamclose_shut(mts_State *pool, const mts_Patience *patience,
                              const mts_Patience *closing)
{
  mts_Status status;
  refuse_members(pool);
  status = finish_all(pool, patience);
  if (status == MTS_OK || status == MTS_BUSY)
    mts_closing_stop(pool);
  if (status == MTS_OK)
    status = for_members(pool, await_member_end, closing);
  accept_members(pool);
  return status == MTS_BUSY ? MTS_OK : status;
}

/* ======================================================================= */
/* Without owners                                                          */
/* ======================================================================= */

static mts_Status look_for_work(mts_State *s, const mts_Patience *patience)
{
  mts_Queue *queue = atomic_load(&s->queue);
  bool has_work;
  (void)patience;
  mts_mutex_lock(&queue->mutex);
  has_work = mts_queue_has_work(queue);
  mts_mutex_unlock(&queue->mutex);
  return has_work ? MTS_BUSY : MTS_OK;
}

bool mts_teamclose_when_idle(mts_State *pool)
{
  mts_Queue *queue = atomic_load(&pool->queue);
  bool is_busy = false;
  size_t begun;
  int looks;
  mts_mutex_lock(&queue->mutex);
  queue->closes_when_idle = true;
  begun = atomic_load(&queue->begun);
  mts_mutex_unlock(&queue->mutex);
  for (looks = 0; looks < 2 && !is_busy; looks++)
    is_busy = for_members(pool, look_for_work, NULL) != MTS_OK;
  mts_mutex_lock(&queue->mutex);
  is_busy = is_busy || mts_queue_has_work(queue) ||
            atomic_load(&queue->begun) != begun;
  if (!is_busy) {
    queue->closes_when_idle = false;
    atomic_store(&queue->is_closed, true);
  }
  mts_mutex_unlock(&queue->mutex);
  return is_busy;
}

/* ======================================================================= */
/* Stats                                                                   */
/* ======================================================================= */

static void add_stats(mts_QueueStats *sum, mts_State *s)
{
  const mts_QueueStats stats = mts_queue_stats(s);
  sum->waiting += stats.waiting;
  sum->calls += stats.calls;
  sum->under_way += stats.under_way;
  sum->forks += stats.forks;
  sum->deferred += stats.deferred;
}

mts_QueueStats mts_teamclose_stats(mts_State *s)
{
  mts_QueueStats sum = mts_queue_stats(s);
  mts_State *member;
  size_t i;
  if (mts_state_is_pool(s) && !mts_worker_is_forked())
    for (i = 0; (member = mts_team_keep_member(s, i)) != NULL; i++) {
      add_stats(&sum, member);
      mts_state_release(member);
    }
  return sum;
}
