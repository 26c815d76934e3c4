/*
** handle.c - states as Lua code sees them
**
** A state object is a full userdata with a reference to a state; if it is an
** owner it counts among the owners of the state, too.  The functions newstate,
** state, singleton and id and all methods are here: they check arguments, call
** the rooms below, and raise what those report.  Whenever an error can be
** raised, nothing is held that the garbage collector would not clean up: no
** lock, no state, no plain memory.
**
** Every function has two upvalues, so that nothing has to be looked up: the
** metatable of state objects and what all functions share, the context.
*/
#include "lua/handle.h"

#include <stdio.h>

#include "core/call.h"
#include "error.h"
#include "core/anchor.h"
#include "core/interrupt.h"
#include "core/newstate.h"
#include "core/registry.h"
#include "lua/gcpressure.h"

#define METATABLE lua_upvalueindex(1)
#define CONTEXT lua_upvalueindex(2)

/* One for each Lua state that has loaded the module. */
typedef struct Context {
  mts_State *home;        /* the state that this Lua state is, or NULL */
  mts_GcPressure weights; /* of the states that were made here */
  lua_CFunction open_module;
} Context;

typedef struct Handle {
  mts_State *state; /* NULL: not yet, or released */
  mts_State *home;  /* as in Context */
  bool is_owner;
  bool is_finalized; /* then the state is released at the end of all calls */
  unsigned short calls; /* in progress through this object, nested */
  int weight;           /* of the state (KB); see weight.h */
} Handle;

static Context *context(lua_State *L)
{
  return lua_touserdata(L, CONTEXT);
}

/* ======================================================================= */
/* State objects                                                           */
/* ======================================================================= */

/* Stack: [-0, +1, m] */
static Handle *push_handle(lua_State *L)
{
  Handle *handle = lua_newuserdatauv(L, sizeof(*handle), 0);
  *handle = (Handle){.home = context(L)->home};
  lua_pushvalue(L, METATABLE);
  lua_setmetatable(L, -2);
  return handle;
}

/*
** The handle in the first argument, or NULL.  Its metatable can be left on the
** stack: no call has to pay for its removal.  Stack: [-0, +(0|1), -]
*/
static inline Handle *to_handle(lua_State *L)
{
  Handle *handle = lua_touserdata(L, 1);
  if (handle && lua_getmetatable(L, 1) && lua_rawequal(L, -1, METATABLE))
    return handle;
  return NULL;
}

/* Stack: [-0, +1, v] */
static inline Handle *check_handle(lua_State *L)
{
  Handle *handle = to_handle(L);
  if (!handle)
    luaL_typeerror(L, 1, MTS_STATE_CLASS);
  return handle;
}

/*
** A handle that has a state: code in finalizers can see others.
** Stack: [-0, +1, v]
*/
static inline Handle *check_open_handle(lua_State *L)
{
  Handle *handle = check_handle(L);
  if (!handle->state || handle->is_finalized)
    mts_error_raise(L, MTS_ERROR_OBJECT_CLOSED, "the object is finalized");
  return handle;
}

/* Stack: [-0, +0, v] */
static mts_State *check_state(lua_State *L)
{
  mts_State *s = check_open_handle(L)->state;
  lua_pop(L, 1);
  return s;
}

mts_State *mts_handle_to_state(lua_State *L, int index)
{
  Handle *handle = luaL_testudata(L, index, MTS_STATE_CLASS);
  return handle ? handle->state : NULL;
}

/* Raises what a function reported about s. */
static int raise_about(lua_State *L, mts_Status status, const mts_State *s)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(s, description);
  return mts_error_raise_status(L, status, description);
}

/* Raises the text that a call came back with. */
static int raise_text(lua_State *L, mts_Status status, mts_Buffer *error_text)
{
  if (status != MTS_RAISED)
    return mts_error_raise_status(L, status, "call");
  mts_error_push_message(L, error_text);
  return lua_error(L);
}

/*
** Code of other states, which also runs when one is closed, can call back into
** the state that L belongs to.  So before it runs, that state has to know that
** L is what runs in it; restore_running takes what set_running returns.
*/
static lua_State *set_running(lua_State *L)
{
  return mts_interrupt_switch(context(L)->home, L);
}

static void restore_running(lua_State *L, lua_State *outer)
{
  mts_interrupt_switch(context(L)->home, outer);
}

/* The state is closed, or no matter of this object any more. */
static void remove_weight(lua_State *L, Handle *handle)
{
  mts_gcpressure_remove(&context(L)->weights, handle->weight);
  handle->weight = 0;
}

