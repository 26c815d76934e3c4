/*
** stateobject.h - states as objects of Lua code
**
** A state object has a reference to a state; if it is an owner, it counts
** among the owners of the state, too.  Its finalizer gives both back, at once
** or, if the object is in use by calls, when the last of them returns.
*/
#ifndef MTS_STATEOBJECT_H
#define MTS_STATEOBJECT_H

#include "base/compiler.h"

#include <stdbool.h>

#include "lua/userdata.h"
#include "luaapi/compat.h"
#include "state.h"

MTS_BEGIN_HIDDEN

typedef struct mts_StateObject {
  mts_State *state;      /* NULL: not yet, or released */
  mts_State *host_state; /* as in mts_Context */
  bool is_owner;
  bool is_finalized;
  unsigned short calls; /* in progress through this object, nested */
  int kb;               /* what it has added to the context's pressure */
} mts_StateObject;

/*
** Pushes the metatable of state objects, with their methods.  The context is
** on top of the stack.
** Stack: [-0, +1, m]
*/
void mts_stateobject_push_class(lua_State *L);

/*
** Pushes a new object without a state.  The running function is one of this
** class.
** Stack: [-0, +1, e]
** Errors: of finalizers.
*/
mts_StateObject *mts_stateobject_push(lua_State *L);

/*
** The object that a method is called for.
** Stack: [-0, +1, v]
** Errors: an argument error.
*/
static inline mts_StateObject *mts_stateobject_check(lua_State *L)
{
  return mts_userdata_check(L, MTS_STATE_CLASS);
}

/* As mts_userdata_state, for the Lua state that the object belongs to. */
static inline mts_State *mts_stateobject_caller(lua_State *L,
                                                const mts_StateObject *object)
{
  if (object->host_state || !mts_self.has_host)
    return object->host_state;
  return mts_userdata_state(L);
}

/* Raises object_closed.  Returns: never.  Stack: [-0, +1, v] */
int mts_stateobject_raise_finalized(lua_State *L);

/*
** The same; the object has a state.  Code in finalizers can still see one that
** has none.
** Stack: [-0, +1, v]
** Errors: an argument error, object_closed.
*/
static inline mts_StateObject *mts_stateobject_check_live(lua_State *L)
{
  mts_StateObject *object = mts_stateobject_check(L);
  if (!object->state || object->is_finalized)
    mts_stateobject_raise_finalized(L);
  return object;
}

/*
** Gives ownership back.  If it was the last, the state is closed now or when
** the call in progress returns, or its requests are done.
** Stack: [-0, +0, -]
*/
void mts_stateobject_disown(lua_State *L, mts_StateObject *object);

/* Gives the reference of a finalized object back, unless a call uses it. */
static inline void mts_stateobject_release(mts_StateObject *object)
{
  if (object->is_finalized && object->calls == 0) {
    mts_state_release(object->state);
    object->state = NULL;
  }
}

/*
** The state that the object at index refers to.  Looks into the Lua registry.
** Returns: NULL if it is no state object, or has been finalized.
** Stack: [-0, +0, m]
*/
mts_State *mts_stateobject_to_state(lua_State *L, int index);

MTS_END_HIDDEN

#endif
