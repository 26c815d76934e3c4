/*
** futureobject.h - futures as objects of Lua code
*/
#ifndef MTS_FUTUREOBJECT_H
#define MTS_FUTUREOBJECT_H

#include "base/compiler.h"

#include "luaapi/compat.h"
#include "sched/future.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/* A userdata with a reference to a future. */
typedef struct mts_FutureObject {
  mts_Future *future; /* NULL: not yet, or finalized */
} mts_FutureObject;

/*
** Makes the class of futures.  The context is on top of the stack.
** Stack: [-0, +0, m]
*/
void mts_futureobject_open(lua_State *L);

/*
** Pushes a new object without a future.  Runs in a function of the module.
** Stack: [-0, +1, e]
** Errors: of finalizers.
*/
mts_FutureObject *mts_futureobject_push(lua_State *L);

/*
** Pushes the results that answer the future, or raises its error.  Runs in a
** function of the module.
** Owns: takes a reference to the future, which is answered.
** Returns: how many results.
** Stack: [-0, +returned, v]
** Errors: what the answer says; those of mts_deep_push_copies.
*/
int mts_futureobject_push_answer(lua_State *L, mts_Future *future);

/*
** The same, but pushes the error, too.
** Returns: whether there are results; else the error is on top of the stack.
** Stack: [-0, +n, -]
*/
bool mts_futureobject_push_outcome(lua_State *L, mts_Future *future);

/*
** Returns: what tostring says of a future; NULL: that of a finalized object.
*/
const char *mts_futureobject_status(const mts_Future *future);

/*
** Gives back a reference.  Runs in a function of the module.
** Locks: no mutex may be held.
*/
void mts_futureobject_release(lua_State *L, mts_Future *future);

/*
** The last call of a function: waits for the answer, and returns it, after
** true if has_success.
** Owns: takes the caller's reference to the future.
** Stack: [-0, +n, v]
*/
int mts_futureobject_await(lua_State *L, mts_Future *future, bool has_success);

MTS_END_HIDDEN

#endif
