/*
** teamcall.c - calls of a pool go to a member that is free
**
** A call takes a member whose lock is free, keeps it, and enters it as any
** caller does, but without waiting.  Others call members directly: if one has
** been faster, the call looks for another member.
**
** While a member is kept for a call no other call of the pool takes it, and no
** worker enters it, unless it was refused before (serve.c): then it is faster
** than the next call, so that requests and calls share the members fairly.  If
** no member is free the caller stands in line:
**
** 1. It enters the line, under the mutex.  Then it has the locks of all
**    members report when they are left (mts_lock_request).  If one was not
**    held it looks once more.
** 2. A member that is left, and reports that, or that a call gives back and no
**    thread holds, is given to the first in line: it is kept for that call,
**    and the caller is woken.  So nobody gets in between but who calls the
**    member directly, and that worker.
** 3. A caller that finds the member busy all the same goes back to the front
**    of the line, as in 1.
** 4. Who gives up leaves the line, unless it was given a member: that one is
**    given back, and so to the next in line.
**
** A worker that finds its member kept has the queue blocked, as it does for a
** busy state; the call that gives the member back has it scheduled.
**
** Invariant: if somebody is in line, no member is both free and not kept, but
** for the moments between its being left and the report, or until the first
** one in line has looked.
**
** Members that have threads of their own are not called by others: there calls
** are requests (lua/staterequest.c), but for one from inside a member.
**
** A child process after a fork finds calls of other threads that never end,
** and a mutex that nobody unlocks: there the members are tried one by one.
**
** Locks: that of the pool's queue, a leaf.
*/
#include "sched/teamcall.h"

#include "core/thread.h"
#include "sched/queueturn.h"
#include "sched/worker.h"

/* A call that looks for a member; lives on the stack of its thread. */
struct mts_Caller {
  mts_State *pool;
  double deadline;
  mts_State *state; /* the member that it has got, with a reference, or NULL */
  bool has_kept;    /* that is kept for it */
  bool was_refused; /* one that was kept for it was busy */

  /* In line. */
  bool is_listed;
  mts_ThreadWait wait;
  mts_Caller *next, *previous;
};

/* ======================================================================= */
/* The line                                                                */
/* ======================================================================= */

/* Adds the caller to the line: at its end, or at its front. */
static void enter_line(mts_Team *team, mts_Caller *caller)
    MTS_REQUIRES(team->queue->mutex)
{
  mts_Caller *previous = caller->was_refused ? NULL : team->last_caller;
  mts_Caller *next = previous ? NULL : team->first_caller;
  caller->is_listed = true;
  caller->previous = previous;
  caller->next = next;
  if (previous)
    previous->next = caller;
  else
    team->first_caller = caller;
  if (next)
    next->previous = caller;
  else
    team->last_caller = caller;
}

static void leave_line(mts_Team *team, mts_Caller *caller)
    MTS_REQUIRES(team->queue->mutex)
{
  caller->is_listed = false;
  if (caller->next)
    caller->next->previous = caller->previous;
  else
    team->last_caller = caller->previous;
  if (caller->previous)
    caller->previous->next = caller->next;
  else
    team->first_caller = caller->next;
}

/* Keeps the member for the caller. */
static void keep_for(mts_Team *team, mts_Member *member, mts_Caller *caller)
    MTS_REQUIRES(team->queue->mutex)
{
  mts_team_unlist(team, member);
  atomic_store(&member->is_kept, true);
  mts_state_retain(member->state);
  caller->state = member->state;
  caller->has_kept = true;
}

/*
** Gives the member to the first in line whose wait is not over.
** Returns: false if there is none.
*/
static bool give(mts_Team *team, mts_Member *member, mts_Wakes *wakes)
    MTS_REQUIRES(team->queue->mutex)
{
  mts_Caller *caller;
  while ((caller = team->first_caller) != NULL) {
    leave_line(team, caller);
    if (mts_wait_decide(&caller->wait.wait, MTS_OK)) {
      keep_for(team, member, caller);
      mts_wait_tell(&caller->wait.wait, wakes);
      return true;
    }
  }
  return false;
}

bool mts_teamcall_offer(mts_State *s)
{
  mts_Team *team = s->team;
  mts_Member *member = mts_team_member_of(s);
  mts_Wakes wakes = MTS_NO_WAKES;
  bool is_given = false;
  if (mts_state_is_pool(s))
    return false;
  mts_mutex_lock(&team->queue->mutex);
  if (!atomic_load(&member->is_kept))
    is_given = give(team, member, &wakes);
  mts_mutex_unlock(&team->queue->mutex);
  mts_wakes_wake(&wakes);
  return is_given;
}

