/*
** serve.h - a worker runs requests of a state
*/
#ifndef MTS_SERVE_H
#define MTS_SERVE_H

#include "base/compiler.h"

#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/* What a turn is good for; then it is the turn of other states. */
#define MTS_TURN_REQUESTS 64
#define MTS_TURN_SECONDS 1e-3

/*
** Runs requests of a runnable queue, which the calling worker has taken: a
** turn.
** steps: grows with each request that begins; only this thread writes it.
** Locks: no mutex may be held.
** Returns: whether the queue is runnable again; the caller knows it then.
*/
bool mts_serve_turn(mts_Queue *queue, atomic_uint *steps);

/*
** The same for a thread that has other things to do: so many at most, of which
** none begins when MTS_TURN_SECONDS are over.
** *count: grows by how many were run.
*/
#define MTS_TURN_MOST 10000
bool mts_serve_some(mts_Queue *queue, atomic_uint *steps, int most,
                    int *count);

MTS_END_HIDDEN

#endif
