/*
** host.h - the state of a Lua state that the module has not made
*/
#ifndef MTS_HOST_H
#define MTS_HOST_H

#include "base/compiler.h"

#include "core/call.h"
#include "core/wait.h"
#include "sched/queue.h"

MTS_BEGIN_HIDDEN

/*
** A state for the Lua state of L, which is not one of the module: for its
** tasks, and to be published, with or without a callback.
** Owns: the caller has the reference to *s, to be given back by
** mts_host_close.
** Returns: MTS_OK, MTS_TOO_DEEP, MTS_NO_MEMORY.
** Stack: [-0, +0, m]
*/
mts_Status mts_host_new(lua_State *L, mts_State **s);

/*
** Ends its tasks; the Lua state, which runs L, stays.
** Locks: no mutex may be held.
** Stack: [-0, +0, -]
*/
void mts_host_close(mts_State *s, lua_State *L);

/*
** Whether the calling thread is inside the state: code of a task of it runs,
** or of a call.
*/
bool mts_host_is_inside(const mts_State *s);

/*
** Makes the state busy for the calling thread, which runs the Lua state but is
** not inside, and may use it as after mts_state_enter; mts_host_leave ends
** that.
** Returns: MTS_OK, MTS_CLOSED, MTS_TOO_DEEP.
*/
mts_Status mts_host_enter(mts_State *s);
void mts_host_leave(mts_State *s);

/* ======================================================================= */
/* Run                                                                     */
/* ======================================================================= */

/*
** Runs, if there is something to be run: to be called by the thread that runs
** the Lua state, which is in L.  Closes the state if that is up to it.
** mts_host_run: for one turn.
** mts_host_run_due: requests and ready tasks that are there by now, but begins
** none after MTS_TURN_SECONDS; *count: how many.  Nothing inside the state.
** Locks: no mutex may be held.
** Returns: MTS_OK; MTS_DISTURBED if a hook of the host has raised an error,
** which is on top of the stack.
** Stack: [-0, +(0|1), -]
*/
mts_Status mts_host_run(mts_State *s, lua_State *L);
mts_Status mts_host_run_due(mts_State *s, lua_State *L, int *count);

/*
** Whether the calling thread, which runs code of another state, can call s as
** one that is nested: it is inside, or code of s has called what runs.
*/
bool mts_host_can_nest(const mts_State *s);

/* Then it does that: as mts_call_deep. */
mts_Status mts_host_call(mts_State *s, lua_State *L,
                         const mts_Message *message, double timeout,
                         mts_Results *results, mts_Failure *failure);

/* ======================================================================= */
/* Wake                                                                    */
/* ======================================================================= */

/* For mts_Patience.attach: what there is to run disturbs the wait. */
void mts_host_attach(mts_State *s, mts_Wait *wait);

/*
** The queue is runnable, or the state is to be closed.
** Locks: takes queue->mutex.
*/
void mts_host_wake(mts_Queue *queue);

/*
** The descriptor that is readable as long as mts_host_run has something to do;
** -1: there is none to be had.
** Locks: takes queue->mutex.
*/
int mts_host_fd(mts_State *s);

/* Closes the descriptor, if there is one.  Locks: takes queue->mutex. */
void mts_host_close_fd(mts_State *s);

MTS_END_HIDDEN

#endif