/* Closes the state, if it is not in use. */
static mts_Status close_state(lua_State *L, Handle *handle)
{
  lua_State *outer = set_running(L);
  mts_Status status = mts_registry_close(handle->state);
  restore_running(L, outer);
  if (status == MTS_OK)
    remove_weight(L, handle);
  return status;
}

/*
** Gives ownership back.  If it was the last, the state is closed now or when
** the call in progress returns.
*/
static void disown(lua_State *L, Handle *handle)
{
  if (handle->is_owner) {
    lua_State *outer = set_running(L);
    handle->is_owner = false;
    mts_registry_drop_owner(handle->state);
    restore_running(L, outer);
    remove_weight(L, handle);
  }
}

/* Gives the reference of a finalized handle back, when nobody uses it. */
static void release_if_unused(Handle *handle)
{
  if (handle->is_finalized && handle->calls == 0) {
    mts_state_release(handle->state);
    handle->state = NULL;
  }
}

/* ======================================================================= */
/* Creation                                                                */
/* ======================================================================= */

/* Ends a state that never got ready. */
static void discard(mts_State *s)
{
  mts_state_close_when_free(s);
  mts_state_leave(s);
}

/*
** Runs the setup of the new state of the handle on top of the stack.  Returns
** how many values are to be returned to Lua: the handle and further results.
*/
static int open_state(lua_State *L, Handle *handle, const mts_Setup *setup,
                      int index)
{
  mts_Buffer error_text = {0};
  mts_State *s = handle->state;
  int top = lua_gettop(L);
  lua_State *outer = set_running(L);
  mts_Status status;
  handle->calls++; /* os.exit in the setup can finalize the handle */
  status = mts_newstate_run(s, setup, &error_text);
  handle->calls--;
  if (status == MTS_OK) {
    handle->weight = lua_gc(s->L, LUA_GCCOUNT, 0);
    mts_gcpressure_add(&context(L)->weights, handle->weight);
    mts_registry_publish(s);
    handle->is_owner = true;
    mts_state_leave(s);
  }
  else {
    mts_registry_give_up(s);
    discard(s);
  }
  restore_running(L, outer);
  if (status == MTS_OK)
    return lua_gettop(L) - top + 1;
  if (status == MTS_NO_MEMORY)
    return raise_about(L, status, s);
  if (status != MTS_SYNTAX)
    return raise_text(L, status, &error_text);
  if (!mts_error_push_message(L, &error_text))
    return lua_error(L);
  return luaL_argerror(L, index, lua_tostring(L, -1));
}

/* Gives the handle a new state; the calling thread holds it. */
static void create(lua_State *L, Handle *handle, const char *name,
                   size_t length)
{
  mts_Status status;
  mts_gcpressure_tell(&context(L)->weights, L);
  status = mts_registry_new_state(name, length, &handle->state);
  if (status != MTS_OK)
    mts_error_raise_status(L, status, "new state");
}

/* As mts_setup_check. */
static int check_setup(lua_State *L, int libs, mts_Setup *setup)
{
  setup->open_module = context(L)->open_module;
  return mts_setup_check(L, libs, setup);
}

/* mtstates.newstate([name,] [libs,] setup, ...) */
static int newstate(lua_State *L)
{
  const char *name = NULL;
  size_t length = 0;
  int libs = 1;
  int index;
  mts_Setup setup;
  Handle *handle;
  if (lua_isnil(L, 1) ||
      (lua_type(L, 1) == LUA_TSTRING && lua_gettop(L) > 1)) {
    name = lua_tolstring(L, 1, &length); /* NULL for nil */
    libs = 2;
  }
  index = check_setup(L, libs, &setup);
  handle = push_handle(L);
  create(L, handle, name, length);
  return open_state(L, handle, &setup, index);
}

static int raise_name_error(lua_State *L, mts_Status status, const char *name,
                            size_t length)
{
  char quoted[MTS_QUOTED_SIZE];
  mts_util_quote(quoted, name, length);
  lua_pushfstring(L, "name %s", quoted);
  return mts_error_raise_status(L, status, lua_tostring(L, -1));
}

/* What is created for the name of a singleton but comes too late. */
static void exchange(Handle *handle, mts_State *found)
{
  discard(handle->state);
  mts_state_release(handle->state);
  handle->state = found;
}

