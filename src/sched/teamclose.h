/*
** teamclose.h - the end of a pool and its members
*/
#ifndef MTS_TEAMCLOSE_H
#define MTS_TEAMCLOSE_H

#include "base/compiler.h"

#include "core/wait.h"
#include "sched/team.h"

MTS_BEGIN_HIDDEN

/* As mts_closing_close and mts_closing_finish, for a pool. */
mts_Status mts_teamclose_close(mts_State *pool, const mts_Patience *patience);
mts_Status mts_teamclose_finish(mts_State *pool, const mts_Patience *patience,
                                bool *is_done);

/*
** The setup of a member has failed: closes the pool, which is perhaps closed
** already, and waits for the members.
** Locks: no mutex may be held.
*/
void mts_teamclose_give_up(mts_State *pool);

/*
** Closes a pool as one of all services: when what was sent is done, or
** patience is over; waits for the end of the members as long as closing says.
** Locks: no mutex may be held.
** Returns: MTS_OK; what mts_wait_begin and mts_wait_sleep return, but
** MTS_BUSY.
*/
mts_Status mts_teamclose_shut(mts_State *pool, const mts_Patience *patience,
                              const mts_Patience *closing);

/*
** The pool has lost its last owner; as mts_queueclose_when_idle.
** Locks: takes those of queues, one at a time.
*/
bool mts_teamclose_when_idle(mts_State *pool);

/*
** s, a pool or a member of one, takes no more requests: neither do the others,
** and all are closed.
** Locks: no mutex may be held.
*/
void mts_teamclose_follow(mts_State *s);

/*
** A worker has served the member, to which it has a reference: closes it, if
** it is to be closed by a turn.
** Locks: no mutex may be held.
*/
void mts_teamclose_after_turn(mts_State *s);

/*
** The Lua state of the member is closed.
** Locks: takes that of the pool's queue; no other mutex may be held.
*/
void mts_teamclose_note_end(mts_State *s);

/*
** Of a state, or of a pool and its members together.
** Locks: as mts_queue_stats.
*/
mts_QueueStats mts_teamclose_stats(mts_State *s);

MTS_END_HIDDEN

#endif
