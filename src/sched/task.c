/*
** task.c - tasks of a state: coroutines that run requests and forks
**
** A task is a coroutine and what it answers.  It is in one of four places:
**
** - idle: it has ended; some are kept to be used again;
** - running: the thread that holds the state runs it;
** - suspended: it waits, and no thread runs it;
** - ready: its wait is over, or it is a fork that has not begun; a turn of the
**   queue runs it.
**
** A state with ready tasks has a queue that is scheduled, or blocked.
**
** The wait of a suspended task is a record that others find: in the list of
** the future, among the senders of a queue, among those who look for a state,
** in the heap of the timers, and, to cancel it or to close the state, by the
** list of suspended tasks.  It is made known there by the thread that has run
** the task, when the coroutine has yielded and while that thread still holds
** the state.  So the wait can be over at any moment, but nobody resumes the
** coroutine before the thread lets go of the state.  (A yield that fails has
** made nothing known.)
**
** Who changes the outcome of the wait ends it, and makes the task ready, which
** is the last time that it touches the task.  Before the task goes on, the
** wait is removed from wherever it is still known.  Each of these places has a
** mutex, under which the outcome is changed there; so when it is removed,
** nobody is at it, and nobody comes later: an answer that is late finds
** nothing, and cannot end the next wait of the task.
**
** A task is cancelled by who calls mts_future_cancel; see future.c.
**
** When the state closes, tasks are taken out of both lists, after their waits
** were ended as those of a state that is closing.  If another thread has ended
** such a wait and the task is not ready yet, that is waited for: it takes a
** few instructions, in which that thread waits for nothing but the mutex of
** the queue.
*/
#include "sched/task.h"

#include <stdlib.h>

#include "core/interrupt.h"
#include "core/thread.h"
#include "core/trace.h"
#include "luaapi/protect.h"
#include "sched/queue.h"
#include "sched/team.h"
#include "sched/worker.h"

/* Tasks that are kept for each state. */
#define MOST_IDLE 64

/* ======================================================================= */
/* Tasks that run nothing                                                  */
/* ======================================================================= */

/*
** Runs in the state: data is the task that gets a coroutine.  What keeps the
** list of free references needs memory when the first one is given back, and
** none later.
*/
static int make_coroutine(lua_State *L, void *data)
{
  mts_Task *task = data;
  task->co = lua_newthread(L);
  if (!task->queue->tasks.has_free_list) {
    lua_pushvalue(L, -1);
    luaL_unref(L, LUA_REGISTRYINDEX, luaL_ref(L, LUA_REGISTRYINDEX));
    task->queue->tasks.has_free_list = true;
  }
  task->reference = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static void go_on(mts_Wait *wait);

/* Makes a coroutine for the task.  Returns: false if there is no memory. */
static bool give_coroutine(mts_Task *task, lua_State *L)
{
  bool is_made;
  mts_protect_push(L);
  is_made = mts_protect(L, make_coroutine, task, 0, 0, 0) == LUA_OK;
  if (!is_made)
    lua_pop(L, 1);
  return is_made;
}

mts_Task *mts_task_new(mts_Queue *queue, lua_State *L, bool is_fork)
{
  mts_Task *task = is_fork ? NULL : queue->tasks.idle;
  if (task) {
    queue->tasks.idle = task->next;
    queue->tasks.idle_count--;
  }
  else {
    task = calloc(1, sizeof(*task));
    if (!task)
      return NULL;
    task->queue = queue;
    task->wait.go_on = go_on;
    mts_timer_init(&task->timer, &task->wait);
    if (!give_coroutine(task, L)) {
      free(task);
      return NULL;
    }
  }
  task->request = NULL;
  task->trace = 0;
  task->has_begun = task->quits = task->is_weak = false;
  task->is_fork = is_fork;
  task->is_waiting = task->has_woken = false;
  task->owner = mts_self.task && mts_self.task->queue == queue
                    ? mts_self.task->owner
                    : 0;
  return task;
}

void mts_task_retire(mts_Task *task, bool is_idle, lua_State *L)
{
  mts_Tasks *tasks = &task->queue->tasks;
  if (is_idle && tasks->idle_count < MOST_IDLE) {
    task->next = tasks->idle;
    tasks->idle = task;
    tasks->idle_count++;
    return;
  }
  luaL_unref(L, LUA_REGISTRYINDEX, task->reference);
  free(task);
}

void mts_task_unkeep(mts_Task *task, lua_State *L)
{
  task->is_weak = true;
  lua_pushlightuserdata(L, task->co); /* the reference stays its own */
  lua_rawseti(L, LUA_REGISTRYINDEX, task->reference);
}

void mts_task_keep(lua_State *L, int reference)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
  if (lua_islightuserdata(L, -1) &&
      lua_touserdata(L, -1) == lua_tothread(L, -2)) {
    lua_pop(L, 1);
    lua_rawseti(L, LUA_REGISTRYINDEX, reference);
  }
  else
    lua_pop(L, 2);
}

