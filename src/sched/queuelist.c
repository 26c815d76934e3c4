/*
** queuelist.c - all queues that there are
**
** For what concerns all of them: the monitor, statistics, and the end of the
** process.  A queue leaves the list before it is freed, so one that is found
** there lives as long as the mutex is held, and so does its state.
*/
#include "sched/queuelist.h"

#include <stdlib.h>

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
    if (atomic_load(&s->interrupt.task) &&
        !mts_lock_is_held(&s->lock, mts_thread_id()))
      mts_interrupt_post(s, MTS_INTERRUPT_ALWAYS);
  }
  mts_mutex_unlock(&list_mutex);
}

/* Whether the state has nothing more to do but to be closed. */
static bool has_to_close(mts_Queue *queue) MTS_REQUIRES(list_mutex)
{
  const uintptr_t word = atomic_load(&queue->state->lock.word);
  bool is_unowned, is_closing;
  mts_mutex_lock(&queue->mutex);
  is_unowned =
      queue->closes_when_idle && !queue->first && !queue->team; /* see those */
  is_closing = !mts_queue_is_under_way(queue) &&
               (is_unowned || (word & MTS_WORD_CLOSING));
  mts_mutex_unlock(&queue->mutex);
  return is_closing;
}

bool mts_queuelist_has_closing(void)
{
  mts_Queue *queue;
  bool has_closing;
  mts_mutex_lock(&list_mutex);
  queue = first_known;
  while (queue && !has_to_close(queue))
    queue = queue->next_known;
  has_closing = queue != NULL;
  mts_mutex_unlock(&list_mutex);
  return has_closing;
}

static size_t count_known(void) MTS_REQUIRES(list_mutex)
{
  size_t count = 0;
  const mts_Queue *queue;
  for (queue = first_known; queue; queue = queue->next_known)
    count++;
  return count;
}

mts_Status mts_queuelist_add_closing(mts_State ***states, size_t *count)
{
  mts_State **longer;
  const mts_Queue *queue;
  mts_mutex_lock(&list_mutex);
  longer = realloc(*states, (*count + count_known() + 1) * sizeof(**states));
  for (queue = longer ? first_known : NULL; queue; queue = queue->next_known) {
    mts_State *s = queue->state;
    if (s->is_service && (atomic_load(&s->lock.word) & MTS_WORD_CLOSING) &&
        mts_state_try_retain(s))
      longer[(*count)++] = s;
  }
  mts_mutex_unlock(&list_mutex);
  if (longer)
    *states = longer;
  return longer ? MTS_OK : MTS_NO_MEMORY;
}

mts_RequestStats mts_queuelist_stats(void)
{
  mts_RequestStats sum = {0, 0};
  mts_Queue *queue;
  if (mts_worker_is_forked())
    return sum;
  mts_mutex_lock(&list_mutex);
  for (queue = first_known; queue; queue = queue->next_known) {
    const mts_QueueStats stats = mts_queue_stats(queue->state);
    sum.messages += stats.waiting;
    sum.requests +=
        stats.waiting + stats.under_way + stats.forks + stats.deferred;
  }
  mts_mutex_unlock(&list_mutex);
  return sum;
}
