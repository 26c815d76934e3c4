/*
** taskrun.c - a thread that holds a state runs its tasks
**
** A task runs for a stretch: from its begin, or from the end of a wait, to its
** end, or to the next wait.  During that the state knows its request as the
** task (interrupt.c), and the thread knows the task, so that code which waits
** can find it (lua/waiting.c).
**
** A child process that the code has made by fork can return here: there the
** parent answers.
**
** Takes no locks of its own.
*/
#include "sched/taskrun.h"

#include <string.h>

#include "core/call.h"
#include "core/interrupt.h"
#include "core/memory.h"
#include "core/registry.h"
#include "core/taskcall.h"
#include "core/thread.h"
#include "core/timelimit.h"
#include "core/trace.h"
#include "error.h"
#include "luaapi/yield.h"
#include "sched/deferral.h"
#include "sched/log.h"
#include "sched/queue.h"
#include "sched/suspend.h"
#include "sched/worker.h"

/* What has become of a task, when it has ended. */
typedef struct Ending {
  mts_Status status;
  mts_Failure failure; /* with MTS_RAISED */
  mts_Message results; /* with MTS_OK */
  bool is_idle;        /* the coroutine can be used again */
} Ending;

/* ======================================================================= */
/* The answer                                                              */
/* ======================================================================= */

/* Moves what there is to say of a failed request into its answer. */
static void store_failure(mts_Request *request, const mts_Failure *failure)
{
  mts_Future *future = &request->future;
  *mts_request_text(future) = failure->text;
  future->has_value = failure->has_value;
  if (failure->has_value)
    future->values = failure->value;
}

/* Whether the failure is that the request was cancelled, and nothing else. */
static bool has_ended_cancelled(const mts_State *s, const mts_Request *request,
                                const mts_Failure *failure)
{
  return !request->is_send && atomic_load(&request->is_cancelled) &&
         !failure->has_value &&
         mts_error_is_raised_by(&failure->text, s, MTS_CANCELLED);
}

/* The state, which is about to quit, takes no more requests. */
static void refuse_all(mts_State *s)
{
  mts_registry_withdraw(s);
  mts_state_fail_requests(s);
}

/* The request has ended so. */
static void answer(mts_Queue *queue, mts_Request *request, Ending *ending)
{
  mts_State *s = queue->state;
  mts_Future *future = &request->future;
  mts_Status status = ending->status;
  if (status == MTS_RAISED &&
      has_ended_cancelled(s, request, &ending->failure)) {
    mts_failure_close(&ending->failure);
    status = MTS_CANCELLED;
  }
  mts_codec_free(&future->values);
  if (status == MTS_DEFERRED) {
    mts_queue_note_deferred(queue);
    mts_queue_end_request(queue, request->is_fork);
    mts_deferral_begin(request, ending->failure.deferral);
    return;
  }
  future->status = status;
  future->values = ending->results;
  if (status != MTS_OK)
    mts_codec_free(&future->values);
  if (status == MTS_RAISED)
    store_failure(request, &ending->failure);
  else if (status != MTS_OK)
    mts_failure_close(&ending->failure);
  if (mts_lock_quits(&s->lock)) /* who gets the answer can rely on that */
    refuse_all(s);
  mts_queue_end_request(queue, request->is_fork);
  mts_future_answer(future);
}

/* The call for a notice has ended so. */
static void answer_notice(mts_Queue *queue, Ending *ending)
{
  mts_queue_end_request(queue, false);
  if (ending->status == MTS_RAISED)
    mts_log_error(queue->state, ending->failure.text.data,
                  ending->failure.text.length);
  else if (ending->status != MTS_OK)
    mts_log_error(queue->state, mts_error_no_memory,
                  strlen(mts_error_no_memory));
  mts_failure_close(&ending->failure);
}

static void end_task(mts_Queue *queue, mts_Task *task, mts_Request *request,
                     Ending *ending)
{
  if (task) {
    if (!task->is_fork &&
        (ending->status == MTS_RAISED || ending->status == MTS_NO_MEMORY))
      mts_usage_note_error(&queue->state->usage);
    if (task->quits)
      mts_lock_quit(&queue->state->lock);
    if (task->has_woken) /* an error was raised before it could go on */
      mts_suspend_drop(task);
    mts_taskcall_clear_hook(task->co);
    mts_task_retire(task, ending->is_idle, queue->state->L);
  }
  mts_memory_settle(queue->state); /* its coroutine keeps nothing any more */
  if (request)
    answer(queue, request, ending);
  else
    answer_notice(queue, ending);
}

/* ======================================================================= */
/* Stretches                                                               */
/* ======================================================================= */

