/*
** statestats.h - what there is to tell of a state
*/
#ifndef MTS_STATESTATS_H
#define MTS_STATESTATS_H

#include "base/compiler.h"

#include "sched/queue.h"
#include "state.h"

MTS_BEGIN_HIDDEN

typedef struct mts_StateStats {
  size_t owners;
  mts_QueueStats queue;
  size_t waiting; /* threads that wait to get in */
  size_t calls;   /* that have begun; requests, too */
  size_t errors;  /* of these, that have failed */
  size_t memory;  /* bytes of the Lua state */
  size_t peak;    /* the most that it ever had */
  double time;    /* seconds that it has been used */
  bool is_busy;   /* code of its callback runs */
  double busy;    /* then: for so many seconds */
  long thread;    /* then: what the system calls the thread; 0: not known */
} mts_StateStats;

/*
** Reads them; those of a pool are the sums of its members, busy is the longest
** of them, and thread 0.
** Locks: those of the registry, of the state, and of queues, one at a time; no
** mutex may be held.
** Returns: MTS_OK; MTS_CLOSED: then there are no owners, but what it has done
** is told.
*/
mts_Status mts_statestats_read(mts_State *s, mts_StateStats *stats);

MTS_END_HIDDEN

#endif