void mts_task_free_idle(mts_Queue *queue)
{
  mts_Task *task = queue->tasks.idle;
  while (task) {
    mts_Task *next = task->next;
    free(task);
    task = next;
  }
  queue->tasks.idle = NULL;
}

/* ======================================================================= */
/* The lists                                                               */
/* ======================================================================= */

static void link_suspended(mts_Queue *queue, mts_Task *task)
    MTS_REQUIRES(queue->mutex)
{
  mts_Tasks *tasks = &queue->tasks;
  task->previous = NULL;
  task->next = tasks->suspended;
  if (tasks->suspended)
    tasks->suspended->previous = task;
  tasks->suspended = task;
  if (task->request)
    task->request->task = task;
  if (task->pending.sender)
    tasks->room_waits++;
}

/* Whether the code of the task was cancelled, and does not know yet. */
static bool take_untold(const mts_Task *task)
{
  return task->request && atomic_load(&task->request->is_untold) &&
         atomic_exchange(&task->request->is_untold, false);
}

static void unlink_suspended(mts_Queue *queue, mts_Task *task)
    MTS_REQUIRES(queue->mutex)
{
  if (task->next)
    task->next->previous = task->previous;
  if (task->previous)
    task->previous->next = task->next;
  else
    queue->tasks.suspended = task->next;
}

static void add_ready(mts_Queue *queue, mts_Task *task)
    MTS_REQUIRES(queue->mutex)
{
  mts_Tasks *tasks = &queue->tasks;
  task->next = NULL;
  if (tasks->last_ready)
    tasks->last_ready->next = task;
  else
    tasks->first_ready = task;
  tasks->last_ready = task;
  mts_queue_note_more(queue, true);
}

/*
** The wait of a suspended task is over: makes it ready.
*/
static void go_on(mts_Wait *wait)
{
  mts_Task *task = (mts_Task *)wait;
  mts_Queue *queue = task->queue;
  bool is_runnable;
  mts_mutex_lock(&queue->mutex);
  unlink_suspended(queue, task);
  add_ready(queue, task);
  is_runnable =
      !atomic_load(&queue->is_closed) && mts_queue_make_runnable(queue);
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
}

/*
** The ready task that goes on next, or NULL; *previous: the one before.  While
** a request keeps the state (tasks = 1), only its own forks go on.
*/
static mts_Task *find_ready(const mts_Queue *queue, mts_Task **previous)
    MTS_REQUIRES(queue->mutex)
{
  mts_Task *task = queue->tasks.first_ready;
  *previous = NULL;
  if (mts_queue_keeps_state(queue))
    while (task && task->owner != queue->tasks.serial) {
      *previous = task;
      task = task->next;
    }
  return task;
}

bool mts_task_has_ready(const mts_Queue *queue)
{
  mts_Task *previous;
  return find_ready(queue, &previous) != NULL;
}

size_t mts_task_count_ready(const mts_Queue *queue, size_t limit)
{
  const mts_Task *task = queue->tasks.first_ready;
  size_t count = 0;
  for (; task && count < limit; task = task->next)
    count++;
  return count;
}

mts_Task *mts_task_take_ready(mts_Queue *queue)
{
  mts_Tasks *tasks = &queue->tasks;
  mts_Task *previous;
  mts_Task *task = find_ready(queue, &previous);
  if (task) {
    if (previous)
      previous->next = task->next;
    else
      tasks->first_ready = task->next;
    if (!task->next)
      tasks->last_ready = previous;
    if (task->request)
      atomic_store_explicit(&task->request->task, NULL, memory_order_relaxed);
    if (!task->has_begun)
      tasks->fresh--;
    else if (task->pending.sender)
      tasks->room_waits--;
  }
  return task;
}

/* Tasks that have not ended are closed before the state is. */
static void keep_for_closing(mts_Queue *queue)
{
  if (!queue->tasks.is_kept) {
    queue->tasks.is_kept = true;
    mts_state_keep_for_closing(queue->state);
  }
}

