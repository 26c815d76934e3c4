/*
** stateobject.c - states as objects of Lua code
**
** Methods check their arguments, call the layers below, and raise what those
** report.  Whenever an error can be raised, nothing is held that the garbage
** collector would not clean up: no lock, no state, no plain memory.
**
** Code of other states, which also runs when one is closed, can call back into
** the host state.  So before it runs, the host state has to know that L is
** what runs there: the calls of mts_interrupt_switch, in pairs.
**
** Takes no locks of its own.
*/
#include "lua/stateobject.h"

#include "core/interrupt.h"
#include "core/registry.h"
#include "error.h"
#include "lua/here.h"
#include "lua/looking.h"
#include "lua/map.h"
#include "lua/numbers.h"
#include "lua/statecall.h"
#include "lua/staterequest.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "sched/closing.h"
#include "sched/host.h"
#include "sched/team.h"

/* ======================================================================= */
/* Objects                                                                 */
/* ======================================================================= */

mts_StateObject *mts_stateobject_push(lua_State *L)
{
  mts_StateObject *object;
  mts_gcpressure_tell_object(&mts_userdata_context(L)->pressure, L);
  object = mts_userdata_push(L, sizeof(*object));
  object->host_state = mts_userdata_context(L)->host_state;
  return object;
}

int mts_stateobject_raise_finalized(lua_State *L)
{
  return mts_error_raise(L, MTS_ERROR_OBJECT_CLOSED,
                         "the object is finalized");
}

mts_State *mts_stateobject_to_state(lua_State *L, int index)
{
  mts_StateObject *object = luaL_testudata(L, index, MTS_STATE_CLASS);
  return object ? object->state : NULL;
}

/* Stack: [-0, +0, v] */
static mts_State *check_state(lua_State *L)
{
  mts_State *s = mts_stateobject_check_live(L)->state;
  lua_pop(L, 1);
  return s;
}

/* To be called when the state is closed, or not owned by this object. */
static void remove_pressure(lua_State *L, mts_StateObject *object)
{
  mts_gcpressure_remove(&mts_userdata_context(L)->pressure, object->kb);
  object->kb = 0;
}

/*
** Closes the state, if it is not in use; with a deadline, when what was sent
** before is done: *is_done tells.
*/
static mts_Status close_state(lua_State *L, mts_StateObject *object,
                              mts_Waiting *waiting, bool *is_done)
{
  mts_State *caller = mts_stateobject_caller(L, object);
  lua_State *outer = mts_interrupt_switch(caller, L);
  mts_State *s = object->state;
  mts_Status status;
  object->calls++; /* the last function of the state can finalize the object */
  do {
    status = is_done ? mts_closing_finish(s, &waiting->patience, is_done)
                     : mts_closing_close(s, &waiting->patience);
  } while (mts_waiting_goes_on(waiting, status));
  if (status == MTS_OK && s->is_host && s == caller) /* that is up to it */
    status = mts_host_run(s, L);
  object->calls--;
  mts_stateobject_release(object);
  mts_interrupt_switch(caller, outer);
  if (status == MTS_OK)
    remove_pressure(L, object);
  return status;
}

void mts_stateobject_disown(lua_State *L, mts_StateObject *object)
{
  if (object->is_owner) {
    mts_State *caller = mts_stateobject_caller(L, object);
    lua_State *outer = mts_interrupt_switch(caller, L);
    object->is_owner = false;
    mts_registry_drop_owner(object->state);
    mts_interrupt_switch(caller, outer);
    remove_pressure(L, object);
  }
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
  lua_pushboolean(L, mts_stateobject_check(L)->is_owner);
  return 1;
}

/* state:own() */
static int state_own(lua_State *L)
{
  mts_StateObject *owner;
  mts_State *s;
  mts_Status status;
  mts_stateobject_check(
      L); /* while the first argument is what the caller gave */
  owner = mts_stateobject_push(L);
  s = check_state(L); /* anew: finalizers have run */
  status = mts_registry_add_owner(s);
  if (status != MTS_OK)
    return mts_error_raise_about(L, status, s);
  mts_state_retain(s);
  owner->state = s;
  owner->is_owner = true;
  return 1;
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
  status = mts_state_is_pool(s) ? mts_team_interrupt(s, level)
                                : mts_interrupt_request(s, level);
  return status == MTS_OK ? 0 : mts_error_raise_about(L, status, s);
}

static int raise_close(lua_State *L, const mts_Waiting *waiting,
                       mts_Status status, const mts_StateObject *object)
{
  char description[MTS_DESCRIPTION_SIZE] = "state";
  if (object->state)
    mts_state_describe(object->state, description);
  (void)L;
  return mts_waiting_raise(waiting->L, status, description);
}

