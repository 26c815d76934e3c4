/*
** promise.h - what answers a future by hand
*/
#ifndef MTS_PROMISE_H
#define MTS_PROMISE_H

#include "base/compiler.h"

#include "sched/future.h"

MTS_BEGIN_HIDDEN

/* What is logged of a promise that was dropped. */
extern const char mts_promise_abandoned[];

/*
** A new promise, which is that of the future.
** Owns: the caller has a reference to the future, and another one and one to
** the promise, to be given back with mts_promise_release.
** Returns: NULL if there is no memory.
*/
mts_Future *mts_promise_new(void);

/*
** One more, or less, who can answer the future.  When nobody can, it is
** answered with MTS_ABANDONED.
** Locks: no mutex may be held for mts_promise_release: states can be closed.
*/
void mts_promise_retain(mts_Future *future);
void mts_promise_release(mts_Future *future);

/* Whether others than the caller, who can, can answer the future. */
bool mts_promise_is_shared(const mts_Future *future);

/*
** Answers the future, if it is not answered yet: with values; with an error,
** its text and its value; or with a status that has no text.
** Locks: no mutex may be held.
** Owns: takes what is in the messages and the text, also if it is answered.
** Returns: false if the future was answered.
*/
bool mts_promise_set(mts_Future *future, mts_Message *values);
bool mts_promise_raise(mts_Future *future, mts_Buffer *text,
                       mts_Message *value);
bool mts_promise_fail(mts_Future *future, mts_Status status);

MTS_END_HIDDEN

#endif
