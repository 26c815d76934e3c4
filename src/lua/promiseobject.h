/*
** promiseobject.h - promises as objects of Lua code
*/
#ifndef MTS_PROMISEOBJECT_H
#define MTS_PROMISEOBJECT_H

#include "base/compiler.h"

#include "luaapi/compat.h"
#include "sched/promise.h"

MTS_BEGIN_HIDDEN

/* A userdata that can answer a future. */
typedef struct mts_PromiseObject {
  mts_Future *future; /* NULL: not yet, or finalized */
} mts_PromiseObject;

/*
** Makes the class of promises.  The context is on top of the stack.
** Stack: [-0, +0, m]
*/
void mts_promiseobject_open(lua_State *L);

/* mtstates.promise() */
int mts_promiseobject_promise(lua_State *L);

/*
** The task that the calling thread runs is going to wait, without a deadline,
** for the future whose object is the first argument.  If its promise is an
** object here, that keeps the coroutine of the task: if nobody can answer the
** future any more, the task is garbage with it.
** Stack: [-0, +0, m]
*/
void mts_promiseobject_keep_waiting(lua_State *L);

MTS_END_HIDDEN

#endif