/* mtstates.singleton(name, [libs,] setup, ...) */
static int singleton(lua_State *L)
{
  const char *name;
  size_t length;
  mts_Setup setup;
  mts_State *found;
  mts_Status status;
  Handle *handle;
  int index;
  if (lua_type(L, 1) != LUA_TSTRING)
    luaL_typeerror(L, 1, "string");
  name = lua_tolstring(L, 1, &length);

  handle = push_handle(L);
  status = mts_registry_find_singleton(name, length, &handle->state);
  if (status == MTS_UNKNOWN) {
    lua_pop(L, 1);
    index = check_setup(L, 2, &setup);
    handle = push_handle(L);
    create(L, handle, name, length);
    status = mts_registry_reserve(handle->state, &found);
    if (status == MTS_UNKNOWN)
      return open_state(L, handle, &setup, index);
    if (status == MTS_OK)
      exchange(handle, found);
    else
      discard(handle->state);
  }
  if (status != MTS_OK)
    return raise_name_error(L, status, name, length);
  handle->is_owner = true;
  return 1;
}

/* ======================================================================= */
/* Look-up                                                                 */
/* ======================================================================= */

/* The id in the first argument, which is a number. */
static lua_Integer check_id(lua_State *L)
{
  lua_Number n;
  if (lua_isinteger(L, 1))
    return lua_tointeger(L, 1);
  n = lua_tonumber(L, 1);
  luaL_argcheck(L, n == floor(n) && !isinf(n), 1,
                "number has no integer representation");
  luaL_argcheck(L, fabs(n) < (double)(1LL << MTS_EXACT_BITS), 1,
                "number is too large for an id");
  return (lua_Integer)n;
}

/* mtstates.state(id | name) */
static int state(lua_State *L)
{
  Handle *handle;
  mts_Status status;
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t length;
    const char *name = lua_tolstring(L, 1, &length);
    handle = push_handle(L);
    status = mts_registry_find_name(name, length, &handle->state);
    if (status != MTS_OK)
      raise_name_error(L, status, name, length);
  }
  else {
    lua_Integer id;
    if (lua_type(L, 1) != LUA_TNUMBER)
      luaL_typeerror(L, 1, "integer or string");
    id = check_id(L);
    handle = push_handle(L);
    status = mts_registry_find_id(id, &handle->state);
    if (status != MTS_OK) {
      char what[32];
      snprintf(what, sizeof(what), "id %lld", (long long)id);
      mts_error_raise_status(L, status, what);
    }
  }
  return 1;
}

/* mtstates.id() */
static int id(lua_State *L)
{
  const mts_State *home = context(L)->home;
  if (home)
    lua_pushinteger(L, home->id);
  else
    lua_pushnil(L);
  return 1;
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* state:id() */
static int state_id(lua_State *L)
{
  lua_pushinteger(L, check_state(L)->id);
  return 1;
}

/* state:name() */
static int state_name(lua_State *L)
{
  const mts_State *s = check_state(L);
  if (s->has_name)
    lua_pushlstring(L, s->name, s->name_length);
  else
    lua_pushnil(L);
  return 1;
}

/* state:isowner() */
static int state_isowner(lua_State *L)
{
  lua_pushboolean(L, check_handle(L)->is_owner);
  return 1;
}

/*
** Calls the state of the handle, which can be finalized meanwhile, and pushes
** the results.  Returns how many, or -1 if the state was busy; raises all
** other errors.
*/
MTS_INLINE int call_state(lua_State *L, Handle *handle, const mts_Values *args,
                          double timeout)
{
  mts_State *s = handle->state;
  mts_State *home = handle->home;
  mts_Buffer error_text = {0};
  mts_Results results;
  lua_State *outer = mts_interrupt_switch(home, L);
  mts_Status status;
  handle->calls++;
  status = mts_call(s, args, timeout, &results, &error_text);
  if (status != MTS_OK && status != MTS_BUSY && status != MTS_RAISED)
    status = mts_error_compose_status(&error_text, status, s);
  handle->calls--;
  release_if_unused(handle);
  mts_interrupt_switch(home, outer);
  if (status == MTS_BUSY)
    return -1;
  if (status != MTS_OK)
    raise_text(L, status, &error_text);
  if (results.rest.count > 0)
    mts_codec_push(L, &results.rest);
  return results.pushed + (int)results.rest.count;
}

/* state:call(...) */
static int state_call(lua_State *L)
{
  mts_Values args;
  Handle *handle;
  mts_transfer_scan(&args, L, 2);
  handle = check_open_handle(L);
  mts_transfer_check_args(&args);
  return call_state(L, handle, &args, MTS_FOREVER);
}

/* state:tcall(timeout, ...) */
static int state_tcall(lua_State *L)
{
  mts_Values args;
  Handle *handle;
  lua_Number timeout;
  int results;
  mts_transfer_scan(&args, L, 3);
  handle = check_open_handle(L);
  lua_pop(L, 1);
  timeout = luaL_checknumber(L, 2);
  luaL_argcheck(L, !isnan(timeout), 2, "number expected, got nan");
  mts_transfer_check_args(&args);
  lua_pushboolean(L, true);
  results = call_state(L, handle, &args, timeout);
  if (results < 0)
    lua_pushboolean(L, false);
  return results < 0 ? 1 : results + 1;
}

/* state:interrupt([flag]) */
static int state_interrupt(lua_State *L)
{
  mts_State *s = check_state(L);
  mts_Interrupt level = MTS_INTERRUPT_ONCE;
  mts_Status status;
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_isboolean(L, 2))
      luaL_typeerror(L, 2, "boolean");
    level = lua_toboolean(L, 2) ? MTS_INTERRUPT_ALWAYS : MTS_INTERRUPT_NONE;
  }
  status = mts_interrupt_request(s, level);
  return status == MTS_OK ? 0 : raise_about(L, status, s);
}

