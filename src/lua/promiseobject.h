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
** for the future whose object is the first argument.  If an object here is the
** only one that can answer it, that keeps the coroutine of the task: if nobody
** has that object any more, the task is garbage with it.
** Stack: [-0, +0, m]
*/
void mts_promiseobject_keep_waiting(lua_State *L);

/*
** The coroutines that the promise at index, an absolute one, keeps are kept by
** the Lua registry again: it is answered, or others can answer it.
** Stack: [-0, +0, -]
*/
void mts_promiseobject_release_waiting(lua_State *L, int index);

MTS_END_HIDDEN

#endif
