/*
** host.c - the state of a Lua state that the module has not made
**
** A main program, a thread of another library and the like have a state, too,
** as soon as they fork, or ask for it (mtstates.here).  Until they do that,
** nobody can find it: it has their forks, and the call lock that tells which
** thread runs them.  The Lua state is that of the program, which closes it.
**
** What the state has to run is run by the thread of the program, in a turn:
** while that waits, or when the program says so.  It gets to know in one of
** three ways, which look at the same, under the mutex of the queue:
**
** - Its wait is attached to the queue: when the queue becomes runnable, the
**   wait is finished as disturbed; the thread runs a turn, and waits on.  A
**   wait inside the state is not attached.
** - The descriptor, if the program has asked for one, is raised.
** - The program just tries.
**
** Nobody but the thread of the program touches the Lua state.  So who closes
** the state takes the lock for the parker (lock.h), which counts as runnable;
** the thread of the program takes it over in its next turn.
**
** The Lua thread of the program that runs a turn is in the middle of a C
** function.  Calls and tasks need handler and callback at the base of the
** stack (call.h).  So a turn is run in a protected call, a frame, that begins
** with them.  Hooks of the program run at its begin and end: they can raise
** errors.
**
** Invariant: with the mutex free, and nobody about to call mts_host_wake, the
** descriptor is raised if, and only if, there is something to run and no turn
** is in progress: what runs there can have a loop of its own.
**
** In a child process after a fork a queue is not touched, as in serve.c; the
** descriptor stays open there until the process ends.
**
** Locks: that of the queue.
*/
#include "sched/host.h"

#include <stdlib.h>

#include "core/call.h"
#include "core/registry.h"
#include "core/thread.h"
#include "error.h"
#include "luaapi/protect.h"
#include "sched/queueturn.h"
#include "sched/serve.h"
#include "sched/task.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Frames                                                                  */
/* ======================================================================= */

/* A function that runs in a frame. */
typedef struct Frame {
  mts_State *state;
  void (*function)(mts_State *s, void *data);
  void *data;
} Frame;

/* Runs in the Lua state: [1] the handler, [2] the callback. */
static int run_in_frame(lua_State *L, void *data)
{
  Frame *frame = data;
  mts_State *s = frame->state;
  lua_State *outer = s->L;
  lua_State *running = atomic_load(&s->interrupt.running);
  s->L = L;
  atomic_store(&s->interrupt.running, L);
  atomic_store(&s->own_thread, mts_thread_id());
  mts_self.has_host = true;
  frame->function(s, frame->data);
  mts_state_note_memory(s, L);
  s->L = outer; /* L can be collected */
  atomic_store(&s->interrupt.running, running);
  return 0;
}

/*
** Runs frame->function.  No C function of the module uses so much of its stack
** that this, three slots, would not be free.
** Returns: MTS_OK; MTS_DISTURBED: the error of a hook of the program is on top
** of the stack.
*/
static mts_Status enter_frame(lua_State *L, Frame *frame)
{
  mts_State *s = frame->state;
  mts_protect_push(L);
  mts_protect_push_kept(L, MTS_HANDLER_KEY, mts_call_handler(true));
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->callback_ref);
  return mts_protect(L, run_in_frame, frame, 2, 0, 0) == LUA_OK
             ? MTS_OK
             : MTS_DISTURBED;
}

/* ======================================================================= */
/* The state                                                               */
/* ======================================================================= */

mts_Status mts_host_new(lua_State *L, mts_State **s)
{
  mts_Status status;
  mts_protect_keep(L, MTS_HANDLER_KEY, mts_call_handler(true));
  status = mts_registry_new_state(NULL, 0, s);
  if (status != MTS_OK)
    return status;
  atomic_store(&(*s)->own_thread, mts_thread_id());
  (*s)->is_service = (*s)->is_host = (*s)->has_own_thread = true;
  (*s)->callback_ref = LUA_NOREF;
  mts_self.has_host = true;
  mts_state_leave(*s);
  return MTS_OK;
}

bool mts_host_is_inside(const mts_State *s)
{
  const mts_State *held = atomic_load(&mts_self.held);
  while (held && held != s)
    held = held->outer_held;
  return held != NULL;
}

