/*
** deferral.h - requests that are answered when another future is
*/
#ifndef MTS_DEFERRAL_H
#define MTS_DEFERRAL_H

#include "base/compiler.h"

#include "sched/queue.h"
#include "sched/request.h"

MTS_BEGIN_HIDDEN

/*
** The request, which has ended and is no send, is answered as that future is,
** when that is.
** Locks: takes the mutexes of the queue and the future, one at a time, and
** those of mts_future_answer.
** Owns: takes the reference of the request, and the caller's to the source.
*/
void mts_deferral_begin(mts_Request *request, mts_Future *source);

/*
** What the deferred request waits for; NULL: its wait is over.
** Locks: called with that of the queue.
*/
const mts_Future *mts_deferral_source(const mts_Request *request);

/*
** Answers the request, if it is deferred, as one that was cancelled.
** Locks: as mts_deferral_begin.
** Returns: whether it was.
*/
bool mts_deferral_cancel(mts_Request *request);

/*
** Answers all requests of the queue, which is closed, that are deferred.
** Locks: as mts_deferral_begin.
*/
void mts_deferral_close_all(mts_Queue *queue);

MTS_END_HIDDEN

#endif
