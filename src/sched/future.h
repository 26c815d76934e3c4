/*
** future.h - the answer to a request, there or still to be given
*/
#ifndef MTS_FUTURE_H
#define MTS_FUTURE_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "async_util.h"
#include "state.h"
#include "util.h"
#include "value/codec.h"

MTS_BEGIN_HIDDEN

typedef struct mts_FutureWait mts_FutureWait;

/*
** Front part of a request; see future.c.  The answer is status, with MTS_OK
** values, the results; with MTS_RAISED text, the error, and, if has_value is
** true, values, the error value; other statuses, as MTS_CLOSED, say it all.
** What nobody can wait for, a send, uses the first part only.
*/
typedef struct mts_Future {
  atomic_size_t references;
  atomic_bool is_answered; /* the answer does not change any more */
  atomic_bool is_read;     /* somebody has got the answer */
  bool has_value;
  mts_Status status;
  mts_State *state;   /* that was asked */
  mts_Message values; /* until the request has been run, the arguments */
  mts_Buffer text;    /* with MTS_RAISED */

  mts_Mutex mutex;
  mts_FutureWait *first_wait; /* threads that wait, guarded by mutex */
} mts_Future;

/* Thread safe. */
void mts_future_retain(mts_Future *future);

/*
** The last release frees the future, and has its error logged if nobody has
** got it.
** Locks: no mutex may be held: states can be closed.
*/
void mts_future_release(mts_Future *future);

/*
** Whether mts_future_wait would not wait.  Then the answer can be read.
*/
static inline bool mts_future_is_answered(const mts_Future *future)
{
  return atomic_load_explicit(&future->is_answered, memory_order_acquire);
}

/*
** Notes that the caller gives the answer to Lua code: it need not be logged.
*/
static inline void mts_future_note_read(mts_Future *future)
{
  atomic_store_explicit(&future->is_read, true, memory_order_relaxed);
}

/*
** Waits until there is an answer.  deadline: a point of the clock.
** Locks: takes future->mutex.
** Returns: MTS_OK; MTS_BUSY if the deadline has passed; MTS_NO_MEMORY if the
** thread is a worker and nothing can take its place; MTS_FORKED;
** MTS_DEADLOCK if there is no deadline and the thread itself keeps the state
** from answering.
*/
mts_Status mts_future_wait(mts_Future *future, double deadline);

/*
** Takes the request back, if it has not begun: it never begins.
** Locks: takes the mutex of the queue.
** Owns: then the caller has the reference that the request had.
** Returns: whether that was so.
*/
bool mts_future_withdraw(mts_Future *future);

/*
** The answer, which the caller has stored, is complete.
** Locks: takes future->mutex; no mutex may be held.
** Owns: takes the reference of the request.
*/
void mts_future_answer(mts_Future *future);

/* The same with a status without a text. */
void mts_future_fail(mts_Future *future, mts_Status status);

MTS_END_HIDDEN

#endif
