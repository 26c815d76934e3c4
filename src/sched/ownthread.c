/*
** ownthread.c - the thread of a state that has one of its own
**
** The thread is started when the setup has run, and ends when the Lua state is
** closed.  Until it runs, own_thread of the state names no thread that there
** is; who wants to close the state waits for that.  It sleeps on an event in
** the queue of the state, which is set by whoever
**
** - makes the queue runnable (mts_worker_schedule),
** - closes the lock of the state: if nobody is inside, the lock is handed to
**   this thread, which closes the Lua state (lock.c).
**
** The event keeps that it was set, so nothing is missed between looking and
** sleeping.  Only this thread enters the state, but for its creator, before it
** is published; calls of other threads are requests (lua/staterequest.c).
**
** The thread has a reference to the state, and with it to the queue.
*/
#include "sched/ownthread.h"

#include <sched.h>

#include "core/signal.h"
#include "core/thread.h"
#include "sched/host.h"
#include "sched/queueturn.h"
#include "sched/serve.h"
#include "sched/worker.h"

/* Bytes of C stack. */
#define OWN_STACK ((size_t)4 * 1024 * 1024)

/* How long the thread looks for something to do before it sleeps. */
#define LOOK_SECONDS 50e-6

static atomic_uint running; /* threads that run code */

/* ======================================================================= */
/* The thread                                                              */
/* ======================================================================= */

static void name_thread(const mts_State *s)
{
  char name[16] = "mtstates/own";
  size_t i;
  if (s->has_name && s->name_length > 0) {
    for (i = 0; i < sizeof(name) - 1 && s->name[i] != '\0'; i++)
      name[i] = s->name[i];
    name[i] = '\0';
  }
  mts_async_name_thread(name);
}

/*
** Serves the queue, if it is scheduled, and closes the Lua state, if that is
** up to this thread.
*/
static void do_what_there_is(mts_State *s, mts_Queue *queue)
{
  atomic_uint steps;
  atomic_init(&steps, 0);
  atomic_fetch_add(&running, 1);
  mts_self.runs_own = true;
  if (mts_queueturn_is_scheduled(queue) && mts_worker_takes_requests())
    while (mts_serve_turn(queue, &steps))
      ;
  if (!mts_worker_is_forked() && mts_lock_is_held(&s->lock, mts_thread_id()))
    mts_state_close_taken(s);
  mts_self.runs_own = false;
  atomic_fetch_sub(&running, 1);
}

/* Looks a while before it sleeps: both take longer than short requests. */
static void wait_for_something(mts_Queue *queue)
{
  const double end = mts_clock_now() + LOOK_SECONDS;
  bool is_set;
  while (!(is_set = mts_event_wait(&queue->own_wake_up, 0)) &&
         mts_clock_now() < end)
    sched_yield();
  if (!is_set) {
    mts_signal_block_all();
    (void)mts_event_wait(&queue->own_wake_up, MTS_FOREVER);
    mts_signal_unblock();
  }
}

static void *run_own_thread(void *data)
{
  mts_State *s = data;
  mts_Queue *queue = atomic_load(&s->queue);
  name_thread(s);
  mts_signal_unblock();
  atomic_store(&s->own_thread, mts_thread_id());
  /* A request that was put before the state was closed ends its turn. */
  while (!mts_lock_is_closed(&s->lock) || mts_queueturn_is_scheduled(queue)) {
    wait_for_something(queue);
    do_what_there_is(s, queue);
    if (mts_worker_is_forked())
      return NULL;
  }
  mts_state_release(s);
  return NULL;
}

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

mts_Status mts_ownthread_start(mts_State *s)
{
  const mts_Status status = mts_worker_start_all();
  if (status != MTS_OK)
    return status;
  if (!mts_queue_of(s))
    return MTS_NO_MEMORY;
  mts_state_retain(s);
  atomic_store(&s->own_thread, MTS_STATE_STARTING);
  if (mts_async_start_thread(run_own_thread, s, OWN_STACK, NULL))
    return MTS_OK;
  atomic_store(&s->own_thread, 0);
  mts_state_release(s);
  return MTS_NO_MEMORY;
}

void mts_ownthread_wake(mts_Queue *queue)
{
  if (queue->state->is_host) {
    mts_host_wake(queue);
    return;
  }
  if (mts_event_set(&queue->own_wake_up))
    mts_event_wake(&queue->own_wake_up);
}

unsigned mts_ownthread_count_running(void)
{
  const unsigned count = atomic_load(&running);
  return mts_self.runs_own && count > 0 ? count - 1 : count;
}