/* There are limits of time: the task uses time now. */
static void begin_runtime(mts_Stretch *stretch, mts_Task *task)
{
  mts_State *s = stretch->state;
  const bool is_limited = s->time_limit != NULL;
  mts_Runtime *runtime = is_limited ? task->runtime : &stretch->unlimited;
  if (!is_limited || (task->is_fork && runtime->stage == MTS_TIME_LEFT))
    mts_timelimit_reset(runtime, s);
  mts_timelimit_open(runtime, s);
  mts_timelimit_begin(runtime);
  stretch->runtime = runtime;
}

/* Code of the task runs between these two. */
static void begin_stretch(mts_Stretch *stretch, mts_Task *task)
{
  mts_State *s = task->queue->state;
  const void *aim = task->request ? (void *)task->request : task->queue;
  mts_trace_begin(MTS_TRACE_TASK, s);
  mts_usage_begin_next(&s->usage); /* after what the thread has run before */
  mts_taskcall_enter(stretch, s, task->co);
  mts_interrupt_begin_task(s, aim);
  stretch->runtime = NULL;
  if (mts_timelimit_concerns(s))
    begin_runtime(stretch, task);
}

static void end_stretch(mts_Stretch *stretch)
{
  mts_usage_end(&stretch->state->usage); /* who gets the answer can see it */
  if (stretch->runtime) {
    mts_timelimit_pause_one(stretch->runtime);
    mts_timelimit_close(stretch->runtime);
  }
  if (atomic_load_explicit(&stretch->state->interrupt.task,
                           memory_order_relaxed)) /* it is not suspended */
    mts_interrupt_end_task(stretch->state);
  mts_taskcall_leave(stretch);
  mts_trace_end();
}

/* Whether the task was cancelled, and its code does not know that yet. */
static bool take_cancel(const mts_Task *task)
{
  mts_Request *request = task->request;
  return request && !request->is_send && atomic_load(&request->is_untold) &&
         atomic_exchange(&request->is_untold, false);
}

/* Whether it was cancelled before it begins: then it never does. */
static bool was_cancelled(const mts_Task *task)
{
  const mts_Request *request = task->request;
  return request && !request->is_send && atomic_load(&request->is_cancelled);
}

/* The results, unless the code was stopped. */
static mts_Status deliver(const mts_Stretch *stretch, const mts_Task *task,
                          mts_Message *results, mts_Failure *failure)
{
  const mts_Status status =
      mts_timelimit_judge(stretch->runtime, MTS_OK, failure);
  if (status == MTS_OK)
    return mts_taskcall_deliver(stretch, results, failure);
  lua_settop(task->co, 0);
  return status;
}

/*
** Resumes the task with the values on its coroutine.
** Returns: whether it waits now; else *ending says how it has ended.
*/
static bool run_stretch(const mts_Stretch *stretch, mts_Task *task,
                        Ending *ending)
{
  mts_Task *outer = mts_self.task;
  mts_Message *results =
      task->request && !task->request->is_send ? &ending->results : NULL;
  int result;
  mts_self.task = task;
  result = mts_taskcall_resume(stretch, task->count);
  mts_self.task = outer;
  if (result == LUA_YIELD && task->is_waiting) {
    task->count = mts_yield_count(task->co);
    return true;
  }
  if (result == LUA_OK)
    ending->status = deliver(stretch, task, results, &ending->failure);
  else {
    ending->status = mts_taskcall_report(stretch, result, results != NULL,
                                         &ending->failure, &ending->is_idle);
    ending->status = mts_timelimit_judge(stretch->runtime, ending->status,
                                         &ending->failure);
  }
  return false;
}

/* Runs the task up to its end or its next wait. */
static void run_task(mts_Task *task, mts_Stretch *stretch, Ending *ending)
{
  mts_Queue *queue = task->queue;
  const bool waits = run_stretch(stretch, task, ending);
  if (waits)
    mts_suspend_task(task);
  end_stretch(stretch);
  if (waits)
    mts_memory_settle(queue->state);
  else if (!mts_worker_is_forked()) /* else the parent answers */
    end_task(queue, task, task->request, ending);
}

static void open_ending(Ending *ending, const mts_Request *request)
{
  ending->status = MTS_OK;
  ending->is_idle = true;
  ending->results = (mts_Message){0};
  if (request)
    mts_buffer_start(&ending->results.bytes, (char *)request->space,
                     mts_request_space(request));
  mts_failure_open(&ending->failure);
}

/* ======================================================================= */
/* Begin                                                                   */
/* ======================================================================= */

