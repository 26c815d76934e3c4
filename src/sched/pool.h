/*
** pool.h - tokens, the run queue, and the list of workers; parts of worker.c
**
** Locks: all of it is guarded by the run mutex, but for what is atomic.
*/
#ifndef MTS_POOL_H
#define MTS_POOL_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "async_util.h"
#include "base/event.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* What a worker has done since the monitor has looked at it. */
typedef enum mts_Activity {
  MTS_GOES_ON,
  MTS_COMPUTES,
  MTS_BLOCKS
} mts_Activity;

/* What a worker knows of itself; lives on its stack. */
typedef struct mts_Worker {
  mts_Queue *_Atomic slot; /* to be served next; others can take it away */
  unsigned streak;         /* how often the slot has been preferred */
  atomic_uint steps;       /* requests that it has begun */
  mts_ThreadHandle handle;
  long kernel_id;
  mts_Event wake_up;

  /* Guarded by the run mutex. */
  bool has_token;
  bool is_searching;
  bool is_serving;
  bool is_parked;
  struct mts_Worker *next, *previous;               /* all */
  struct mts_Worker *next_parked, *previous_parked; /* the last one first */

  /* For the monitor: */
  atomic_bool is_replaced; /* it is stuck, and another one has its token */
  unsigned seen_steps;
  double seen_time;
  mts_Activity activity;
} mts_Worker;

typedef struct mts_Pool {
  mts_Mutex mutex;
  mts_Queue *first_runnable, *last_runnable;
  atomic_size_t runnable; /* how many there are */
  size_t begun;           /* how many were taken, ever */
  mts_Worker *first;      /* of all workers */
  mts_Worker *first_parked;
  mts_Worker *_Atomic keeper; /* of these, that wakes up for the next timer, */
  _Atomic double keeper_until; /* at that point of the clock */
  int wanted;                  /* tokens that there are */
  int idle;         /* of these, that no worker has; < 0: there are too many */
  unsigned started; /* workers, ever */
  int threads;      /* workers */
  int parked;       /* of these, that are parked, */
  int waiting;      /* wait inside the module, */
  int replaced;     /* are stuck and have no token */
  bool has_searcher;
  bool is_ending; /* no turn begins any more */
} mts_Pool;

extern mts_Pool mts_pool;

/* When a parked worker is going to look at the timers. */
static inline double mts_pool_keeper_until(void)
{
  return atomic_load(&mts_pool.keeper) ? atomic_load(&mts_pool.keeper_until)
                                       : MTS_FOREVER;
}

/* Adds to the end of the run queue; takes its head, or NULL. */
void mts_pool_push(mts_Queue *queue) MTS_REQUIRES(mts_pool.mutex);
mts_Queue *mts_pool_pop(void) MTS_REQUIRES(mts_pool.mutex);

/* Moves the queue in the slot of a worker, if there is one, there, too. */
void mts_pool_flush(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex);

/* The worker gives its token back, or takes one. */
void mts_pool_give_token(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex);
void mts_pool_take_token(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex);

/* What is left to do when the mutex has been released. */
typedef struct mts_Aftermath {
  mts_Event *event; /* of a worker to be woken, or NULL */
  bool is_late;     /* something has to wait: the monitor has to look */
} mts_Aftermath;

/*
** If there is something in the run queue, and no worker that searches: has one
** take it, a parked or a new one, if there is a token for that.  To be called
** after each change that can make that necessary.
*/
mts_Aftermath mts_pool_balance(void) MTS_REQUIRES(mts_pool.mutex);

/* Locks: takes the mutex of the watcher; no mutex may be held. */
void mts_pool_settle(mts_Aftermath aftermath);

/*
** Gives the worker, which is parked, a token.
** Returns: its event, if that has to be woken, or NULL.
*/
mts_Event *mts_pool_unpark(mts_Worker *worker) MTS_REQUIRES(mts_pool.mutex);

MTS_END_HIDDEN

#endif