void mts_teamcall_dismiss(mts_State *pool)
{
  mts_Team *team = pool->team;
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&team->queue->mutex);
    while (team->first_caller && wakes.count < MTS_WAKES) {
      mts_Caller *caller = team->first_caller;
      leave_line(team, caller);
      (void)mts_wait_finish(&caller->wait.wait, MTS_CLOSED, &wakes);
    }
    mts_mutex_unlock(&team->queue->mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
}

/* ======================================================================= */
/* A free member                                                           */
/* ======================================================================= */

static bool is_free(const mts_Member *member)
{
  const uintptr_t word = atomic_load(&member->state->lock.word);
  return mts_lockword_holder(word) == 0 && !mts_lockword_is_ending(word) &&
         !atomic_load(&member->is_kept);
}

/* One that is free, an idle one if there is one; or NULL. */
static mts_Member *find_free(mts_Team *team) MTS_REQUIRES(team->queue->mutex)
{
  size_t i;
  if (team->idle && is_free(team->idle))
    return team->idle;
  for (i = 0; i < team->count; i++) {
    mts_Member *member = &team->members[team->next++ % team->count];
    if (is_free(member))
      return member;
  }
  return NULL;
}

/* The member that the calling thread is inside, the innermost, or NULL. */
static mts_State *find_held(const mts_Team *team)
{
  mts_State *s = atomic_load(&mts_self.held);
  while (s && s->team != team)
    s = s->outer_held;
  return s;
}

bool mts_teamcall_runs_elsewhere(const mts_State *pool)
{
  return pool->team->has_own_threads && !find_held(pool->team);
}

/* Takes a member if nobody waits for one.  Returns: MTS_OK, MTS_BUSY,
** MTS_CLOSED. */
static mts_Status take_free(mts_Caller *caller)
{
  mts_Team *team = caller->pool->team;
  mts_Member *member;
  mts_Status status = MTS_OK;
  mts_mutex_lock(&team->queue->mutex);
  if (atomic_load(&team->queue->is_closed))
    status = MTS_CLOSED;
  else if (!team->has_own_threads &&
           (!team->first_caller || caller->was_refused) &&
           (member = find_free(team)) != NULL)
    keep_for(team, member, caller);
  else if ((caller->state = find_held(team)) != NULL)
    mts_state_retain(caller->state);
  else
    status = MTS_BUSY;
  mts_mutex_unlock(&team->queue->mutex);
  return status;
}

/*
** Has all members report when they are left.
** Returns: whether one, which is not kept, was not held.
*/
static bool request_all(mts_State *pool)
{
  mts_State *s;
  size_t i;
  bool has_free = false;
  for (i = 0; (s = mts_team_keep_member(pool, i)) != NULL; i++) {
    if (!mts_lock_request(&s->lock) && is_free(mts_team_member_of(s)))
      has_free = true;
    mts_state_release(s);
  }
  return has_free;
}

/* Takes a free member for the caller, if that is the first in line. */
static bool take_as_first(mts_Caller *caller, bool *is_first)
{
  mts_Team *team = caller->pool->team;
  mts_Member *member = NULL;
  mts_mutex_lock(&team->queue->mutex);
  *is_first = team->first_caller == caller;
  if (*is_first && (member = find_free(team)) != NULL) {
    leave_line(team, caller);
    keep_for(team, member, caller);
  }
  mts_mutex_unlock(&team->queue->mutex);
  return member != NULL;
}

/*
** Enters the line, and looks again.
** Returns: MTS_OK if it has got a member by itself, and nobody knows the
** caller; MTS_BUSY; MTS_CLOSED.
*/
static mts_Status stand_in_line(mts_Caller *caller)
{
  mts_Team *team = caller->pool->team;
  bool is_first = true, is_closed, has_taken = false;
  mts_mutex_lock(&team->queue->mutex);
  is_closed = atomic_load(&team->queue->is_closed);
  if (!is_closed)
    enter_line(team, caller);
  mts_mutex_unlock(&team->queue->mutex);
  if (is_closed)
    return MTS_CLOSED;
  while (!has_taken && is_first && request_all(caller->pool))
    has_taken = take_as_first(caller, &is_first);
  return has_taken ? MTS_OK : MTS_BUSY;
}

/*
** Whether the caller, which is not in line any more, has a member.
** Locks: takes that of the queue, after which nobody else knows the caller.
*/
static bool quit_line(mts_Caller *caller)
{
  mts_Team *team = caller->pool->team;
  bool has_member;
  mts_mutex_lock(&team->queue->mutex);
  if (caller->is_listed)
    leave_line(team, caller);
  has_member = caller->state != NULL;
  mts_mutex_unlock(&team->queue->mutex);
  return has_member;
}

