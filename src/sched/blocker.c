/*
** blocker.c - what has to go on before a request is answered
**
** One step of the ways that the wait graph follows; all of them are needed:
**
** - A request whose answer is deferred is answered as its source.
** - A suspended task, of a request or of a notice, waits for a future, or for
**   room: that is, for the begin of a request to another state; or for
**   something that need not be followed: a promise, a point in time.  Besides,
**   it goes on only if no thread holds the state, and if, option tasks = 1, no
**   later request keeps it.
** - A request that runs, or is just beginning or ending: the thread that holds
**   the state.
** - One that has not begun, and a call: the thread that holds the state; a
**   task that keeps it (tasks = 1); and, but for a call, all tasks that wait
**   for room.
** - One to a pool that has not begun, and a call of a pool: any member.
**
** Locks: that of the queue of the state, a leaf.
*/
#include "sched/blocker.h"

#include "core/waitgraph.h"
#include "sched/deferral.h"
#include "sched/queue.h"
#include "sched/task.h"
#include "sched/team.h"

/* So many tasks of a state that wait for room are looked at. */
#define MOST_HINDRANCES 100

/* Who is told. */
typedef struct Visitor {
  void (*visit)(void *data, const mts_Blocker *blocker);
  void *data;
} Visitor;

static void visit(const Visitor *visitor, mts_BlockerKind kind,
                  const void *request, const mts_State *s)
{
  const mts_Blocker blocker = {kind, 0, request, s};
  visitor->visit(visitor->data, &blocker);
}

static void visit_request(const Visitor *visitor, const mts_Request *request)
{
  visit(visitor, MTS_BLOCKER_REQUEST, request, request->future.state);
}

static void visit_thread(const Visitor *visitor, uintptr_t thread)
{
  const mts_Blocker blocker = {MTS_BLOCKER_THREAD, thread, NULL, NULL};
  if (thread != 0)
    visitor->visit(visitor->data, &blocker);
}

static void visit_task(const Visitor *visitor, const mts_Task *task)
{
  if (task->request)
    visit_request(visitor, task->request);
  else
    visit(visitor, MTS_BLOCKER_TASK, task, task->queue->state);
}

/* ======================================================================= */
/* A state                                                                 */
/* ======================================================================= */

/* The suspended task that keeps the state (option tasks = 1). */
static void visit_keeper(const mts_Queue *queue, const Visitor *visitor)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  if (queue->tasks.limit != 1)
    return;
  while (task && task->is_fork)
    task = task->next;
  if (task)
    visit_task(visitor, task);
}

/*
** The thread that has to leave the state before others get in.  Forks of a
** host are run by its own thread alone.
*/
static void visit_holder(const mts_Queue *queue, const Visitor *visitor)
    MTS_REQUIRES(queue->mutex)
{
  const mts_State *s = queue->state;
  const uintptr_t holder = mts_lockword_holder(atomic_load(&s->lock.word));
  if (holder == 0 && s->is_host && !queue->host_wait)
    visit_thread(visitor, atomic_load(&s->own_thread));
  else if (holder != mts_lock_parker(&s->lock))
    visit_thread(visitor, holder);
}

/* The tasks that keep requests of their state from beginning. */
static void visit_hindrances(const mts_Queue *queue, const Visitor *visitor)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  size_t left = MOST_HINDRANCES;
  if (queue->tasks.room_waits == 0)
    return;
  for (; task && left > 0; task = task->next)
    if (task->pending.sender) {
      visit_task(visitor, task);
      left--;
    }
}

/*
** What keeps a request or call from beginning, or else that task, a fork, from
** beginning, or one from going on.
** needs_rest: a request that does not begin while a task waits for room.
*/
static void visit_state(const mts_Queue *queue, const mts_Task *own,
                        bool needs_rest, const Visitor *visitor)
    MTS_REQUIRES(queue->mutex)
{
  if (mts_lockword_is_ending(atomic_load(&queue->state->lock.word)))
    return; /* it fails */
  if (!own || own->owner != mts_queue_serial(queue))
    visit_keeper(queue, visitor);
  if (needs_rest && !own)
    visit_hindrances(queue, visitor);
  visit_holder(queue, visitor);
}

/* ======================================================================= */
/* A request                                                               */
/* ======================================================================= */

