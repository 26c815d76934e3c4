/*
** blocker.c - what has to go on before a request is answered
**
** One step of the way that the wait graph follows:
**
** - A request whose answer is deferred is answered as its source.
** - The task of a request that is suspended waits for a future, or for room:
**   that is, for the begin of a request to another state; or for something
**   that need not be followed: a promise, a point in time.  Besides, it goes
**   on only if no thread holds the state, and if, option tasks = 1, no later
**   request keeps it.
** - A request that runs, or is just beginning or ending: the thread that holds
**   the state.
** - One to a pool that has not begun, and a call of a pool: any member.
** - One that has not begun: the thread that holds the state; or, if there is
**   none, a suspended task that keeps others from beginning there.
**
** Locks: that of the queue of the state, a leaf.
*/
#include "sched/blocker.h"

#include "sched/deferral.h"
#include "sched/queue.h"
#include "sched/task.h"
#include "sched/team.h"

/* So many tasks of a state that wait for room are looked at. */
#define MOST_HINDRANCES 100

static void set_request(mts_Blocker *blocker, const mts_Request *request)
{
  blocker->request = request;
  blocker->state = request->future.state;
}

/* A task that keeps requests of its state from beginning, or NULL. */
static const mts_Task *find_hindrance(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  if (queue->tasks.room_waits == 0)
    return NULL;
  while (task && !task->pending.sender)
    task = task->next;
  return task;
}

/*
** The suspended task that keeps the state (option tasks = 1), or NULL.  Who
** holds the state does not matter then: that can be a fork of the task.
*/
static const mts_Task *find_keeper(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  if (queue->tasks.limit != 1)
    return NULL;
  while (task && task->is_fork)
    task = task->next;
  return task;
}

/* The thread that has to leave the state before others get in, or 0. */
static uintptr_t find_holder(const mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  const mts_State *s = queue->state;
  const uintptr_t holder = mts_lockword_holder(atomic_load(&s->lock.word));
  if (holder == mts_lock_parker(&s->lock))
    return 0;
  if (holder == 0 && s->is_host && !queue->host_wait)
    return atomic_load(&s->own_thread); /* which alone runs its forks */
  return holder;
}

/*
** What keeps a request or call from beginning, or else that task, a fork, from
** beginning, or one from going on.
** needs_rest: a request that does not begin while a task waits for room.
*/
static void block_begin(const mts_Queue *queue, const mts_Task *own,
                        bool needs_rest, mts_Blocker *blocker)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = NULL;
  if (mts_lockword_is_ending(atomic_load(&queue->state->lock.word)))
    return; /* it fails */
  if (!own || own->owner != mts_queue_serial(queue))
    task = find_keeper(queue);
  if (!task && needs_rest && !own)
    task = find_hindrance(queue);
  if (!task)
    blocker->thread = find_holder(queue);
  if (task && task->request)
    set_request(blocker, task->request);
}

/* What the task waits for. */
static void block_wait(const mts_Task *task, mts_Blocker *blocker)
{
  const mts_Pending *pending = &task->pending;
  if (atomic_load(&task->wait.outcome) != MTS_WAIT_OPEN ||
      pending->deadline != MTS_FOREVER)
    return;
  if (pending->future && pending->future->state)
    set_request(blocker, (const mts_Request *)pending->future);
  else if (pending->sender && atomic_load(&pending->sender->is_listed)) {
    blocker->request = pending->sender->request;
    blocker->state = pending->state;
  }
}

/* What has to go on before the task, which is suspended or ready, does. */
static void block_task(const mts_Queue *queue, const mts_Task *task,
                       mts_Blocker *blocker) MTS_REQUIRES(queue->mutex)
{
  block_wait(task, blocker);
  if (!blocker->request)
    block_begin(queue, task, false, blocker);
}

/* Any member of the pool can begin that. */
static void block_pool(const mts_State *pool, const mts_Request *request,
                       mts_Blocker *blocker)
{
  if (!mts_lockword_is_ending(atomic_load(&pool->lock.word))) {
    blocker->is_pool = true;
    blocker->state = pool;
    blocker->request = request;
  }
}

