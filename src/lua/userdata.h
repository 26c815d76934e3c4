/*
** userdata.h - objects that Lua code sees, and what all functions share
**
** Functions of the module and methods (but those of error objects) have two
** upvalues, so that a call looks nothing up in the Lua registry:
**
**   MTS_METATABLE  the metatable of its class; for a function of the module,
**                  that of the objects which it makes
**   MTS_CONTEXT    the context, one for each Lua state that loads the module
**
** An object is a full userdata that is recognized by its metatable; it is the
** first argument of its methods.
*/
#ifndef MTS_USERDATA_H
#define MTS_USERDATA_H

#include "base/compiler.h"

#include <stddef.h>
#include <string.h>

#include "lua/gcpressure.h"
#include "luaapi/compat.h"
#include "state.h"

MTS_BEGIN_HIDDEN

#define MTS_METATABLE lua_upvalueindex(1)
#define MTS_CONTEXT lua_upvalueindex(2)

typedef struct mts_Context {
  mts_State *host_state;     /* the state that this Lua state is, or NULL */
  lua_State *main;           /* the main Lua thread, or NULL: not known */
  mts_State *here_state;     /* see here.c; without host_state, or NULL */
  mts_State **here_kept;     /* where its memory is kept */
  bool has_ended;            /* the Lua state is closed, or it is with that */
  lua_CFunction open_module; /* opens the module in new states */
  mts_GcPressure pressure;   /* of the states that were made here */
} mts_Context;

static inline mts_Context *mts_userdata_context(lua_State *L)
{
  return lua_touserdata(L, MTS_CONTEXT);
}

/*
** The state whose code runs in L, be it one that the module has made or not,
** or NULL: what mts_interrupt_switch gets when code of others is to run.
*/
static inline mts_State *mts_userdata_state(lua_State *L)
{
  const mts_Context *context = mts_userdata_context(L);
  return context->host_state ? context->host_state : context->here_state;
}

/*
** Pushes a new context, which is that of L from now on.
** Stack: [-0, +1, m]
*/
void mts_userdata_push_context(lua_State *L, lua_CFunction open_module);

/*
** mts_gcpressure_tell_object where no function of the module runs.  L has
** loaded the module.
** Stack: [-0, +0, e]
** Errors: of finalizers.
*/
void mts_userdata_tell_object(lua_State *L);

/*
** Pushes the metatable of a class, with the metamethods and, as __index, a
** table of the methods.  The context is on top of the stack.  Can be done
** again, after it has raised an error, too: the class is registered when it is
** complete, since who finds it there uses it (statehandle.c).
** Stack: [-0, +1, m]
*/
void mts_userdata_push_class(lua_State *L, const char *name,
                             const luaL_Reg *methods,
                             const luaL_Reg *metamethods);

/*
** Adds functions to the table on top of the stack; below it are the context
** and the metatable, in this order.
** Stack: [-0, +0, m]
*/
void mts_userdata_set_functions(lua_State *L, const luaL_Reg *functions);

/*
** Pushes a new object of the class of the running function.
** Returns: its block of that size, all zero; its finalizer can run before the
** caller has filled it.
** Stack: [-0, +1, m]
*/
static inline void *mts_userdata_push(lua_State *L, size_t size)
{
  void *object = lua_newuserdatauv(L, size, 0);
  memset(object, 0, size);
  lua_pushvalue(L, MTS_METATABLE);
  lua_setmetatable(L, -2);
  return object;
}

/*
** The object in the first argument, if it is of the class of the running
** function.  Its metatable can be left on the stack: no call has to pay for
** its removal.
** Returns: NULL if it is something else.
** Stack: [-0, +(0|1), -]
*/
static inline void *mts_userdata_to(lua_State *L)
{
  void *object = lua_touserdata(L, 1);
  if (object && lua_getmetatable(L, 1) && lua_rawequal(L, -1, MTS_METATABLE))
    return object;
  return NULL;
}

/*
** The same; leaves the metatable on the stack.
** Stack: [-0, +1, v]
** Errors: an argument error that names the class.
*/
static inline void *mts_userdata_check(lua_State *L, const char *name)
{
  void *object = mts_userdata_to(L);
  if (!object)
    luaL_typeerror(L, 1, name);
  return object;
}

MTS_END_HIDDEN

#endif