/* state:close([timeout]) */
static int state_close(lua_State *L)
{
  const bool has_timeout = !lua_isnoneornil(L, 2);
  double deadline = MTS_FOREVER;
  mts_Waiting waiting;
  mts_StateObject *object;
  mts_Status status;
  bool is_done = true;
  mts_stateobject_check_live(L);
  if (has_timeout)
    deadline = mts_numbers_deadline(mts_numbers_check_seconds(L, 2));
  lua_settop(L, 1);
  mts_waiting_open(L, &waiting, deadline);
  object = mts_stateobject_check_live(L);
  status = close_state(L, object, &waiting, has_timeout ? &is_done : NULL);
  if (status != MTS_OK)
    return raise_close(L, &waiting, status, object);
  lua_pushboolean(L, is_done);
  return has_timeout ? 1 : 0;
}

static const luaL_Reg state_methods[] = {{"id", state_id},
                                         {"name", state_name},
                                         {"isowner", state_isowner},
                                         {"call", mts_statecall_call},
                                         {"tcall", mts_statecall_tcall},
                                         {"send", mts_staterequest_send},
                                         {"tsend", mts_staterequest_tsend},
                                         {"async", mts_staterequest_async},
                                         {"await", mts_staterequest_await},
                                         {"tawait", mts_staterequest_tawait},
                                         {"map", mts_map_map},
                                         {"interrupt", state_interrupt},
                                         {"close", state_close},
                                         {"own", state_own},
                                         {"stats", mts_looking_stats},
                                         {"traceback", mts_looking_traceback},
                                         {"run", mts_here_run},
                                         {"fd", mts_here_fd},
                                         {NULL, NULL}};

/* ======================================================================= */
/* Metamethods                                                             */
/* ======================================================================= */

static int state_tostring(lua_State *L)
{
  const mts_StateObject *object = mts_stateobject_check(L);
  char text[MTS_DESCRIPTION_SIZE] = "(finalized)";
  if (object->state)
    mts_state_describe(object->state, text);
  lua_pushfstring(L, "%s: %p %s", MTS_STATE_CLASS, (const void *)object, text);
  return 1;
}

/* Whether both refer to the same state; finalized objects refer to none. */
static int state_eq(lua_State *L)
{
  const mts_StateObject *a = luaL_testudata(L, 1, MTS_STATE_CLASS);
  const mts_StateObject *b = luaL_testudata(L, 2, MTS_STATE_CLASS);
  if (!a && !b) /* not called by Lua itself */
    luaL_typeerror(L, 1, MTS_STATE_CLASS);
  lua_pushboolean(L, a && b && a->state && a->state == b->state &&
                         !a->is_finalized && !b->is_finalized);
  return 1;
}

/* Finalizers should not raise: what is no state object is left alone. */
static int state_gc(lua_State *L)
{
  mts_StateObject *object = mts_userdata_to(L);
  if (object && object->state && !object->is_finalized) {
    object->is_finalized = true;
    mts_stateobject_disown(L, object);
    mts_stateobject_release(object);
  }
  return 0;
}

/*
** The end of the scope of a to-be-closed variable.  A state that is in use, or
** has requests, is closed when it is not any more and has no other owner.
*/
static int state_end_of_scope(lua_State *L)
{
  mts_StateObject *object = mts_stateobject_check(L);
  mts_Status status = MTS_BUSY;
  mts_Waiting waiting;
  mts_waiting_open(L, &waiting, MTS_FOREVER);
  if (!object->is_owner)
    return 0;
  if (!mts_state_has_work(object->state))
    status = close_state(L, object, &waiting, NULL);
  if (status != MTS_OK)
    mts_stateobject_disown(L, object);
  return status == MTS_DISTURBED ? lua_error(L) : 0;
}

static const luaL_Reg state_metamethods[] = {
    {"__tostring", state_tostring},  {"__eq", state_eq},   {"__gc", state_gc},
    {"__close", state_end_of_scope}, {"ask", mts_map_ask}, {NULL, NULL}};

void mts_stateobject_push_class(lua_State *L)
{
  static const char *const waiting[] = {"send",  "tsend",  "async",
                                        "await", "tawait", NULL};
  static const char *const waiting_in_loops[] = {"ask", NULL};
  mts_userdata_push_class(L, MTS_STATE_CLASS, state_methods,
                          state_metamethods);
  lua_getfield(L, -1, "__index");
  mts_waiting_wrap(L, waiting);
  lua_pop(L, 1);
  mts_waiting_wrap(L, waiting_in_loops);
}