/* Begins the task, whose callback gets the values of the message. */
static void begin_task(mts_Task *task, mts_Message *message, Ending *ending)
{
  mts_Queue *queue = task->queue;
  mts_Stretch stretch;
  mts_Opening opening;
  task->has_begun = true;
  mts_taskcall_copy_hook(queue->state, task->co);
  begin_stretch(&stretch, task);
  if (take_cancel(task) || was_cancelled(task))
    ending->status = MTS_CANCELLED;
  else if (!task->is_fork) {
    mts_usage_note_call(&queue->state->usage);
    ending->status = mts_taskcall_prepare(&stretch, &opening, message,
                                          &ending->failure, &task->count);
  }
  if (ending->status == MTS_OK) {
    run_task(task, &stretch, ending);
    return;
  }
  lua_settop(task->co, 0); /* of a fork */
  end_stretch(&stretch);
  if (!mts_worker_is_forked())
    end_task(queue, task, task->request, ending);
}

/* A call of a state that has a thread of its own: it does not yield. */
static void run_own_call(mts_Queue *queue, mts_Request *request,
                         Ending *ending)
{
  mts_State *s = queue->state;
  atomic_store(&mts_self.served, NULL); /* closing is refused meanwhile */
  mts_interrupt_begin_task(s, request);
  ending->status = MTS_CANCELLED;
  if (!atomic_exchange(&request->is_untold, false))
    ending->status = mts_call_entered(s, &request->future.values,
                                      &ending->results, &ending->failure);
  mts_interrupt_end_task(s);
  atomic_store(&mts_self.served, &s->lock);
  if (!mts_worker_is_forked())
    end_task(queue, NULL, request, ending);
}

void mts_taskrun_begin(mts_Queue *queue, mts_Request *request)
{
  Ending ending;
  mts_Task *task;
  open_ending(&ending, request);
  if (request->is_call) {
    run_own_call(queue, request, &ending);
    return;
  }
  task = mts_task_new(queue, queue->state->L, false);
  if (task) {
    task->request = request;
    task->owner = mts_queue_serial(queue);
    begin_task(task, &request->future.values, &ending);
  }
  else {
    ending.status = MTS_NO_MEMORY;
    mts_memory_settle(queue->state);
    end_task(queue, NULL, request, &ending);
  }
}

void mts_taskrun_begin_notice(mts_Queue *queue)
{
  Ending ending;
  mts_Task *task = mts_task_new(queue, queue->state->L, false);
  open_ending(&ending, NULL);
  if (task) {
    task->owner = mts_queue_serial(queue);
    begin_task(task, NULL, &ending);
  }
  else {
    ending.status = MTS_NO_MEMORY;
    mts_memory_settle(queue->state);
    end_task(queue, NULL, NULL, &ending);
  }
}

/* ======================================================================= */
/* Go on                                                                   */
/* ======================================================================= */

void mts_taskrun_go_on(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  mts_Stretch stretch;
  Ending ending;
  mts_Status outcome;
  if (!task->has_begun && !task->request) { /* a fork that was cancelled */
    lua_settop(task->co, 0);
    mts_queue_note_pause(queue);
    mts_task_retire(task, true, queue->state->L);
    return;
  }
  open_ending(&ending, task->request);
  if (!task->has_begun) { /* a fork */
    mts_task_use_again(task);
    begin_task(task, NULL, &ending);
    return;
  }
  mts_trace_resume(queue->state, task, task->trace);
  outcome = mts_suspend_settle(task);
  begin_stretch(&stretch, task);
  if (take_cancel(task))
    outcome = MTS_CANCELLED;
  atomic_store_explicit(&task->wait.outcome, outcome, memory_order_relaxed);
  if (task->is_weak) {
    task->is_weak = false;
    lua_pushthread(task->co);
    lua_xmove(task->co, queue->state->L, 1);
    mts_task_keep(queue->state->L, task->reference);
  }
  task->is_waiting = false;
  task->has_woken = true;
  run_task(task, &stretch, &ending);
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

/* What the code of the task was waiting for is not waited for any more. */
static void drop_wait(mts_Task *task)
{
  (void)mts_suspend_settle(task);
  mts_suspend_drop(task);
}

static void close_task(mts_Task *task)
{
  mts_Queue *queue = task->queue;
  mts_Request *request = task->request;
  if (task->has_begun) {
    mts_Stretch stretch;
    mts_trace_resume(queue->state, task, task->trace);
    drop_wait(task);
    begin_stretch(&stretch, task);
    mts_taskcall_close(&stretch);
    end_stretch(&stretch);
  }
  if (task->has_begun || request) /* else it was cancelled */
    mts_queue_end_request(queue, task->is_fork);
  mts_task_retire(task, false, queue->state->L);
  if (request)
    mts_future_fail(&request->future, MTS_CLOSED);
}

void mts_taskrun_close_all(mts_Queue *queue)
{
  mts_Task *task = mts_task_take_all(queue);
  while (task) {
    mts_Task *next = task->next;
    close_task(task);
    task = next;
  }
}
