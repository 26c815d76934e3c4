/*
** notices.c - calls without arguments that native threads ask for
**
** A notice is one more in a counter of the queue, which has a flag beside it:
** with that no more are taken, so none that was taken is dropped by a state
** that is closed when all is done.  A worker that serves the queue takes them
** one by one, and runs the callback for each; the turn does not end before the
** counter is zero (queueturn.c).
**
** Who makes the counter leave zero has the queue served.  Threads that must
** not wait cannot do that themselves, as it takes mutexes.  So the queue, with
** a reference to its state, goes to a list that takes one atomic exchange, and
** the watcher (watch.c) is woken, which takes the list and has the queues
** served that are idle.
**
** No notice is lost: the end of a turn looks at the counter and makes the
** queue idle in one step, under the mutex of the queue, which the watcher
** takes, too.  A notice that is added before this look is seen by it; one that
** is added later has found the counter zero, so the watcher finds the queue
** idle.
**
** A queue is in the list once at most, which is_noticed tells.  The watcher
** takes that back before it looks whether the queue is idle: a notice that
** finds it set was added before that look.
*/
#include "sched/notices.h"

#include "core/watch.h"
#include "sched/queueturn.h"
#include "sched/worker.h"

/* Queues with notices, the last one first. */
static mts_Queue *_Atomic first_noticed;

mts_Status mts_notices_open(mts_State *s)
{
  const mts_Status status = mts_worker_start_all();
  if (status != MTS_OK)
    return status;
  return mts_queue_of(s) ? MTS_OK : MTS_NO_MEMORY;
}

/* Adds the queue to the list, unless it is there already. */
static void enlist_noticed(mts_Queue *queue)
{
  mts_Queue *first = atomic_load(&first_noticed);
  if (atomic_exchange(&queue->is_noticed, true))
    return;
  mts_state_retain(queue->state);
  do {
    queue->next_noticed = first;
  } while (!atomic_compare_exchange_weak(&first_noticed, &first, queue));
}

mts_Status mts_notices_add(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  size_t notices = atomic_load(&queue->notices);
  if (mts_worker_is_forked())
    return MTS_FORKED;
  do {
    if (notices & MTS_NO_NOTICES)
      return MTS_CLOSED;
  } while (!atomic_compare_exchange_weak(&queue->notices, &notices,
                                         notices + MTS_NOTICE));
  if (notices == 0) {
    enlist_noticed(queue);
    mts_watch_wake();
  }
  return MTS_OK;
}

void mts_notices_schedule(void)
{
  mts_Queue *queue = NULL;
  if (atomic_load(&first_noticed))
    queue = atomic_exchange(&first_noticed, NULL);
  while (queue) {
    mts_Queue *next = queue->next_noticed;
    mts_State *s = queue->state;
    atomic_store(&queue->is_noticed, false); /* it may be added again */
    (void)mts_queueturn_schedule(queue);
    mts_state_release(s);
    queue = next;
  }
}
