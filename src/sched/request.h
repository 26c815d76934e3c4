/*
** request.h - values that wait for the callback of a state
*/
#ifndef MTS_REQUEST_H
#define MTS_REQUEST_H

#include "base/compiler.h"

#include "base/blocks.h"
#include "sched/future.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Request {
  mts_Future future; /* a request and its future are one object */

  /* In the queue; see queue.c. */
  struct mts_Request *next, *previous;
  bool is_queued;
  bool is_counted; /* it takes room */
  bool is_send;    /* nobody can wait for the answer */
  bool is_log;     /* it is for the logger; see log.c */

  _Alignas(16) char space[]; /* where short values are */
} mts_Request;

#define MTS_REQUEST_SPACE (MTS_BLOCK_SIZE - sizeof(mts_Request))

/*
** A request for s, without arguments, which the caller adds to future.values.
** mts_request_new_asked: one with a future that can be waited for; the caller
** has a reference to that.
** Owns: both have a reference of their own, which mts_request_put takes.
** Before that, mts_request_free gives it back.
** Returns: NULL if there is no memory.
*/
mts_Request *mts_request_new(mts_State *s);
mts_Request *mts_request_new_asked(mts_State *s);

/*
** Puts the request into the queue of its state, behind all others, waiting for
** room until the deadline (a point of the clock; 0: not at all).
** sender: the state of the calling code, or NULL.
** Locks: takes the mutex of the queue; no mutex may be held.
** Owns: with MTS_OK, the queue has the request's reference; otherwise nothing
** has changed.
** Returns: MTS_OK; MTS_BUSY: there was no room in time; MTS_CLOSED;
** MTS_NO_MEMORY; MTS_FORKED.
*/
mts_Status mts_request_put(mts_Request *request, const mts_State *sender,
                           double deadline);

/*
** Frees a request to which nobody has a reference, or which was not put into a
** queue: that one with all its references.
** Locks: no mutex may be held: states can be closed.
*/
void mts_request_free(mts_Request *request);

MTS_END_HIDDEN

#endif
