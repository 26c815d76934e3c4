/*
** arrivals.h - futures in the order in which they are answered
*/
#ifndef MTS_ARRIVALS_H
#define MTS_ARRIVALS_H

#include "base/compiler.h"

#include <stddef.h>

#include "base/status.h"
#include "sched/future.h"

MTS_BEGIN_HIDDEN

typedef struct mts_Arrivals mts_Arrivals;

/*
** For that many futures, which have to be set, each one once, before
** mts_arrivals_begin.  A future can be set several times: it arrives as often.
** Owns: each set takes a reference to its future, in any case.
** Returns: NULL if there is no memory.
*/
mts_Arrivals *mts_arrivals_new(size_t count);
void mts_arrivals_set(mts_Arrivals *arrivals, size_t number,
                      mts_Future *future);

/*
** From here on the futures arrive: first those that are answered by now.
** Locks: takes the mutexes of the futures and its own, one at a time.
*/
void mts_arrivals_begin(mts_Arrivals *arrivals);

/*
** Takes the future that is next.
** Locks: takes its own mutex, a leaf.
** Owns: gives a reference to *future.
** Returns: MTS_OK: *number is that of the future, or *future is NULL: all were
** taken, or it has ended; MTS_BUSY: none has arrived; there is something to
** look at when *future is answered, with nothing that is to be read;
** MTS_NO_MEMORY; MTS_FORKED.
*/
mts_Status mts_arrivals_take(mts_Arrivals *arrivals, size_t *number,
                             mts_Future **future);

/*
** Nothing is known of it any more, neither by the futures nor by the caller.
** It may not have begun.
** Locks: as mts_arrivals_begin; no mutex may be held: states can be closed.
*/
void mts_arrivals_end(mts_Arrivals *arrivals);

MTS_END_HIDDEN

#endif
