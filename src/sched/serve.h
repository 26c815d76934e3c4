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

MTS_END_HIDDEN

#endif
