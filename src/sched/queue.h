/*
** queue.h - the requests of a state that have not begun
**
** When the queue is served is in queueturn.h, and how it ends in queueclose.h.
*/
#ifndef MTS_QUEUE_H
#define MTS_QUEUE_H

#include "base/compiler.h"

#include <stddef.h>

#include "async_util.h"
#include "base/descriptor.h"
#include "base/event.h"
#include "core/trace.h"
#include "core/wait.h"
#include "sched/request.h"
#include "state.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Sender mts_Sender;
typedef struct mts_Task mts_Task;

/* Where a queue is known; see queueturn.c. */
typedef enum mts_QueueStatus {
  MTS_QUEUE_IDLE,      /* nowhere: there are no requests */
  MTS_QUEUE_SCHEDULED, /* in the run queue, the slot of a worker, or by the
                       ** worker that serves it; or by the own thread of the
                       ** state */
  MTS_QUEUE_BLOCKED    /* by the lock of the state, until that is left */
} mts_QueueStatus;

/* The tasks of a state; see task.c. */
typedef struct mts_Tasks {
  /* Guarded by the mutex of the queue. */
  mts_Task *first_ready, *last_ready;
  size_t fresh;                /* of these, forks that have not begun */
  mts_Task *suspended;         /* the last one first */
  atomic_size_t room_waits;    /* of these, that wait for room */
  size_t deferred;             /* requests that are answered later, */
  mts_Request *first_deferred; /* and those who wait for that: deferral.c */

  /* For the thread that holds the state, but that others can read it. */
  atomic_size_t under_way; /* requests that have begun and not ended, */
  atomic_size_t forks;     /* forks that have not ended */
  atomic_bool is_running;  /* one of these runs: from when it is taken until
                           ** just before it is answered, or its wait known */
  atomic_uint serial;      /* with limit 1: of the last request that began */
  mts_Task *idle;          /* ended ones, to be used again, */
  mts_Task *blank;         /* and those whose coroutine has never run */
  unsigned idle_count;     /* in both lists */
  bool is_kept;        /* the state was told that tasks have to be closed */
  bool was_task_taken; /* and not a request, the last time, */
  unsigned streak;     /* and as many times before */

  size_t limit; /* of under_way; constant */
} mts_Tasks;

/* What putting and taking a request use comes first. */
typedef struct mts_Queue {
  mts_Mutex mutex; /* guards what follows, up to limit */
  mts_Request *first, *last;
  mts_QueueStatus status;
  atomic_bool has_more;  /* there are requests or ready tasks */
  atomic_bool is_closed; /* takes no more requests */
  bool closes_when_idle; /* the state has lost its last owner */
  bool has_reference;    /* to the state */
  mts_Sender *first_sender, *last_sender; /* that are not woken yet */
  mts_Sender *first_waiting;              /* of these, without room yet */
  size_t waiting;                         /* requests */
  size_t counted;                         /* of these, that take room, */
  size_t calls;                           /* and that are calls */
  int closers;          /* threads that are going to close the state */
  mts_WaitList closing; /* those of them that wait until it is idle */
  bool is_shut;         /* the turn that makes it idle closes the state */
  mts_WaitList ends;    /* waits for the end of the Lua state */
  mts_Tasks tasks;

  size_t limit;     /* of counted; constant */
  mts_Heap *heap;   /* that has a limit for what waits, or NULL; constant */
  mts_State *state; /* constant */

  struct mts_Queue *next_runnable; /* see pool.c */
  bool was_refused; /* the state was busy when a turn was to begin */
  bool is_parked;   /* the state was not left when the last turn ended */
  struct mts_Queue *next_known, *previous_known; /* see queuelist.c */

  /* See team.c. */
  struct mts_Team *team;    /* of a pool, whose queue this is; or NULL */
  struct mts_Queue *shared; /* of the pool, for a member of it; or NULL */
  bool has_idle;            /* of a pool: it has idle members */
  atomic_size_t begun;      /* of a pool: requests and notices; it wraps */

  /* Notifications; see notices.c. */
  atomic_size_t notices;  /* see mts_queue_notices */
  atomic_bool is_noticed; /* it is in the list of the watcher */
  struct mts_Queue *next_noticed;

  /* See ownthread.c. */
  bool has_own_thread; /* constant */
  mts_Event own_wake_up;

  /* See host.c; guarded by the mutex. */
  mts_Wait *host_wait;
  mts_Descriptor *host_fd;
  bool host_runs; /* a turn */
} mts_Queue;

