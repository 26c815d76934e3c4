/*
** queuelist.c - all queues that there are
**
** For what concerns all of them: the monitor, statistics, and the end of the
** process.  A queue leaves the list before it is freed, so one that is found
** there lives as long as the mutex is held, and so does its state.
*/
#include "sched/queuelist.h"

#include "core/interrupt.h"
#include "core/thread.h"
#include "sched/room.h"
#include "sched/worker.h"

static mts_Mutex list_mutex = MTS_MUTEX_INIT;
static mts_Queue *first_known MTS_GUARDED_BY(list_mutex);

void mts_queuelist_add(mts_Queue *queue)
{
  mts_mutex_lock(&list_mutex);
  queue->next_known = first_known;
  if (first_known)
    first_known->previous_known = queue;
  first_known = queue;
  mts_mutex_unlock(&list_mutex);
}

void mts_queuelist_remove(mts_Queue *queue)
{
  mts_mutex_lock(&list_mutex);
  if (queue->next_known)
    queue->next_known->previous_known = queue->previous_known;
  if (queue->previous_known)
    queue->previous_known->next_known = queue->next_known;
  else
    first_known = queue->next_known;
  mts_mutex_unlock(&list_mutex);
}

void mts_queuelist_wake_senders(void)
{
  mts_Queue *queue;
  mts_mutex_lock(&list_mutex);
  for (queue = first_known; queue; queue = queue->next_known)
    mts_room_tell_all(queue);
  mts_mutex_unlock(&list_mutex);
}

void mts_queuelist_interrupt(void)
{
  mts_Queue *queue;
  mts_mutex_lock(&list_mutex);
  for (queue = first_known; queue; queue = queue->next_known) {
    mts_State *s = queue->state;
    if (mts_queue_stats(queue->state).is_under_way &&
        !mts_lock_is_held(&s->lock, mts_thread_id()))
      mts_interrupt_post(s, MTS_INTERRUPT_ALWAYS);
  }
  mts_mutex_unlock(&list_mutex);
}

size_t mts_queuelist_count(void)
{
  size_t count = 0;
  mts_Queue *queue;
  if (mts_worker_is_forked())
    return 0;
  mts_mutex_lock(&list_mutex);
  for (queue = first_known; queue; queue = queue->next_known) {
    const mts_QueueStats stats = mts_queue_stats(queue->state);
    count += stats.waiting + stats.is_under_way;
  }
  mts_mutex_unlock(&list_mutex);
  return count;
}