/* Waits for a member.  Returns: MTS_OK, and as mts_wait_sleep. */
static mts_Status wait_in_line(mts_Caller *caller)
{
  const mts_Patience patience = mts_patience_until(caller->deadline);
  mts_Status status = mts_wait_begin(&caller->wait, &patience);
  if (status != MTS_OK)
    return status;
  status = stand_in_line(caller);
  if (status == MTS_BUSY)
    status = mts_wait_sleep(&caller->wait, &patience, caller->pool, NULL);
  if (quit_line(caller))
    status = MTS_OK;
  mts_wait_end(&caller->wait, status);
  return status;
}

/* ======================================================================= */
/* The call                                                                */
/* ======================================================================= */

/* Gets a member.  Returns: as mts_state_enter. */
static mts_Status get_member(mts_Caller *caller)
{
  mts_Status status;
  caller->state = NULL;
  caller->has_kept = caller->is_listed = false;
  status = take_free(caller);
  if (status == MTS_BUSY && caller->deadline > 0)
    status = wait_in_line(caller);
  return status;
}

/* Others can have the member: the first in line, or when it is left. */
static void give_back(mts_Caller *caller)
{
  mts_State *s = caller->state;
  mts_Team *team = s->team;
  mts_Queue *queue = atomic_load(&s->queue);
  mts_Member *member = mts_team_member_of(s);
  bool has_callers, has_requests;
  mts_mutex_lock(&team->queue->mutex);
  atomic_store(&member->is_kept, false);
  has_callers = team->first_caller != NULL;
  has_requests = mts_team_has_requests(team);
  if (!has_requests)
    mts_team_list(team, member);
  mts_mutex_unlock(&team->queue->mutex);
  if (has_callers && !mts_lock_request(&s->lock))
    (void)mts_teamcall_offer(s);
  if (mts_queueturn_unblock(queue))
    mts_worker_schedule(queue);
  else if (has_requests)
    (void)mts_queueturn_schedule(queue);
}

size_t mts_teamcall_count(const mts_State *pool)
{
  mts_Team *team = pool->team;
  const mts_Caller *caller;
  size_t count = 0;
  mts_mutex_lock(&team->queue->mutex);
  for (caller = team->first_caller; caller; caller = caller->next)
    count++;
  mts_mutex_unlock(&team->queue->mutex);
  return count;
}

/* What a call is given, and where its results go. */
typedef struct CallData {
  lua_State *L;
  const mts_Values *args; /* or NULL: the message */
  const mts_Message *message;
  mts_Results *results;
  mts_Failure *failure;
} CallData;

static mts_Status call_member(mts_State *s, const CallData *data,
                              double timeout)
{
  if (data->args)
    return mts_call(s, data->args, timeout, data->results, data->failure);
  return mts_call_deep(s, data->L, data->message, timeout, data->results,
                       data->failure);
}

/* In a child process: calls any member that is not busy. */
static mts_Status call_in_child(mts_State *pool, const CallData *data,
                                double timeout)
{
  const mts_Team *team = pool->team;
  mts_Status status = MTS_BUSY;
  size_t i;
  if (mts_lock_is_closed(&pool->lock))
    return MTS_CLOSED;
  for (i = 0; status == MTS_BUSY && i < team->count; i++)
    status = call_member(team->members[i].state, data, 0);
  if (status == MTS_BUSY && timeout > 0)
    status = call_member(team->members[0].state, data, timeout);
  return status;
}

static mts_Status call_any(mts_State *pool, const CallData *data,
                           double timeout)
{
  mts_Caller caller = {
      .pool = pool, .deadline = timeout > 0 ? mts_clock_deadline(timeout) : 0};
  mts_Status status;
  bool is_again;
  if (mts_worker_is_forked())
    return call_in_child(pool, data, timeout);
  do {
    status = get_member(&caller);
    if (status != MTS_OK)
      break;
    status = call_member(caller.state, data, 0);
    is_again = status == MTS_BUSY;
    caller.was_refused = is_again;
    if (caller.has_kept && !mts_worker_is_forked())
      give_back(&caller);
    mts_state_release(caller.state);
  } while (is_again);
  return status;
}

mts_Status mts_teamcall_call(mts_State *pool, lua_State *L,
                             const mts_Message *message, double timeout,
                             mts_Results *results, mts_Failure *failure)
{
  const CallData data = {L, NULL, message, results, failure};
  return call_any(pool, &data, timeout);
}

mts_Status mts_teamcall_call_plain(mts_State *pool, const mts_Values *args,
                                   double timeout, mts_Results *results,
                                   mts_Failure *failure)
{
  const CallData data = {args->L, args, NULL, results, failure};
  return call_any(pool, &data, timeout);
}
