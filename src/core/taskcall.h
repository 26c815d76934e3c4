/*
** taskcall.h - running the callback of a state in a coroutine
*/
#ifndef MTS_TASKCALL_H
#define MTS_TASKCALL_H

#include "base/compiler.h"

#include "core/exchange.h"
#include "core/failure.h"
#include "core/interruptnode.h"
#include "core/timelimit.h"
#include "state.h"
#include "value/codec.h"
#include "value/decode.h"

MTS_BEGIN_HIDDEN

/* What a task begins with, if that cannot be pushed at once. */
typedef struct mts_Opening {
  mts_Call call;
  mts_Decoder decoder;
  mts_Message *message; /* NULL: there are no arguments */
} mts_Opening;

/*
** A stretch of a task: the state runs one of its coroutines, which is idle,
** that is empty, or has yielded.  All of this is for the thread that holds the
** state, and no other call of the state is in progress.
*/
typedef struct mts_Stretch {
  mts_State *state;
  lua_State *co;
  lua_State *outer;
  mts_Resume link;
  mts_Opening *opening;  /* of the first stretch, or NULL */
  mts_Runtime *runtime;  /* if there are limits of time; see taskrun.c */
  mts_Runtime unlimited; /* that, if the state has none */
} mts_Stretch;

/*
** Begins and ends a stretch: in between code that runs in co, resumed or not,
** is hit by interrupts.
** Locks: those of mts_interrupt_switch.
*/
void mts_taskcall_enter(mts_Stretch *stretch, mts_State *s, lua_State *co);
void mts_taskcall_leave(mts_Stretch *stretch);

/*
** Sets the hook of the main Lua thread, if users have set one there, in co, as
** a debugger or profiler would want it; mts_taskcall_clear_hook: sets none.
*/
void mts_taskcall_copy_hook(const mts_State *s, lua_State *co);
void mts_taskcall_clear_hook(lua_State *co);

/*
** Pushes onto co, which is idle, the callback, or what the first value of the
** message chooses, and its arguments, or has mts_taskcall_resume do that; the
** message is freed then, unless it has handles.
** opening: is used up to the end of the stretch.  message: NULL: none.
** Returns: MTS_OK, with *count values to resume with; MTS_RAISED with *failure
** set; MTS_NO_MEMORY: then co is empty.
*/
mts_Status mts_taskcall_prepare(mts_Stretch *stretch, mts_Opening *opening,
                                mts_Message *message, mts_Failure *failure,
                                int *count);

/*
** Pushes what lies on co below the function that is to run, if that was not
** pushed by mts_taskcall_prepare.
** Stack of co: [-0, +n, -]
*/
void mts_taskcall_push_frame(const mts_State *s, lua_State *co);

/* How a coroutine fails that can be used again; no status of Lua. */
#define MTS_TASK_FAILED 100

/*
** Resumes co with the count values on top of it.
** Returns: LUA_OK: it is idle, with results; LUA_YIELD; else it has failed,
** with the error value on top.
*/
int mts_taskcall_resume(const mts_Stretch *stretch, int count);

/*
** Moves the results on co, which is idle and then empty, into the message;
** NULL: they are discarded.
** Returns: MTS_OK; MTS_RAISED or MTS_DEFERRED, with *failure set;
** MTS_NO_MEMORY.
*/
mts_Status mts_taskcall_deliver(const mts_Stretch *stretch,
                                mts_Message *results, mts_Failure *failure);

/*
** Reports the error of co.
** result: what it has failed with; LUA_YIELD: it has yielded, which it must
** not.
** wants_value: whether the error value is stored, if it crosses.
** Returns: MTS_RAISED with *failure set; MTS_NO_MEMORY.  *is_idle: whether co
** can be used again.
*/
mts_Status mts_taskcall_report(const mts_Stretch *stretch, int result,
                               bool wants_value, mts_Failure *failure,
                               bool *is_idle);

/*
** Closes co, which has yielded, and before it the coroutines that wait with
** it: to-be-closed variables run, whose errors are reported.
*/
void mts_taskcall_close(const mts_Stretch *stretch);

MTS_END_HIDDEN

#endif
