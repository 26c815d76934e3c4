/*
** closing.h - closing states: now, when they are done, or all of them
*/
#ifndef MTS_CLOSING_H
#define MTS_CLOSING_H

#include "base/compiler.h"

#include "core/wait.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Closes s: no request begins any more; the one under way is not waited for,
** but the thread of s is, if it has one and that runs nothing.
** patience: for that, without deadline.
** Locks: no mutex may be held.
** Returns: MTS_OK, also if it was closed before; MTS_BUSY if a call is in
** progress; what mts_wait_begin and mts_wait_sleep return.
*/
mts_Status mts_closing_close(mts_State *s, const mts_Patience *patience);

/*
** The same, but what was sent before is done first, and a call in progress
** ends, if that takes no longer than patience.
** *is_done: whether it was so; if not, s is closed as above.
*/
mts_Status mts_closing_finish(mts_State *s, const mts_Patience *patience,
                              bool *is_done);

/*
** Parts of these, also for the members of a pool.
** mts_closing_await_stop: s, which is closed or closing, has ended, unless it
** runs something.
** mts_closing_await_done: all that was sent before is done; nothing more is
** taken then.
*/
struct mts_Queue;
mts_Status mts_closing_await_stop(mts_State *s, const mts_Patience *patience);
mts_Status mts_closing_await_done(struct mts_Queue *queue,
                                  const mts_Patience *patience);

/*
** Closes s, also if a call is in progress: when that is left.  What waits for
** requests fails.
** Locks: no mutex may be held.
*/
void mts_closing_stop(mts_State *s);

/*
** Closes all services, the youngest first, as mts_closing_finish does, then
** interrupts what still runs, and waits for that, but not for long.
** *is_done: whether all are closed.
** Returns: MTS_OK; what mts_wait_begin and mts_wait_sleep return, but
** MTS_BUSY.
*/
mts_Status mts_closing_shutdown(const mts_Patience *patience, bool *is_done);

/* For upcalls; see core/upcalls.h. */
bool mts_closing_close_unowned(mts_State *s);

MTS_END_HIDDEN

#endif