bool mts_task_add_fork(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  bool is_runnable = false, is_closed;
  keep_for_closing(queue);
  mts_mutex_lock(&queue->mutex);
  is_closed = atomic_load(&queue->is_closed);
  if (!is_closed) {
    add_ready(queue, task);
    queue->tasks.fresh++;
    task->request->task = task;
    task->request->is_fork = true;
    atomic_fetch_add(&queue->tasks.forks, 1);
    is_runnable = mts_queue_make_runnable(queue);
  }
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
  return !is_closed;
}

/* ======================================================================= */
/* Suspend and go on                                                       */
/* ======================================================================= */

/* Ends the wait, which is known to others, unless it is over by now. */
static void end_wait(mts_Task *task, mts_Status reason)
{
  if (mts_wait_decide(&task->wait, reason))
    go_on(&task->wait);
}

/* Whether the request is a fork of the state, held here, that is to begin. */
static bool is_fresh_fork(const mts_Request *request, const mts_State *host)
{
  const mts_Task *task = request->task;
  return request->future.state == host && request->is_fork && task &&
         !task->has_begun && host->task_limit != 1;
}

/*
** Whether it is clear that what a task of the host waits for is going to
** happen: a request that nothing keeps from beginning.  If that changes, those
** who wait then look where the way leads.
*/
static bool is_harmless(const mts_Pending *pending, const mts_State *host)
{
  const mts_Request *request = (const mts_Request *)pending->future;
  const mts_State *s = request ? request->future.state : NULL;
  const mts_Queue *queue;
  if (pending->deadline != MTS_FOREVER)
    return true;
  if (!s) /* a promise, or room */
    return !pending->sender;
  if (is_fresh_fork(request, host))
    return true;
  if (mts_state_is_pool(s))
    return mts_team_may_begin(s);
  queue = atomic_load(&s->queue);
  return mts_lockword_holder(atomic_load(&s->lock.word)) == 0 &&
         !request->task && !atomic_load(&request->asked.source) &&
         queue->tasks.room_waits == 0;
}

/* Raises `deadlock` in the task if it waits for itself. */
static void look_for_deadlock(mts_Task *task)
{
  mts_Request *request = NULL;
  if (is_harmless(&task->pending, task->queue->state))
    return;
  mts_mutex_lock(&task->queue->mutex);
  request = task->request;
  if (request && !request->is_send)
    mts_future_retain(&request->future); /* closing can answer it */
  mts_mutex_unlock(&task->queue->mutex);
  if (request && mts_waitgraph_ends_task(task->queue->state, request,
                                         &task->wait.outcome))
    go_on(&task->wait);
  if (request && !request->is_send)
    mts_future_release(&request->future);
}

static bool is_wait_over(const mts_Task *task)
{
  return atomic_load(&task->wait.outcome) != MTS_WAIT_OPEN;
}

/* What the task waits for, for the trace. */
static unsigned trace_suspended(const mts_Task *task)
{
  const mts_Pending *pending = &task->pending;
  const mts_State *s = pending->future ? pending->future->state : NULL;
  mts_TraceWhat what = MTS_TRACE_TIME;
  if (pending->future)
    what = MTS_TRACE_ANSWER;
  else if (pending->sender) {
    what = MTS_TRACE_ROOM;
    s = pending->state;
  }
  else if (pending->search)
    what = MTS_TRACE_STATE;
  else if (pending->deadline <= 0)
    what = MTS_TRACE_TURN;
  return mts_trace_suspend(what, task->queue->state, s, task);
}

void mts_task_suspend(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  const mts_Pending *pending = &task->pending;
  mts_State *s = queue->state;
  bool is_cancelled;
  task->trace = mts_trace_is_on() ? trace_suspended(task) : 0;
  atomic_store_explicit(&task->wait.outcome, MTS_WAIT_OPEN,
                        memory_order_relaxed);
  keep_for_closing(queue);
  mts_queue_note_pause(queue);
  mts_mutex_lock(&queue->mutex);
  link_suspended(queue, task);
  is_cancelled = take_untold(task);
  mts_mutex_unlock(&queue->mutex);
  if (mts_interrupt_suspend_task(s) || is_cancelled)
    end_wait(task, MTS_CANCELLED);
  if (mts_lockword_is_ending(atomic_load(&s->lock.word)))
    end_wait(task, MTS_ENDING);
  if (!is_wait_over(task) && pending->deadline <= 0) /* others go first */
    end_wait(task, MTS_BUSY);
  if (!is_wait_over(task) && pending->deadline != MTS_FOREVER &&
      !mts_timer_start(&task->timer, pending->deadline))
    end_wait(task, MTS_NO_MEMORY);
  if (!is_wait_over(task) && pending->future &&
      !mts_future_enlist(pending->future, &task->wait))
    end_wait(task, MTS_OK);
  if (!is_wait_over(task) && pending->search &&
      !mts_registry_enlist(pending->search, &task->wait))
    end_wait(task, MTS_OK);
  if (!is_wait_over(task) && pending->sender) {
    const mts_Status status = mts_room_begin(pending->sender);
    if (status != MTS_BUSY)
      end_wait(task, status);
  }
  if (!is_wait_over(task))
    look_for_deadlock(task);
}

