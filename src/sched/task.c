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
** What a suspended task waits for makes it ready, or who cancels it, or closes
** the state; suspend.c has the protocol.
**
** When the state closes, tasks are taken out of both lists, after their waits
** were ended as those of a state that is closing.  If another thread has ended
** such a wait and the task is not ready yet, that is waited for: it takes a
** few instructions, in which that thread waits for nothing but the mutex of
** the queue.
*/
#include "sched/task.h"

#include <stdlib.h>

#include "core/thread.h"
#include "luaapi/protect.h"
#include "sched/queueturn.h"
#include "sched/worker.h"

/* Tasks that are kept for each state; they count against a limit of memory. */
#define MOST_IDLE 64
#define MOST_IDLE_LIMITED 2

/* ======================================================================= */
/* Tasks that run nothing                                                  */
/* ======================================================================= */

/* Runs in the state: data is the task that gets a coroutine. */
static int make_coroutine(lua_State *L, void *data)
{
  mts_Task *task = data;
  task->co = lua_newthread(L);
  mts_compat_prepare_refs(L);
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
  mts_Tasks *tasks = &queue->tasks;
  mts_Task **list = is_fork || !tasks->idle ? &tasks->blank : &tasks->idle;
  mts_Task *task = *list;
  if (task) {
    *list = task->next;
    tasks->idle_count--;
  }
  else {
    task =
        calloc(1, sizeof(*task) +
                      (queue->state->time_limit ? sizeof(*task->runtime) : 0));
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
  if (queue->state->time_limit)
    mts_timelimit_reset(task->runtime, queue->state);
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

void mts_task_use_again(mts_Task *fork)
{
  mts_Tasks *tasks = &fork->queue->tasks;
  mts_Task *idle = tasks->idle;
  lua_State *co = fork->co;
  const int reference = fork->reference, count = lua_gettop(co);
  if (!idle || !mts_protect_grow(idle->co, 0, count))
    return;
  lua_xmove(co, idle->co, count);
  fork->co = idle->co;
  fork->reference = idle->reference;
  idle->co = co;
  idle->reference = reference;
  tasks->idle = idle->next;
  idle->next = tasks->blank;
  tasks->blank = idle;
}

void mts_task_retire(mts_Task *task, bool is_idle, lua_State *L)
{
  mts_Tasks *tasks = &task->queue->tasks;
  const unsigned most = task->queue->heap ? MOST_IDLE_LIMITED : MOST_IDLE;
  if (is_idle && tasks->idle_count < most) {
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

static void free_list(mts_Task **list)
{
  while (*list) {
    mts_Task *task = *list;
    *list = task->next;
    free(task);
  }
}

void mts_task_free_idle(mts_Queue *queue)
{
  free_list(&queue->tasks.idle);
  free_list(&queue->tasks.blank);
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
      !atomic_load(&queue->is_closed) && mts_queueturn_make_runnable(queue);
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
    while (task && task->owner != mts_queue_serial(queue)) {
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
    if (task->request) {
      task->request->has_begun = true;
      atomic_store_explicit(&task->request->task, NULL, memory_order_relaxed);
    }
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

/* Whether the code of the task was cancelled, and does not know yet. */
static bool take_untold(const mts_Task *task)
{
  return task->request && atomic_load(&task->request->is_untold) &&
         atomic_exchange(&task->request->is_untold, false);
}

bool mts_task_list_suspended(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  bool is_cancelled;
  keep_for_closing(queue);
  mts_mutex_lock(&queue->mutex);
  link_suspended(queue, task);
  is_cancelled = take_untold(task);
  mts_mutex_unlock(&queue->mutex);
  return is_cancelled;
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
    is_runnable = mts_queueturn_make_runnable(queue);
  }
  mts_mutex_unlock(&queue->mutex);
  if (is_runnable)
    mts_worker_schedule(queue);
  return !is_closed;
}

/* ======================================================================= */
/* Cancel                                                                  */
/* ======================================================================= */

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
static void end_task_waits(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
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
  end_task_waits(queue);
  for (task = queue->tasks.first_ready; task; task = task->next) {
    mts_Request *request = task->request;
    if (!request || !task->has_begun)
      continue;
    if (request->is_send)
      ++*sends;
    else {
      request->has_begun = false; /* no thread is at it any more */
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
  end_task_waits(queue);
  while (tasks->suspended) {
    help_transit(queue);
    end_task_waits(queue);
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