/* state:close() */
static int state_close(lua_State *L)
{
  Handle *handle = check_open_handle(L);
  mts_Status status = close_state(L, handle);
  return status == MTS_OK ? 0 : raise_about(L, status, handle->state);
}

static int state_tostring(lua_State *L)
{
  const Handle *handle = check_handle(L);
  char text[MTS_DESCRIPTION_SIZE] = "(finalized)";
  if (handle->state)
    mts_state_describe(handle->state, text);
  lua_pushfstring(L, "%s: %p %s", MTS_STATE_CLASS, (const void *)handle, text);
  return 1;
}

/* Whether both refer to the same state; of none if they are finalized. */
static int state_eq(lua_State *L)
{
  const Handle *a = luaL_testudata(L, 1, MTS_STATE_CLASS);
  const Handle *b = luaL_testudata(L, 2, MTS_STATE_CLASS);
  if (!a && !b) /* Lua does not call it then */
    luaL_typeerror(L, 1, MTS_STATE_CLASS);
  lua_pushboolean(L, a && b && a->state && a->state == b->state &&
                         !a->is_finalized && !b->is_finalized);
  return 1;
}

/* Finalizers should not raise: what is no state object is left alone. */
static int state_gc(lua_State *L)
{
  Handle *handle = to_handle(L);
  if (handle && handle->state && !handle->is_finalized) {
    handle->is_finalized = true;
    disown(L, handle);
    release_if_unused(handle);
  }
  return 0;
}

/* The end of the scope of a to-be-closed variable. */
static int state_close_variable(lua_State *L)
{
  Handle *handle = check_handle(L);
  if (handle->is_owner && close_state(L, handle) != MTS_OK)
    disown(L, handle); /* it closes when the call in progress returns */
  return 0;
}

/* ======================================================================= */
/* Open                                                                    */
/* ======================================================================= */

static const luaL_Reg functions[] = {{"newstate", newstate},
                                     {"state", state},
                                     {"singleton", singleton},
                                     {"id", id},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"id", state_id},           {"name", state_name},
    {"isowner", state_isowner}, {"call", state_call},
    {"tcall", state_tcall},     {"interrupt", state_interrupt},
    {"close", state_close},     {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", state_tostring},
                                       {"__eq", state_eq},
                                       {"__gc", state_gc},
                                       {"__close", state_close_variable},
                                       {NULL, NULL}};

/* Adds functions to the table at index; the two upvalues are on top. */
static void set_functions(lua_State *L, int index, const luaL_Reg *list)
{
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  luaL_setfuncs(L, list, 2);
  lua_pop(L, 1);
}

void mts_handle_open(lua_State *L, lua_CFunction open_module)
{
  int module = lua_gettop(L);
  int metatable = module + 1;
  Context *shared;
  luaL_newmetatable(L, MTS_STATE_CLASS);
  lua_newtable(L);
  lua_pushvalue(L, metatable);
  shared = lua_newuserdatauv(L, sizeof(*shared), 0);
  *shared =
      (Context){.home = mts_anchor_find_state(L), .open_module = open_module};
  set_functions(L, metatable + 1, methods);
  set_functions(L, metatable, metamethods);
  set_functions(L, module, functions);
  lua_pop(L, 2);
  lua_setfield(L, metatable, "__index");
  lua_pop(L, 1);
}