/* What the task waits for. */
static void visit_wait(const mts_Task *task, const Visitor *visitor)
{
  const mts_Pending *pending = &task->pending;
  if (atomic_load(&task->wait.outcome) != MTS_WAIT_OPEN ||
      pending->deadline != MTS_FOREVER)
    return;
  if (pending->future && pending->future->state)
    visit_request(visitor, (const mts_Request *)pending->future);
  else if (pending->sender && atomic_load(&pending->sender->is_listed))
    visit(visitor, MTS_BLOCKER_REQUEST, pending->sender->request,
          pending->state);
}

/* What a task needs that is suspended, or about to go on. */
static void visit_needs(const mts_Queue *queue, const mts_Task *task,
                        const Visitor *visitor) MTS_REQUIRES(queue->mutex)
{
  visit_wait(task, visitor);
  visit_state(queue, task, false, visitor);
}

/* The same; nothing, if it is not suspended any more. */
static void visit_suspended(const mts_Queue *queue, const void *sought,
                            const Visitor *visitor) MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  while (task && task != sought)
    task = task->next;
  if (task)
    visit_needs(queue, task, visitor);
}

static void visit_asked(const mts_Queue *queue, const mts_Request *request,
                        const Visitor *visitor) MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = request->task;
  if (request->is_deferred) {
    const mts_Future *source = mts_deferral_source(request);
    if (source && source->state)
      visit_request(visitor, (const mts_Request *)source);
  }
  else if (task && task->has_begun)
    visit_needs(queue, task, visitor);
  else if (!request->is_send && mts_future_is_answered(&request->future))
    ; /* nothing */
  else if (request->has_begun)
    visit_thread(visitor,
                 mts_lockword_holder(atomic_load(&queue->state->lock.word)));
  else
    visit_state(queue, task, !request->is_call, visitor);
}

static void visit_pool(const mts_State *pool, const mts_Request *request,
                       const Visitor *visitor)
{
  if (!mts_lockword_is_ending(atomic_load(&pool->lock.word)))
    visit(visitor, MTS_BLOCKER_POOL, request, pool);
}

static void visit_members(const mts_Blocker *pool, const Visitor *visitor)
{
  const mts_State *s;
  size_t i;
  for (i = 0; (s = mts_team_find_member(pool->state, i)) != NULL; i++)
    visit(visitor, MTS_BLOCKER_MEMBER, pool->request, s);
}

void mts_blocker_find_ways(const mts_Blocker *blocker,
                           void (*function)(void *data, const mts_Blocker *),
                           void *data)
{
  const Visitor visitor = {function, data};
  const mts_Request *request = blocker->request;
  const mts_State *s = blocker->kind == MTS_BLOCKER_REQUEST
                           ? request->future.state
                           : blocker->state;
  mts_Queue *queue = atomic_load(&s->queue);
  if (blocker->kind == MTS_BLOCKER_POOL)
    visit_members(blocker, &visitor);
  else if (mts_state_is_pool(s)) {
    if (request->is_send || !mts_future_is_answered(&request->future))
      visit_pool(s, request, &visitor);
  }
  else if (queue) {
    mts_mutex_lock(&queue->mutex);
    if (blocker->kind == MTS_BLOCKER_MEMBER)
      visit_state(queue, NULL, request != NULL, &visitor);
    else if (blocker->kind == MTS_BLOCKER_TASK)
      visit_suspended(queue, blocker->request, &visitor);
    else
      visit_asked(queue, request, &visitor);
    mts_mutex_unlock(&queue->mutex);
  }
}

bool mts_blocker_find_ways_in(const mts_State *s, const void *word,
                              void (*function)(void *data,
                                               const mts_Blocker *),
                              void *data)
{
  const Visitor visitor = {function, data};
  mts_Queue *queue = atomic_load(&s->queue);
  if (queue && mts_state_is_pool(s)) {
    visit_pool(s, NULL, &visitor);
    return true;
  }
  if (!queue || word != &s->lock.word || queue->tasks.limit != 1 ||
      mts_lockword_is_ending(atomic_load(&s->lock.word)))
    return false;
  mts_mutex_lock(&queue->mutex);
  visit_state(queue, NULL, false, &visitor);
  mts_mutex_unlock(&queue->mutex);
  return true;
}