mts_Status mts_task_settle(mts_Task *task)
{
  const mts_Pending *pending = &task->pending;
  const mts_Status outcome = (mts_Status)atomic_load_explicit(
      &task->wait.outcome, memory_order_relaxed);
  if (pending->deadline != MTS_FOREVER && outcome != MTS_BUSY)
    mts_timer_stop(&task->timer);
  if (pending->future && outcome != MTS_OK)
    mts_future_delist(pending->future, &task->wait);
  if (pending->search)
    mts_registry_delist(pending->search);
  if (pending->sender)
    mts_room_end(atomic_load(&pending->state->queue), pending->sender);
  return outcome;
}

void mts_task_drop_pending(mts_Task *task)
{
  mts_Pending *pending = &task->pending;
  if (pending->sender) {
    mts_Request *request = pending->sender->request;
    if (!pending->sender->is_granted)
      mts_request_free(request);
    else if (pending->has_future)
      mts_future_release(&request->future);
    free(pending->sender);
  }
  free(pending->search);
  if (pending->future)
    mts_future_release(pending->future);
  if (pending->state)
    mts_state_release(pending->state);
}

bool mts_task_cancel(mts_Request *request)
{
  mts_Queue *queue = atomic_load(&request->future.state->queue);
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_Task *task;
  bool never_begins = false;
  mts_mutex_lock(&queue->mutex);
  task = request->task;
  if (task && !task->has_begun) { /* a fork */
    never_begins = true;
    task->request = NULL;
    request->task = NULL;
    atomic_fetch_sub(&queue->tasks.forks, 1);
  }
  else if (task && atomic_exchange(&request->is_untold, false) &&
           !mts_wait_finish(&task->wait, MTS_CANCELLED, &wakes))
    atomic_store(&request->is_untold, true); /* it is over: told later */
  mts_mutex_unlock(&queue->mutex);
  mts_wakes_wake(&wakes);
  if (never_begins)
    mts_future_fail(&request->future, MTS_CANCELLED);
  return task != NULL;
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

/* Makes the tasks ready whose waits are not over: they are ended now. */
static void end_waits(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  mts_Task *task = queue->tasks.suspended;
  while (task) {
    mts_Task *next = task->next;
    if (mts_wait_decide(&task->wait, MTS_ENDING)) {
      unlink_suspended(queue, task);
      add_ready(queue, task);
    }
    task = next;
  }
}

/*
** Lets a thread go on that has ended the wait of such a task.  If that was one
** for room which has been given, the sender is told now and not later.
*/
static void help_transit(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task = queue->tasks.suspended;
  mts_State *target = task->pending.sender ? task->pending.state : NULL;
  if (target)
    mts_state_retain(target);
  mts_mutex_unlock(&queue->mutex);
  if (target) {
    mts_room_tell_all(atomic_load(&target->queue));
    mts_state_release(target);
  }
  else
    mts_clock_pause();
  mts_mutex_lock(&queue->mutex);
}

mts_Request *mts_task_detach_requests(mts_Queue *queue, size_t *sends)
{
  mts_Request *requests = NULL;
  mts_Task *task;
  end_waits(queue);
  for (task = queue->tasks.first_ready; task; task = task->next) {
    mts_Request *request = task->request;
    if (!request || !task->has_begun)
      continue;
    if (request->is_send)
      ++*sends;
    else {
      request->task = NULL;
      task->request = NULL;
      request->next = requests;
      requests = request;
    }
  }
  return requests;
}

mts_Task *mts_task_take_all(mts_Queue *queue)
{
  mts_Tasks *tasks = &queue->tasks;
  mts_Task *all, *task;
  mts_mutex_lock(&queue->mutex);
  end_waits(queue);
  while (tasks->suspended) {
    help_transit(queue);
    end_waits(queue);
  }
  all = tasks->first_ready;
  tasks->first_ready = tasks->last_ready = NULL;
  tasks->fresh = 0;
  for (task = all; task; task = task->next)
    if (task->request)
      task->request->task = NULL;
  mts_mutex_unlock(&queue->mutex);
  return all;
}
