/*
** creation.c - new states
**
** As in stateobject.c, nothing is held when an error is raised.  The calling
** thread holds a new state from create_state to run_setup or discard; nothing
** in between raises an error.
**
** Takes no locks of its own.
*/
#include "lua/creation.h"

#include "core/interrupt.h"
#include "core/newstate.h"
#include "core/registry.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/futureobject.h"
#include "lua/setupread.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "sched/ownthread.h"
#include "sched/request.h"

/* Gives the object a new state; the calling thread holds it. */
static void create_state(lua_State *L, mts_StateObject *object,
                         const char *name, size_t length)
{
  mts_Status status;
  mts_gcpressure_tell(&mts_userdata_context(L)->pressure, L);
  status = mts_registry_new_state(name, length, &object->state);
  if (status != MTS_OK)
    mts_error_raise_status(L, status, "new state");
}

/* Ends a state that is not published. */
static void discard(mts_State *s)
{
  mts_state_close_when_free(s);
  mts_state_leave(s);
}

/*
** Runs the setup in the new state of the object and publishes the state; or
** ends it, if that fails.  An error is on the stack then, if it is MTS_RAISED.
*/
static mts_Status run_setup(lua_State *L, mts_StateObject *object,
                            const mts_Setup *setup, mts_Failure *failure)
{
  mts_State *s = object->state;
  mts_State *caller = mts_stateobject_caller(L, object);
  lua_State *outer = mts_interrupt_switch(caller, L);
  mts_Status status;
  object->calls++; /* os.exit in the setup can finalize the object */
  s->has_own_thread = setup->has_own_thread;
  s->queue_limit = setup->queue_limit;
  s->task_limit = setup->task_limit;
  s->has_memory_limit = setup->memory_limit != MTS_HEAP_NO_LIMIT;
  status = mts_newstate_run(s, setup, failure);
  if (status == MTS_OK && s->has_own_thread)
    status = mts_ownthread_start(s);
  object->calls--;
  if (status == MTS_OK) {
    object->kb = lua_gc(s->L, LUA_GCCOUNT, 0);
    mts_gcpressure_add(&mts_userdata_context(L)->pressure, object->kb);
    mts_registry_publish(s);
    object->is_owner = true;
    mts_state_leave(s);
  }
  else {
    mts_registry_give_up(s);
    discard(s);
  }
  if (status == MTS_RAISED)
    mts_failure_push(L, failure);
  if (setup->message)
    mts_codec_free(setup->message);
  mts_interrupt_switch(caller, outer);
  return status;
}

/*
** Opens the new state of the object, which is on top of the stack.  index: of
** the setup among the arguments.  Returns how many values are to be returned
** to Lua: the object and further results of the setup.
*/
static int open_state(lua_State *L, mts_StateObject *object,
                      const mts_Setup *setup, int index)
{
  mts_Failure failure;
  int top = lua_gettop(L);
  mts_Status status;
  mts_failure_open(&failure);
  status = run_setup(L, object, setup, &failure);
  if (status == MTS_OK)
    return lua_gettop(L) - top + 1;
  if (status == MTS_RAISED)
    return lua_error(L);
  if (status != MTS_SYNTAX)
    return mts_error_raise_about(L, status, object->state);
  if (!mts_error_push_message(L, &failure.text))
    return lua_error(L);
  return luaL_argerror(L, index, lua_tostring(L, -1));
}

/* mtstates.newstate([name,] [libs or options,] setup, ...) */
int mts_creation_newstate(lua_State *L)
{
  const char *name = NULL;
  size_t length = 0;
  int first = 1;
  int index;
  mts_Setup setup;
  mts_StateObject *object;
  if (lua_isnil(L, 1) ||
      (lua_type(L, 1) == LUA_TSTRING && lua_gettop(L) > 1)) {
    name = lua_tolstring(L, 1, &length); /* NULL for nil */
    first = 2;
  }
  index = mts_setupread_state(L, first, &setup);
  object = mts_stateobject_push(L);
  create_state(L, object, name, length);
  return open_state(L, object, &setup, index);
}

