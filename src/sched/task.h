/*
** task.h - tasks of a state: coroutines that run requests and forks
*/
#ifndef MTS_TASK_H
#define MTS_TASK_H

#include "base/compiler.h"

#include "core/registry.h"
#include "core/timelimit.h"
#include "core/wait.h"
#include "luaapi/compat.h"
#include "sched/room.h"
#include "sched/timer.h"

MTS_BEGIN_HIDDEN

/* What Lua code of a task waits for, and what follows. */
typedef struct mts_Pending {
  /*
  ** Goes on when the wait is over, as the function that has waited: its
  ** results are those of that.
  */
  int (*finish)(lua_State *L, struct mts_Pending *pending, mts_Status status);
  double deadline;
  mts_Future *future; /* that is to be answered, with a reference; or NULL */
  mts_Sender *sender; /* that waits for room; or NULL */
  mts_Search *search; /* for a state that is to be published; or NULL */
  mts_State *state;   /* where, with a reference */
  bool has_future;    /* and with one to the future of its request */
  char method;        /* the meaning is that of finish */
} mts_Pending;

/* A coroutine of a state, and what it runs.  See task.c. */
typedef struct mts_Task {
  mts_Wait wait; /* while it is suspended */
  mts_Timer timer;
  mts_Queue *queue; /* of its state; constant */
  lua_State *co;    /* kept in the Lua registry, with this reference */
  int reference;
  int count;             /* values on it to be resumed with */
  unsigned owner;        /* with tasks = 1: the request that made it go on */
  unsigned trace;        /* that has its wait; see core/trace.h */
  mts_Request *request;  /* that it answers; NULL: that of a notice */
  struct mts_Task *next; /* of the list that it is in */
  struct mts_Task *previous;
  mts_Pending pending;
  bool has_begun;
  bool is_fork;
  bool is_waiting; /* it has yielded, or is about to, with `pending` */
  bool has_woken;  /* its wait is over: the code has not noticed yet */
  bool quits;      /* the state closes when it ends */
  bool is_weak;    /* the Lua registry does not keep the coroutine now */

  mts_Runtime runtime[]; /* one, if the state has a limit of time */
} mts_Task;

/*
** A task that runs nothing yet, of the state of the queue, which the calling
** thread holds.  L: the Lua thread that runs there.  is_fork:
** it gets a coroutine that no code knows, as it is not going to run at once.
** Returns: NULL if there is no memory.
** Stack: [-0, +0, -]
*/
mts_Task *mts_task_new(mts_Queue *queue, lua_State *L, bool is_fork);

/*
** A fork, which is about to begin, gets a coroutine that is used again, if
** there is one; its own, which no code knows, is for another one.
** Stack of both: what lies there is moved.
*/
void mts_task_use_again(mts_Task *fork);

/*
** The task has ended.  is_idle: its coroutine can be used again.  L: as above.
** Stack: [-0, +0, -]
*/
void mts_task_retire(mts_Task *task, bool is_idle, lua_State *L);

/*
** The coroutine of the task is kept by something else than the Lua registry
** until the task goes on, or mts_task_keep is called for it there.
** mts_task_keep: the coroutine on top of the stack, and its reference; if it
** is not kept, it is kept again.
** Stack: [-0, +0, m]; mts_task_keep: [-1, +0, -]
*/
void mts_task_unkeep(mts_Task *task, lua_State *L);
void mts_task_keep(lua_State *L, int reference);

/*
** Adds the task, which the calling thread runs, to the suspended ones.
** Locks: takes queue->mutex.
** Returns: whether its code was cancelled, and hears it only now.
*/
bool mts_task_list_suspended(mts_Task *task);

/*
** Adds a task that has not begun, a fork, to the ready ones.
** Locks: takes queue->mutex, and those of mts_worker_schedule.
** Returns: false if the queue is closed: then nothing has changed.
*/
bool mts_task_add_fork(mts_Task *task);

/*
** Takes the ready task that goes on next, or NULL; whether there is one.
*/
mts_Task *mts_task_take_ready(mts_Queue *queue) MTS_REQUIRES(queue->mutex);
bool mts_task_has_ready(const mts_Queue *queue) MTS_REQUIRES(queue->mutex);

/* How many ready tasks there are; counts no more than limit. */
size_t mts_task_count_ready(const mts_Queue *queue, size_t limit)
    MTS_REQUIRES(queue->mutex);

/*
** Ends the wait of the task of a request, if it is suspended: it is cancelled.
** A fork that has not begun never does.
** Locks: takes the mutex of the queue; no mutex may be held.
** Returns: whether it is suspended, or going to be told when it goes on, or
** never begins.
*/
bool mts_task_cancel(mts_Request *request);

/*
** Takes their requests, but for sends, from all suspended and ready tasks that
** have begun: they are not going on any more, as the queue is closed.
** Returns: a list; *sends: how many are sends.
*/
mts_Request *mts_task_detach_requests(mts_Queue *queue, size_t *sends)
    MTS_REQUIRES(queue->mutex);

/*
** Takes all tasks that are suspended or ready out of the queue, which is
** closed; waits, not long, for those whose wait others are just finishing.
** Locks: takes queue->mutex.
** Returns: a list of them.
*/
mts_Task *mts_task_take_all(mts_Queue *queue);

/* Frees the tasks that are kept to be used again; their Lua state is gone. */
void mts_task_free_idle(mts_Queue *queue);

MTS_END_HIDDEN

#endif