/* Who is told of all that keeps something from beginning or going on. */
typedef struct Visitor {
  void (*visit)(void *data, const mts_Blocker *blocker);
  void *data;
} Visitor;

static void visit_task(const Visitor *visitor, const mts_Task *task)
{
  mts_Blocker blocker = {0, NULL, NULL, false};
  if (task && task->request) {
    set_request(&blocker, task->request);
    visitor->visit(visitor->data, &blocker);
  }
}

/*
** All that keeps a request, call or task, as in block_begin, from beginning or
** going on: the keeper, the holder, and those that wait for room.
*/
static void visit_all(const mts_Queue *queue, const mts_Task *own,
                      bool needs_rest, const Visitor *visitor)
    MTS_REQUIRES(queue->mutex)
{
  mts_Blocker holder = {0, NULL, NULL, false};
  const mts_Task *task = needs_rest && !own ? find_hindrance(queue) : NULL;
  size_t left = MOST_HINDRANCES;
  if (mts_lockword_is_ending(atomic_load(&queue->state->lock.word)))
    return;
  if (!own || own->owner != mts_queue_serial(queue))
    visit_task(visitor, find_keeper(queue));
  holder.thread = find_holder(queue);
  visitor->visit(visitor->data, &holder);
  for (; task && left > 0; task = task->next)
    if (task->pending.sender) {
      visit_task(visitor, task);
      left--;
    }
}

void mts_blocker_find_others(const mts_State *asked, const void *waited,
                             void (*visit)(void *data, const mts_Blocker *),
                             void *data)
{
  const Visitor visitor = {visit, data};
  const mts_Request *request = waited;
  const mts_State *s = request ? request->future.state : asked;
  mts_Queue *queue = atomic_load(&s->queue);
  if (!queue || mts_state_is_pool(s))
    return;
  mts_mutex_lock(&queue->mutex);
  if (!request && queue->tasks.limit == 1)
    visit_all(queue, NULL, false, &visitor);
  else if (request && request->task)
    visit_all(queue, request->task, false, &visitor);
  else if (request && !request->has_begun && !request->is_deferred &&
           (request->is_send || !mts_future_is_answered(&request->future)))
    visit_all(queue, NULL, !request->is_call, &visitor);
  mts_mutex_unlock(&queue->mutex);
}

bool mts_blocker_find_member(const mts_State *pool, const void *request,
                             size_t index, mts_Blocker *blocker)
{
  mts_State *s = mts_team_find_member(pool, index);
  mts_Queue *queue = s ? atomic_load(&s->queue) : NULL;
  if (!s)
    return false;
  mts_mutex_lock(&queue->mutex);
  block_begin(queue, NULL, request != NULL, blocker);
  mts_mutex_unlock(&queue->mutex);
  return true;
}

bool mts_blocker_find(const mts_State *asked, const void *waited,
                      const void *word, mts_Blocker *blocker)
{
  const mts_Request *request = waited;
  const mts_State *s = request ? request->future.state : asked;
  mts_Queue *queue = atomic_load(&s->queue);
  const mts_Future *source;
  bool is_found = true;
  if (!queue)
    return false;
  if (mts_state_is_pool(s)) {
    if (!request || request->is_send ||
        !mts_future_is_answered(&request->future))
      block_pool(s, request, blocker);
    return true;
  }
  mts_mutex_lock(&queue->mutex);
  if (!request) {
    is_found = word == &s->lock.word && queue->tasks.limit == 1 &&
               !mts_lockword_is_ending(atomic_load(&s->lock.word));
    if (is_found)
      block_begin(queue, NULL, false, blocker);
  }
  else if (request->is_deferred) {
    source = mts_deferral_source(request);
    if (source && source->state)
      set_request(blocker, (const mts_Request *)source);
  }
  else if (request->task && request->task->has_begun)
    block_task(queue, request->task, blocker);
  else if (!request->is_send && mts_future_is_answered(&request->future))
    ; /* nothing */
  else if (request->has_begun)
    blocker->thread = mts_lockword_holder(atomic_load(&s->lock.word));
  else
    block_begin(queue, request->task, !request->is_call, blocker);
  mts_mutex_unlock(&queue->mutex);
  return is_found;
}
