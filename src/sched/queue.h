/*
** queue.h - the requests of a state that have not begun
*/
#ifndef MTS_QUEUE_H
#define MTS_QUEUE_H

#include "base/compiler.h"

#include <stddef.h>

#include "async_util.h"
#include "sched/request.h"
#include "state.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Sender mts_Sender;

/* Where a queue is known; see queue.c. */
typedef enum mts_QueueStatus {
  MTS_QUEUE_IDLE,      /* nowhere: there are no requests */
  MTS_QUEUE_SCHEDULED, /* in the run queue, the slot of a worker, or by the
                       ** worker that serves it */
  MTS_QUEUE_BLOCKED    /* by the lock of the state, until that is left */
} mts_QueueStatus;

/* What putting and taking a request use comes first. */
typedef struct mts_Queue {
  mts_Mutex mutex; /* guards what follows, up to limit */
  mts_Request *first, *last;
  mts_QueueStatus status;
  bool is_closed;        /* takes no more requests */
  bool closes_when_idle; /* the state has lost its last owner */
  bool has_reference;    /* to the state */
  mts_Sender *first_sender, *last_sender; /* that are not woken yet */
  mts_Sender *first_waiting;              /* of these, without room yet */
  size_t waiting;                         /* requests */
  size_t counted;                         /* of these, that take room */

  size_t limit;     /* of counted; constant */
  mts_State *state; /* constant */

  struct mts_Queue *next_runnable; /* see pool.c */
  bool was_refused;         /* the state was busy when a turn was to begin */
  atomic_bool is_under_way; /* a request has begun and is not answered */
  struct mts_Queue *next_known, *previous_known; /* see queuelist.c */
} mts_Queue;

/* ======================================================================= */
/* Parts of queue.c                                                        */
/* ======================================================================= */

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
}

static inline bool mts_queue_has_room(const mts_Queue *queue)
    MTS_REQUIRES(queue->mutex)
{
  return queue->counted < queue->limit;
}

/* ======================================================================= */
/* For workers                                                             */
/* ======================================================================= */

/*
** Takes the next request out of the queue, to begin it.
** Locks: takes queue->mutex.
** Returns: NULL if there is none.
*/
mts_Request *mts_queue_take(mts_Queue *queue);

/* The request that was taken has ended; to be called before it is answered. */
static inline void mts_queue_end_request(mts_Queue *queue)
{
  atomic_store_explicit(&queue->is_under_way, false, memory_order_release);
}

/* What follows a turn. */
typedef enum mts_TurnEnd {
  MTS_TURN_AGAIN, /* there are more requests */
  MTS_TURN_IDLE,
  MTS_TURN_UNOWNED, /* idle; the state had no owner */
  MTS_TURN_CLOSED   /* idle, and the state has been closed */
} mts_TurnEnd;

/*
** The turn of the worker has ended; unless there is another one, the worker
** does not know the queue any more.
** Locks: takes queue->mutex.
** Owns: with MTS_TURN_UNOWNED and MTS_TURN_CLOSED, the caller gets a reference
** to the state.
*/
mts_TurnEnd mts_queue_end_turn(mts_Queue *queue);

/*
** The state is busy: the queue is blocked until mts_queue_unblock.
** Locks: take queue->mutex.
** Returns: whether the queue was blocked; then the caller knows it.
*/
void mts_queue_block(mts_Queue *queue);
bool mts_queue_unblock(mts_Queue *queue);

/* ======================================================================= */
/* For all                                                                 */
/* ======================================================================= */

/* Takes a request back; see mts_future_withdraw. */
bool mts_queue_withdraw(mts_Request *request);
/*
** The queue takes no more requests, and those in it fail.
** Locks: takes queue->mutex; no mutex may be held.
*/
void mts_queue_close(mts_Queue *queue);

/*
** The state has lost its last owner.
** Locks: takes queue->mutex.
** Returns: false if there are no requests: the queue is closed now.
*/
bool mts_queue_close_when_idle(mts_Queue *queue);

/* Takes out the first request that is for the logger; NULL: there is none. */
mts_Request *mts_queue_take_log(mts_Queue *queue);

/* How many requests wait, and whether one is under way. */
typedef struct mts_QueueStats {
  size_t waiting;
  bool is_under_way;
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
