/*
** teamcall.h - calls of a pool go to a member that is free
*/
#ifndef MTS_TEAMCALL_H
#define MTS_TEAMCALL_H

#include "base/compiler.h"

#include "core/call.h"
#include "sched/team.h"

MTS_BEGIN_HIDDEN

/*
** As mts_call_deep, of a member that is free; one that the calling thread is
** inside counts as free if no other is.  timeout: to get one.
** mts_teamcall_call_plain: as mts_call.
*/
mts_Status mts_teamcall_call(mts_State *pool, lua_State *L,
                             const mts_Message *message, double timeout,
                             mts_Results *results, mts_Failure *failure);
mts_Status mts_teamcall_call_plain(mts_State *pool, const mts_Values *args,
                                   double timeout, mts_Results *results,
                                   mts_Failure *failure);

/*
** Whether only other threads run the calls of the pool, in line with requests:
** those of its members, none of which the calling thread is inside.
*/
bool mts_teamcall_runs_elsewhere(const mts_State *pool);

/*
** The member was left by a thread that mts_lock_request has asked.
** Locks: takes that of the pool's queue.
** Returns: whether it is kept for a call now.
*/
bool mts_teamcall_offer(mts_State *s);

/* How many callers wait for a member.  Locks: as mts_teamcall_offer. */
size_t mts_teamcall_count(const mts_State *pool);

/* The pool is closed: nobody waits any more.  Locks: as mts_teamcall_offer. */
void mts_teamcall_dismiss(mts_State *pool);

MTS_END_HIDDEN

#endif
