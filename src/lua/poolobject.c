/*
** poolobject.c - new pools
**
** A pool and its members are made before others can find any of them: first
** the pool, then one member after the other, whose setups run in the calling
** thread.  When all are there they are published.  If one fails, all are
** closed.  As in creation.c, nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/poolobject.h"

#include "core/interrupt.h"
#include "core/newstate.h"
#include "core/registry.h"
#include "error.h"
#include "lua/options.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "sched/ownthread.h"
#include "sched/team.h"
#include "sched/teamclose.h"
#include "sched/worker.h"

/* Gives the object a new pool without members. */
static mts_Status create_pool(mts_StateObject *object, const mts_Setup *setup)
{
  mts_State *pool;
  mts_Status status =
      mts_registry_new_state(setup->name, setup->name_length, &pool);
  if (status != MTS_OK)
    return status;
  object->state = pool;
  pool->queue_limit = setup->queue_limit;
  pool->task_limit = MTS_STATE_NO_LIMIT;  /* each member has its own */
  pool->heap.limit = setup->memory_limit; /* for what waits */
  pool->has_memory_limit = setup->memory_limit != MTS_HEAP_NO_LIMIT;
  status = mts_team_open(pool, setup->members, setup->has_own_thread);
  mts_state_leave(pool);
  return status;
}

/* Makes one member more, and runs its setup. */
static mts_Status create_member(mts_State *pool, const mts_Setup *setup,
                                mts_Failure *failure, int *kb)
{
  lua_State *L = setup->args.L;
  const int top = lua_gettop(L);
  mts_State *s;
  mts_Status status = mts_registry_new_state(NULL, 0, &s);
  if (status != MTS_OK)
    return status;
  s->queue_limit = setup->queue_limit;
  s->task_limit = setup->task_limit;
  s->has_memory_limit = setup->memory_limit != MTS_HEAP_NO_LIMIT;
  s->has_own_thread = setup->has_own_thread;
  status = mts_team_add(pool, s);
  if (status == MTS_OK)
    status = mts_newstate_run(s, setup, failure);
  if (status == MTS_OK && s->has_own_thread)
    status = mts_ownthread_start(s);
  if (status == MTS_OK) {
    *kb += lua_gc(s->L, LUA_GCCOUNT, 0);
    lua_settop(L, top); /* further results */
  }
  else
    mts_state_close_when_free(s);
  mts_state_leave(s);
  mts_state_release(s);
  return status;
}

/* All members have been set up: others can find them, and the pool. */
static void publish_pool(lua_State *L, mts_StateObject *object)
{
  mts_State *pool = object->state;
  mts_State *s;
  size_t i;
  for (i = 0; (s = mts_team_keep_member(pool, i)) != NULL; i++) {
    mts_registry_publish(s);
    mts_state_release(s);
  }
  mts_registry_publish(pool);
  object->is_owner = true;
  mts_gcpressure_add(&mts_userdata_context(L)->pressure, object->kb);
  mts_team_start(pool);
}

/*
** Makes the pool of the object and its members.  If that fails, all are
** closed; an error is on the stack then, if it is MTS_RAISED.
*/
static mts_Status run_setups(lua_State *L, mts_StateObject *object,
                             const mts_Setup *setup, mts_Failure *failure)
{
  mts_State *caller = mts_stateobject_caller(L, object);
  lua_State *outer = mts_interrupt_switch(caller, L);
  mts_Status status;
  size_t i;
  object->calls++; /* os.exit in the setup can finalize the object */
  status = create_pool(object, setup);
  for (i = 0; status == MTS_OK && i < setup->members; i++) {
    status = create_member(object->state, setup, failure, &object->kb);
    if (status == MTS_OK && mts_lock_is_closed(&object->state->lock))
      status = MTS_CLOSED; /* a member has quit */
  }
  object->calls--;
  if (status == MTS_OK)
    publish_pool(L, object);
  else if (object->state)
    mts_teamclose_give_up(object->state);
  if (status == MTS_RAISED)
    mts_failure_push(L, failure);
  mts_codec_free(setup->message);
  mts_interrupt_switch(caller, outer);
  return status;
}

/* mtstates.pool([name,] [n or options,] setup, ...) */
int mts_poolobject_pool(lua_State *L)
{
  mts_Setup setup;
  mts_StateObject *object;
  mts_Failure failure;
  mts_Status status;
  int index;
  const bool has_name =
      lua_isnil(L, 1) || (lua_type(L, 1) == LUA_TSTRING && lua_gettop(L) > 1);
  setup.open_module = mts_userdata_context(L)->open_module;
  index = mts_options_read_pool(L, has_name ? 2 : 1, &setup);
  if (has_name)
    setup.name = lua_tolstring(L, 1, &setup.name_length); /* NULL for nil */
  if (setup.members == 0)
    setup.members = mts_worker_count();
  object = mts_stateobject_push(L);
  mts_gcpressure_tell(&mts_userdata_context(L)->pressure, L);
  mts_failure_open(&failure);
  status = run_setups(L, object, &setup, &failure);
  if (status == MTS_OK)
    return 1;
  if (status == MTS_RAISED)
    return lua_error(L);
  if (status == MTS_SYNTAX) {
    if (!mts_error_push_message(L, &failure.text))
      return lua_error(L);
    return luaL_argerror(L, index, lua_tostring(L, -1));
  }
  return object->state ? mts_error_raise_about(L, status, object->state)
                       : mts_error_raise_status(L, status, "new pool");
}
