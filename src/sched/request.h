/*
** request.h - values that wait for the callback of a state
*/
#ifndef MTS_REQUEST_H
#define MTS_REQUEST_H

#include "base/compiler.h"

#include "base/blocks.h"
#include "sched/future.h"

MTS_BEGIN_HIDDEN

/* What a request, or promise, has if its answer can be waited for. */
typedef struct mts_Asked {
  mts_Mutex mutex;
  mts_WaitList waits; /* guarded by mutex */

  /* The answer is that of this future; see deferral.c; NULL: its own. */
  mts_Future *_Atomic source;

  /* Of a request to a pool that has begun: that one, with a reference. */
  mts_State *pool;

  /* Of a promise; see promise.c. */
  atomic_uint promises;   /* who can answer */
  atomic_bool is_claimed; /* somebody answers, or has answered */
} mts_Asked;

/*
** Processors exchange memory in lines of 64 bytes, which is what requests that
** cross between them cost most.  So a send, which nobody can wait for, has its
** values where others have what waiting takes.
*/
typedef struct mts_Request {
  mts_Future future; /* a request and its future are one object */

  /* In the queue; see queue.c. */
  struct mts_Request *next, *previous;
  bool is_queued;
  bool has_begun;   /* it was taken to be run, and no longer only waits */
  bool is_counted;  /* it takes room */
  bool is_first;    /* nothing ran or waited when it was put */
  bool is_fork;     /* it is answered by a task that a task has made */
  bool is_deferred; /* it has ended so; see deferral.c; guarded by the mutex of
                    ** the queue, as has_begun is */

  /* Constant once others can find the request. */
  bool is_send : 1;  /* nobody can wait for the answer */
  bool is_log : 1;   /* it is for the logger; see log.c */
  bool is_call : 1;  /* a call that the own thread of the state runs */
  bool is_small : 1; /* it has no arguments, and is no block */

  atomic_bool is_cancelled;
  atomic_bool is_untold; /* cancelled, and its code does not know yet */
  struct mts_Task *_Atomic task; /* that runs it and is suspended, or NULL;
                                 ** stored under the mutex of the queue */

  _Alignas(16) mts_Asked asked;

  /* Where short values are; or with MTS_RAISED the text, an mts_Buffer; or,
  ** while the answer is deferred, the wait for it; see deferral.c. */
  _Alignas(16) char space[];
} mts_Request;

/* Bytes of that, and of that of a small one. */
#define MTS_REQUEST_SPACE (MTS_BLOCK_SIZE - sizeof(mts_Request))
#define MTS_SMALL_SPACE sizeof(mts_Wait)

static inline size_t mts_request_space(const mts_Request *request)
{
  return request->is_small ? MTS_SMALL_SPACE : MTS_REQUEST_SPACE;
}

/* The memory that it takes. */
static inline size_t mts_request_size(const mts_Request *request)
{
  const mts_Buffer *bytes = &request->future.values.bytes;
  return sizeof(*request) + mts_request_space(request) +
         (bytes->is_borrowed ? 0 : bytes->capacity);
}

/* The text of the error, with MTS_RAISED. */
static inline mts_Buffer *mts_request_text(mts_Future *future)
{
  return (mts_Buffer *)(void *)((mts_Request *)future)->space;
}

static inline mts_Asked *mts_request_asked(mts_Future *future)
{
  return &((mts_Request *)future)->asked;
}

/*
** A request for s, without arguments, which the caller adds to future.values.
** mts_request_new_asked: one with a future that can be waited for; the caller
** has a reference to that.  mts_request_new_answer: the same, but it takes
** less memory, and no arguments are going to be added.
** Owns: both have a reference of their own, which mts_request_put takes.
** Before that, mts_request_free gives it back.
** Returns: NULL if there is no memory.
*/
mts_Request *mts_request_new(mts_State *s);
mts_Request *mts_request_new_asked(mts_State *s);
mts_Request *mts_request_new_answer(mts_State *s);

/*
** Puts the request into the queue of its state, behind all others, waiting for
** room, if the request takes some.
** sender: the state of the calling code, or NULL.
** Locks: takes the mutex of the queue, and those of mts_wait_begin; no mutex
** may be held.
** Owns: with MTS_OK, the queue has the request's reference; otherwise nothing
** has changed.
** Returns: MTS_OK; MTS_CLOSED; MTS_NO_MEMORY; MTS_FORKED; MTS_BUSY if there
** was no room in time, and what else mts_wait_sleep returns.
*/
mts_Status mts_request_put(mts_Request *request, const mts_State *sender,
                           const mts_Patience *patience);

/*
** The request to a pool begins: s, one of the members, runs it.  To be called
** when it is not in the queue any more: who sees s can rely on that.
** Locks: called with that of the pool's queue.
*/
void mts_request_bind(mts_Request *request, mts_State *s);

/*
** Frees a request to which nobody has a reference, or which was not put into a
** queue: that one with all its references.
** Locks: no mutex may be held: states can be closed.
*/
void mts_request_free(mts_Request *request);

MTS_END_HIDDEN

#endif