int mts_creation_raise_name(lua_State *L, mts_Status status, const char *name,
                            size_t length)
{
  char quoted[MTS_QUOTED_SIZE];
  mts_util_quote(quoted, name, length);
  lua_pushfstring(L, "name %s", quoted);
  return mts_error_raise_status(L, status, lua_tostring(L, -1));
}

/* Another thread has been faster: its state takes the place of the new one. */
static void take_found_state(mts_StateObject *object, mts_State *found)
{
  discard(object->state);
  mts_state_release(object->state);
  object->state = found;
}

/* mtstates.singleton(name, [libs or options,] setup, ...) */
int mts_creation_singleton(lua_State *L)
{
  const char *name;
  size_t length;
  mts_Setup setup;
  mts_State *found;
  mts_Status status;
  mts_StateObject *object;
  int index;
  if (lua_type(L, 1) != LUA_TSTRING)
    luaL_typeerror(L, 1, "string");
  name = lua_tolstring(L, 1, &length);

  object = mts_stateobject_push(L);
  status = mts_registry_find_singleton(name, length, &object->state);
  if (status == MTS_UNKNOWN) {
    lua_pop(L, 1); /* where the arguments end */
    index = mts_setupread_state(L, 2, &setup);
    object = mts_stateobject_push(L);
    create_state(L, object, name, length);
    status = mts_registry_reserve(object->state, &found);
    if (status == MTS_UNKNOWN)
      return open_state(L, object, &setup, index);
    if (status == MTS_OK)
      take_found_state(object, found);
    else
      discard(object->state);
  }
  if (status != MTS_OK)
    return mts_creation_raise_name(L, status, name, length);
  object->is_owner = true;
  return 1;
}

mts_State *mts_creation_push_callback(lua_State *L, int index)
{
  mts_Setup setup;
  mts_StateObject *object;
  mts_setupread_callback(L, index, &setup);
  object = mts_stateobject_push(L);
  create_state(L, object, NULL, 0);
  open_state(L, object, &setup, index);
  return object->state;
}

/* ======================================================================= */
/* Threads                                                                 */
/* ======================================================================= */

/*
** Encodes the count arguments from the index first on into a message on top of
** the stack, with copies of all strings.
*/
static mts_Message *push_message(lua_State *L, int first, int count)
{
  mts_Misfit misfit;
  mts_Message *message = mts_arguments_push(L);
  const mts_Encoding encoding =
      mts_arguments_try(L, first, count, message, &misfit);
  if (encoding != MTS_ENCODED)
    mts_arguments_raise(L, first, encoding, &misfit, luaL_argerror);
  return message;
}

/* Asks s, the state of a new thread, to run what is in the message. */
static mts_Status ask_thread(mts_State *s, mts_Message *message,
                             mts_FutureObject *object)
{
  const mts_Patience none = mts_patience_until(0);
  mts_Request *request = mts_request_new_asked(s);
  mts_Status status;
  if (!request)
    return MTS_NO_MEMORY;
  request->future.values = *message;
  *message = (mts_Message){0};
  status = mts_request_put(request, NULL, &none); /* there is room */
  if (status == MTS_OK)
    object->future = &request->future;
  else
    mts_request_free(request);
  return status;
}

/* mtstates.thread([options,] f or code, ...) */
int mts_creation_thread(lua_State *L)
{
  mts_Setup setup;
  mts_StateObject *object;
  mts_FutureObject *future;
  mts_Message *message;
  mts_Status status;
  int index, count;
  index = mts_setupread_thread(L, &setup, &count);
  message = push_message(L, index, count);
  future = mts_futureobject_push(L);
  object = mts_stateobject_push(L);
  create_state(L, object, setup.name, setup.name_length);
  open_state(L, object, &setup, index);
  status = ask_thread(object->state, message, future);
  mts_stateobject_disown(L, object);
  if (status != MTS_OK)
    return mts_error_raise_about(L, status, object->state);
  return 2;
}