/* As serve.c does where the task that is under way keeps the state. */
mts_Status mts_host_enter(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  if (!queue || !queue->is_parked)
    return mts_state_enter(s, 0);
  queue->is_parked = false;
  return mts_state_unpark(s) ? MTS_OK : MTS_CLOSED;
}

void mts_host_leave(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  if (queue)
    queue->is_parked = mts_queue_keeps_state(queue) && mts_state_park(s);
  if (!queue || !queue->is_parked)
    mts_state_leave(s);
}

/* ======================================================================= */
/* Wake                                                                    */
/* ======================================================================= */

static bool has_something_to_do(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->status == MTS_QUEUE_SCHEDULED ||
         mts_lock_lacks_closer(&queue->state->lock);
}

/* Has the descriptor say whether there is something to do. */
static void update_descriptor(mts_Queue *queue) MTS_REQUIRES(queue->mutex)
{
  if (queue->host_fd)
    mts_descriptor_set(queue->host_fd,
                       !queue->host_runs && has_something_to_do(queue));
}

void mts_host_attach(mts_State *s, mts_Wait *wait)
{
  mts_Queue *queue = atomic_load(&s->queue);
  mts_Wakes wakes = MTS_NO_WAKES;
  if (!queue || mts_worker_is_forked())
    return;
  mts_mutex_lock(&queue->mutex);
  queue->host_wait = wait;
  if (wait && has_something_to_do(queue)) /* it does not sleep yet */
    (void)mts_wait_finish(wait, MTS_DISTURBED, &wakes);
  mts_mutex_unlock(&queue->mutex);
}

void mts_host_wake(mts_Queue *queue)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_mutex_lock(&queue->mutex);
  update_descriptor(queue);
  if (queue->host_wait && has_something_to_do(queue))
    (void)mts_wait_finish(queue->host_wait, MTS_DISTURBED, &wakes);
  mts_mutex_unlock(&queue->mutex);
  mts_wakes_wake(&wakes);
}

int mts_host_fd(mts_State *s)
{
  mts_Queue *queue = mts_queue_of(s);
  mts_Descriptor *made;
  if (!queue)
    return -1;
  if (!queue->host_fd) {
    made = malloc(sizeof(*made));
    if (!made || !mts_descriptor_open(made)) {
      free(made);
      return -1;
    }
    mts_mutex_lock(&queue->mutex);
    queue->host_fd = made;
    update_descriptor(queue);
    mts_mutex_unlock(&queue->mutex);
  }
  return queue->host_fd->read_end;
}

void mts_host_close_fd(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  mts_Descriptor *descriptor = NULL;
  if (queue && queue->host_fd && !mts_worker_is_forked()) {
    mts_mutex_lock(&queue->mutex);
    descriptor = queue->host_fd;
    queue->host_fd = NULL;
    mts_mutex_unlock(&queue->mutex);
    mts_descriptor_close(descriptor);
    free(descriptor);
  }
}

/* ======================================================================= */
/* Run                                                                     */
/* ======================================================================= */

/* How many may begin; how many did. */
typedef struct Turn {
  int most; /* 0: as in any turn */
  int count;
} Turn;

/* Returns: whether that was so. */
static bool close_if_due(mts_State *s)
{
  const bool is_due = mts_lock_take_over(&s->lock, mts_thread_id());
  if (is_due)
    mts_state_close_taken(s);
  return is_due;
}

/* A turn begins, or has ended. */
static void note_turn(mts_Queue *queue, bool is_running)
{
  mts_mutex_lock(&queue->mutex);
  queue->host_runs = is_running;
  update_descriptor(queue);
  mts_mutex_unlock(&queue->mutex);
}

/* A turn; the queue can be scheduled still afterwards. */
static void run_turn(mts_State *s, void *data)
{
  mts_Queue *queue = atomic_load(&s->queue);
  Turn *turn = data;
  atomic_uint steps;
  atomic_init(&steps, 0);
  note_turn(queue, true);
  (void)close_if_due(s);
  if (mts_queueturn_is_scheduled(queue)) {
    if (turn->most > 0)
      (void)mts_serve_some(queue, &steps, turn->most, &turn->count);
    else
      (void)mts_serve_turn(queue, &steps);
  }
  (void)close_if_due(s);
  if (!mts_worker_is_forked())
    note_turn(queue, false);
}

