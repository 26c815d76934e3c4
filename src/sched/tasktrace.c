/*
** tasktrace.c - where suspended tasks wait
**
** While the thread that holds a state stays where it is, no task of the state
** begins, goes on or ends.  Waits can end, and tasks become ready: so pointers
** to tasks are copied under the mutex of the queue, and their stacks are read
** without it.
*/
#include "sched/tasktrace.h"

#include <stdio.h>
#include <stdlib.h>

#include "sched/queueturn.h"
#include "sched/task.h"
#include "sched/worker.h"

/* So many are written, the oldest first. */
#define MOST_TASKS 100

/*
** Stores the tasks whose code waits, or has waited, in *list, if that is not
** NULL.
** Returns: how many.
*/
static size_t list_tasks(const mts_Queue *queue, const mts_Task **list)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Task *task;
  size_t count = 0;
  for (task = queue->tasks.suspended; task; task = task->next) {
    if (list)
      list[count] = task;
    count++;
  }
  for (task = queue->tasks.first_ready; task; task = task->next)
    if (task->has_begun) {
      if (list)
        list[count] = task;
      count++;
    }
  return count;
}

bool mts_tasktrace_has_suspended(mts_State *s)
{
  mts_Queue *queue = atomic_load(&s->queue);
  bool has_some;
  if (mts_worker_is_forked())
    return false;
  mts_mutex_lock(&queue->mutex);
  has_some = queue->tasks.suspended || list_tasks(queue, NULL) > 0;
  mts_mutex_unlock(&queue->mutex);
  return has_some;
}

void mts_tasktrace_serve(mts_State *s)
{
  (void)mts_queueturn_schedule(atomic_load(&s->queue));
}

/* What the task waits for. */
static void write_head(mts_Traceback *request, const mts_Task *task)
{
  const mts_Pending *pending = &task->pending;
  char other[MTS_DESCRIPTION_SIZE];
  char text[MTS_DESCRIPTION_SIZE + 60];
  if (atomic_load(&task->wait.outcome) != MTS_WAIT_OPEN)
    snprintf(text, sizeof(text), "task that is about to go on");
  else if (pending->future) {
    mts_state_describe(pending->future->state, other);
    snprintf(text, sizeof(text), "task that waits for an answer of %s", other);
  }
  else if (pending->sender) {
    mts_state_describe(pending->state, other);
    snprintf(text, sizeof(text), "task that waits for room at %s", other);
  }
  else
    snprintf(text, sizeof(text), "task that %s",
             pending->search ? "waits for a state" : "sleeps");
  mts_traceback_write_text(request, request->text.length > 0 ? "\n\n" : "");
  mts_traceback_write_text(request, text);
  mts_traceback_write_text(request, "\n");
}

/* The list has the last one that was suspended first. */
void mts_tasktrace_write(mts_State *s, mts_Traceback *request)
{
  mts_Queue *queue = atomic_load(&s->queue);
  const mts_Task **list = NULL;
  char text[60];
  size_t count, i;
  if (mts_worker_is_forked())
    return;
  mts_mutex_lock(&queue->mutex);
  count = list_tasks(queue, NULL);
  if (count > 0)
    list = malloc(count * sizeof(const mts_Task *));
  if (list)
    (void)list_tasks(queue, list);
  mts_mutex_unlock(&queue->mutex);
  request->lacks_memory = request->lacks_memory || (count > 0 && !list);
  for (i = 0; list && i < count && i < MOST_TASKS; i++) {
    const mts_Task *task = list[count - 1 - i];
    write_head(request, task);
    mts_traceback_write_frames(request, task->co, 0);
  }
  if (count > MOST_TASKS) {
    snprintf(text, sizeof(text), "\n\n(%zu more tasks)", count - MOST_TASKS);
    mts_traceback_write_text(request, text);
  }
  free((void *)list);
}