/* ======================================================================= */
/* What waits, and may begin                                               */
/* ======================================================================= */

/* A request or ready task was added, or taken out. */
static inline void mts_queue_note_more(mts_Queue *queue, bool has_more)
    MTS_REQUIRES(queue->mutex)
{
  atomic_store_explicit(&queue->has_more, has_more, memory_order_relaxed);
}

/*
** Whether the limit of the state's memory allows for the request.  What waits
** leaves some for the code, so that requests can begin.
*/
static inline bool mts_queue_has_memory(const mts_Queue *queue,
                                        const mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  const mts_Heap *heap = queue->heap;
  return !heap ||
         mts_heap_allows(heap, mts_heap_used(heap) + heap->limit / 16 +
                                   mts_request_size(request));
}

/* Adds a request at the end, or takes one out. */
static inline void mts_queue_append(mts_Queue *queue, mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  request->is_queued = true;
  request->next = NULL;
  request->previous = queue->last;
  if (queue->last)
    queue->last->next = request;
  else
    queue->first = request;
  queue->last = request;
  queue->waiting++;
  queue->counted += request->is_counted;
  if (queue->heap)
    mts_heap_set_waiting(queue->heap, mts_heap_waiting(queue->heap) +
                                          mts_request_size(request));
  queue->calls += request->is_call;
  mts_trace_count(queue->state, queue->waiting);
  mts_queue_note_more(queue, true);
}

static inline void mts_queue_remove(mts_Queue *queue, mts_Request *request)
    MTS_REQUIRES(queue->mutex)
{
  request->is_queued = false;
  if (request->next)
    request->next->previous = request->previous;
  else
    queue->last = request->previous;
  if (request->previous)
    request->previous->next = request->next;
  else
    queue->first = request->next;
  queue->waiting--;
  queue->counted -= request->is_counted;
  if (queue->heap)
    mts_heap_set_waiting(queue->heap, mts_heap_waiting(queue->heap) -
                                          mts_request_size(request));
  queue->calls -= request->is_call;
  mts_trace_count(queue->state, queue->waiting);
}

/* Whether a further request may begin. */
static inline bool mts_queue_may_begin(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->tasks.room_waits == 0 &&
         atomic_load_explicit(&queue->tasks.under_way, memory_order_relaxed) <
             queue->tasks.limit;
}

/* The same for the thread that holds the state.  Locks: takes the mutex. */
bool mts_queue_may_begin_now(mts_Queue *queue);

/* Whether requests have begun that are not answered. */
static inline bool mts_queue_is_under_way(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return atomic_load(&queue->tasks.under_way) > 0 || queue->tasks.deferred > 0;
}

/*
** Whether a request is under way that lets no other code of the state run, for
** the thread that holds the state.
*/
static inline bool mts_queue_keeps_state(const mts_Queue *queue)
{
  return queue->tasks.limit == 1 && atomic_load(&queue->tasks.under_way) > 0;
}

/*
** The request that can begin now, or NULL.  Calls of a state that has a thread
** of its own do not wait for what keeps others from beginning, but for a task
** that keeps the state.
*/
static inline mts_Request *mts_queue_beginnable(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  mts_Request *request = queue->first;
  if (mts_queue_may_begin(queue) || mts_queue_keeps_state(queue) ||
      !queue->has_own_thread)
    return mts_queue_may_begin(queue) ? request : NULL;
  while (request && !request->is_call)
    request = request->next;
  return request;
}

/*
** Appends the request if there is room, or it takes none.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_NO_MEMORY: the state has a limit;
** *is_runnable: whether the queue is to be scheduled.
*/
mts_Status mts_queue_append_if_room(mts_Queue *queue, mts_Request *request,
                                    bool *is_runnable)
    MTS_REQUIRES(queue->mutex);

static inline bool mts_queue_has_room(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->counted < queue->limit;
}

/* No more notices are taken: a flag, beside as many MTS_NOTICE as wait. */
#define MTS_NO_NOTICES ((size_t)1)
#define MTS_NOTICE ((size_t)2)

/* How many notices, which are calls without arguments, wait. */
static inline size_t mts_queue_notices(const mts_Queue *queue)
{
  return atomic_load(&queue->notices) / MTS_NOTICE;
}