static mts_Status run(mts_State *s, lua_State *L, Turn *turn)
{
  Frame frame = {.state = s, .function = run_turn, .data = turn};
  mts_Queue *queue = atomic_load(&s->queue);
  if (!queue || mts_worker_is_forked())
    return MTS_OK;
  return enter_frame(L, &frame);
}

mts_Status mts_host_run(mts_State *s, lua_State *L)
{
  Turn turn = {0, 0};
  return run(s, L, &turn);
}

/* How many requests and ready tasks there are; 1 if there is none. */
static int count_due(mts_Queue *queue)
{
  size_t count;
  mts_mutex_lock(&queue->mutex);
  count = queue->waiting + mts_queue_notices(queue) +
          mts_task_count_ready(queue, MTS_TURN_MOST);
  mts_mutex_unlock(&queue->mutex);
  if (count > MTS_TURN_MOST)
    return MTS_TURN_MOST;
  return count > 0 ? (int)count : 1;
}

mts_Status mts_host_run_due(mts_State *s, lua_State *L, int *count)
{
  mts_Queue *queue = atomic_load(&s->queue);
  Turn turn = {0, 0};
  mts_Status status = MTS_OK;
  if (queue && !mts_worker_is_forked() && !mts_host_is_inside(s)) {
    turn.most = count_due(queue);
    status = run(s, L, &turn);
  }
  *count = turn.count;
  return status;
}

/* ======================================================================= */
/* Nested calls                                                            */
/* ======================================================================= */

bool mts_host_can_nest(const mts_State *s)
{
  return mts_host_is_inside(s) || atomic_load(&s->interrupt.running);
}

typedef struct NestedCall {
  lua_State *L;
  const mts_Message *message;
  double timeout;
  mts_Results *results;
  mts_Failure *failure;
  mts_Status status;
} NestedCall;

static void run_nested(mts_State *s, void *data)
{
  NestedCall *call = data;
  mts_Queue *queue = atomic_load(&s->queue);
  if (queue && queue->is_parked) /* this thread would have to go on */
    call->status = call->timeout == MTS_FOREVER ? MTS_DEADLOCK : MTS_BUSY;
  else
    call->status = mts_call_deep(s, call->L, call->message, call->timeout,
                                 call->results, call->failure);
}

/*
** The error of a hook, on top of the stack, has kept the call from beginning.
** It is that of a main program which is to stop: the caller gets it.
*/
static mts_Status report_hook(const mts_State *s, lua_State *L,
                              mts_Failure *failure)
{
  size_t length = 0;
  const char *text = "";
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tolstring(L, -1, &length);
  return mts_error_compose(&failure->text, MTS_ERROR_INVOKING_STATE, s, text,
                           length);
}

mts_Status mts_host_call(mts_State *s, lua_State *L,
                         const mts_Message *message, double timeout,
                         mts_Results *results, mts_Failure *failure)
{
  NestedCall call = {L, message, timeout, results, failure, MTS_DISTURBED};
  Frame frame = {.state = s, .function = run_nested, .data = &call};
  lua_State *running = atomic_load(&s->interrupt.running);
  if (mts_host_is_inside(s))
    return mts_call_deep(s, L, message, timeout, results, failure);
  if (enter_frame(running, &frame) == MTS_DISTURBED) {
    if (call.status == MTS_DISTURBED)
      call.status = report_hook(s, running, failure);
    lua_pop(running, 1);
  }
  return call.status;
}

/* ======================================================================= */
/* End                                                                     */
/* ======================================================================= */

static void close_in_frame(mts_State *s, void *data)
{
  if (close_if_due(s) && atomic_load(&s->queue) && !mts_worker_is_forked())
    run_turn(s, data); /* which only ends the one that was due */
}

/* Inside the state, as at the end of the process, it is not closed. */
void mts_host_close(mts_State *s, lua_State *L)
{
  Turn turn = {0, 0};
  Frame frame = {.state = s, .function = close_in_frame, .data = &turn};
  mts_registry_withdraw(s);
  mts_state_close_when_free(s);
  if (enter_frame(L, &frame) == MTS_DISTURBED) /* finalizers run no hooks */
    lua_pop(L, 1);
  mts_host_close_fd(s);
  mts_state_release(s);
}
