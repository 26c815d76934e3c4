/*
** modulework.c - the functions of the module about workers, time, and logging
**
** As in stateobject.c, nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/modulework.h"

#include <math.h>

#include "async_util.h"
#include "core/interrupt.h"
#include "error.h"
#include "lua/creation.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "sched/log.h"
#include "sched/queuelist.h"
#include "sched/worker.h"

/* The number of workers in the first argument. */
static unsigned check_count(lua_State *L)
{
  const lua_Number n = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : 0;
  if (!(n >= 1 && n <= MTS_WORKER_LIMIT && n == floor(n))) {
    lua_pushfstring(L, "number of workers expected, got %s",
                    mts_numbers_push_got(L, 1));
    luaL_argerror(L, 1, lua_tostring(L, -1));
  }
  return (unsigned)n;
}

int mts_modulework_workers(lua_State *L)
{
  if (!lua_isnoneornil(L, 1))
    mts_worker_set_count(check_count(L));
  lua_pushinteger(L, (lua_Integer)mts_worker_count());
  return 1;
}

int mts_modulework_logger(lua_State *L)
{
  mts_State *s = NULL;
  mts_State *host_state = mts_userdata_context(L)->host_state;
  lua_State *outer;
  mts_Status status;
  if (lua_isfunction(L, 1))
    s = mts_creation_push_callback(L, 1);
  else if (!lua_isnoneornil(L, 1)) {
    if (!mts_userdata_to(L))
      luaL_typeerror(L, 1, "state or function");
    s = mts_stateobject_check_live(L)->state;
  }
  outer = mts_interrupt_switch(host_state, L); /* the one before is closed */
  status = mts_log_set(s);
  mts_interrupt_switch(host_state, outer);
  return status == MTS_OK ? 0 : mts_error_raise_about(L, status, s);
}

int mts_modulework_sleep(lua_State *L)
{
  mts_Status status = mts_worker_sleep(mts_numbers_check_seconds(L, 1));
  return status == MTS_OK ? 0 : mts_error_raise_status(L, status, "sleep");
}

int mts_modulework_now(lua_State *L)
{
  lua_pushnumber(L, mts_clock_now());
  return 1;
}

static void set_count(lua_State *L, const char *name, size_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

int mts_modulework_stats(lua_State *L)
{
  const mts_WorkerStats stats = mts_worker_stats();
  lua_createtable(L, 0, 4);
  set_count(L, "workers", stats.workers);
  set_count(L, "replacements", stats.replacements);
  set_count(L, "idle", stats.idle);
  set_count(L, "requests", mts_queuelist_count());
  return 1;
}