/* Whether requests or notices wait, or are under way, forks aside. */
static inline bool mts_queue_has_work(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->first || mts_queue_notices(queue) > 0 ||
         mts_queue_is_under_way(queue);
}

/* The same, or it is not idle. */
static inline bool mts_queue_is_busy(mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->status != MTS_QUEUE_IDLE || mts_queue_has_work(queue);
}

/* ======================================================================= */
/* For workers                                                             */
/* ======================================================================= */

/*
** Takes what is next: a ready task, or a request, to begin it, by turns.
** Locks: takes queue->mutex.
** Returns: the request; NULL: there is none, but perhaps a task.
*/
mts_Request *mts_queue_take(mts_Queue *queue, mts_Task **task);

/*
** Takes the next request of the pool that the state of the queue, which the
** calling thread holds, is a member of; it is one of that state from then on.
** Locks: takes that of the pool's queue, and those of mts_team_wake.
** Returns: NULL if there is none.
*/
mts_Request *mts_queue_take_shared(mts_Queue *queue);

/*
** Whether there is perhaps something to take, without the mutex: what others
** add meanwhile is seen at the end of the turn.
*/
static inline bool mts_queue_has_more(const mts_Queue *queue)
{
  return atomic_load_explicit(&queue->has_more, memory_order_relaxed) ||
         mts_queue_notices(queue) > 0;
}

/* The same for the queue of the pool, if there is one. */
static inline bool mts_queue_has_shared(const mts_Queue *queue)
{
  return queue->shared && mts_queue_has_more(queue->shared);
}

/*
** What is taken runs; it has ended, or waits: nothing runs.  Who has seen that
** the queue is closed sees what was taken before: by its mutex, or by the
** count of notices.
*/
static inline void mts_queue_note_run(mts_Queue *queue)
{
  atomic_store_explicit(&queue->tasks.is_running, true, memory_order_relaxed);
}

static inline void mts_queue_note_pause(mts_Queue *queue)
{
  atomic_store_explicit(&queue->tasks.is_running, false, memory_order_release);
}

static inline unsigned mts_queue_serial(const mts_Queue *queue)
{
  return atomic_load_explicit(&queue->tasks.serial, memory_order_relaxed);
}

/*
** A request, or call for a notice, begins, and it, or a fork, has ended, which
** is to be called before it is answered; for the thread that holds the state.
*/
static inline void mts_queue_begin_request(mts_Queue *queue)
{
  atomic_size_t *count = &queue->tasks.under_way;
  mts_queue_note_run(queue);
  atomic_store_explicit(count,
                        atomic_load_explicit(count, memory_order_relaxed) + 1,
                        memory_order_relaxed);
  atomic_store_explicit(&queue->tasks.serial, mts_queue_serial(queue) + 1,
                        memory_order_relaxed);
}

static inline void mts_queue_end_request(mts_Queue *queue, bool is_fork)
{
  atomic_size_t *count = &queue->tasks.under_way;
  mts_queue_note_pause(queue);
  if (is_fork)
    atomic_fetch_sub(&queue->tasks.forks, 1);
  else
    atomic_store_explicit(
        count, atomic_load_explicit(count, memory_order_relaxed) - 1,
        memory_order_release);
}

/*
** A request, which is about to end, is answered later.
** Locks: takes queue->mutex.
*/
void mts_queue_note_deferred(mts_Queue *queue);

/* ======================================================================= */
/* For all                                                                 */
/* ======================================================================= */

/*
** The queue of the state, which is made if there is none.
** Returns: NULL if there is no memory.
*/
mts_Queue *mts_queue_of(mts_State *s);

/* Takes a request back; see mts_future_withdraw. */
bool mts_queue_withdraw(mts_Request *request);

/* Takes out the first request that is for the logger; NULL: there is none. */
mts_Request *mts_queue_take_log(mts_Queue *queue);

/*
** How many requests wait, and of these calls for an own thread, and are under
** way; forks that have not ended; and requests that are answered later.
*/
typedef struct mts_QueueStats {
  size_t waiting;
  size_t calls;
  size_t under_way;
  size_t forks;
  size_t deferred;
} mts_QueueStats;

/*
** Of a state, which may have no queue.
** Locks: takes the mutex of the queue.
*/
mts_QueueStats mts_queue_stats(mts_State *s);

/* Frees the queue of a state that has no references any more. */
void mts_queue_free(mts_Queue *queue);

MTS_END_HIDDEN

#endif
