/*
** future.h - the answer to a request or promise, there or still to be given
*/
#ifndef MTS_FUTURE_H
#define MTS_FUTURE_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "async_util.h"
#include "core/wait.h"
#include "state.h"
#include "util.h"
#include "value/codec.h"

MTS_BEGIN_HIDDEN

/*
** Front part of a request or of a promise; see future.c.  The answer is
** status, with MTS_OK values, the results; with MTS_RAISED text (see
** request.h), the error, and, if has_value is true, values, the error value;
** other statuses, as MTS_CLOSED, say it all.
*/
typedef struct mts_Future {
  atomic_size_t references;
  atomic_bool is_answered; /* the answer does not change any more */
  atomic_bool is_read;     /* somebody has got the answer */
  bool has_value;
  mts_Status status;
  /* That was asked; from its begin on the member of a pool that runs it. */
  mts_State *_Atomic state; /* NULL: it is that of a promise */
  mts_Message values;       /* until the request has been run, the arguments */
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
** Returns: the future with the answer, as long as the caller has that one.
*/
mts_Future *mts_future_read(mts_Future *future);

/*
** Waits until there is an answer.
** Locks: takes the mutex of the future, and those of mts_wait_begin.
** Returns: MTS_OK; MTS_FORKED; what mts_wait_begin and mts_wait_sleep return.
*/
mts_Status mts_future_wait(mts_Future *future, const mts_Patience *patience);

/*
** Takes the request back, if it has not begun: it never begins.
** Locks: takes the mutex of the queue.
** Owns: then the caller has the reference that the request had.
** Returns: whether that was so.
*/
bool mts_future_withdraw(mts_Future *future);

/*
** Cancels the request: it never begins, or its code raises `cancelled`.  A
** promise is answered with that.
** Locks: takes those of mts_interrupt_cancel; no mutex may be held: states can
** be closed.
** Returns: false if there is an answer already.
*/
bool mts_future_cancel(mts_Future *future);

/*
** The answer, which the caller has stored, is complete.
** Locks: takes the mutex of the future; no mutex may be held.
** Owns: takes the reference of the request.
*/
void mts_future_answer(mts_Future *future);

/*
** The wait is finished when there is an answer; false: there is one already.
** mts_future_delist: the wait is not known there any more.
** Locks: take the mutex of the future.
*/
bool mts_future_enlist(mts_Future *future, mts_Wait *wait);
void mts_future_delist(mts_Future *future, mts_Wait *wait);

/* The same with a status without a text. */
void mts_future_fail(mts_Future *future, mts_Status status);

MTS_END_HIDDEN

#endif
