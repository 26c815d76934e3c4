/*
** modulework.c - the functions of the module about workers, time, and logging
**
** As in stateobject.c, nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/modulework.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <string.h>

#include "async_util.h"
#include "base/process.h"
#include "core/interrupt.h"
#include "core/thread.h"
#include "core/trace.h"
#include "error.h"
#include "lua/creation.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "sched/closing.h"
#include "sched/host.h"
#include "sched/log.h"
#include "sched/monitor.h"
#include "sched/task.h"
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
  mts_State *host_state = mts_userdata_state(L);
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

static int finish_sleep(lua_State *L, mts_Pending *pending, mts_Status status)
{
  (void)pending;
  if (status == MTS_OK || status == MTS_BUSY)
    return 0;
  return mts_waiting_raise(L, status, "sleep");
}

int mts_modulework_sleep(lua_State *L)
{
  const double deadline =
      mts_numbers_deadline(mts_numbers_check_seconds(L, 1));
  const mts_Pending pending = {.finish = finish_sleep, .deadline = deadline};
  mts_Waiting waiting;
  mts_Status status = MTS_OK;
  mts_waiting_open(L, &waiting, deadline);
  if (mts_waiting_can_suspend(&waiting))
    return mts_waiting_suspend(L, &pending, 0);
  /* A task whose state is to be closed must not go on for ever. */
  if (deadline <= 0 &&
      !(mts_self.task && mts_wait_is_refused(&waiting.patience))) {
    if (waiting.patience.attach &&
        mts_host_run(waiting.here_state, L) == MTS_DISTURBED)
      return lua_error(L);
    sched_yield();
  }
  else
    do {
      status = mts_worker_sleep(&waiting.patience);
    } while (mts_waiting_goes_on(&waiting, status));
  return finish_sleep(L, NULL, status);
}

int mts_modulework_quit(lua_State *L)
{
  mts_State *s = mts_userdata_state(L);
  if (!s || !mts_lock_is_held(&s->lock, mts_thread_id()))
    return luaL_error(L, "mtstates: no state of the module runs this code");
  if (mts_self.task && mts_self.task->queue->state == s)
    mts_self.task->quits = true; /* when it ends, not when it waits */
  else
    mts_lock_quit(&s->lock);
  mts_interrupt_check(s);
  return 0;
}

int mts_modulework_shutdown(lua_State *L)
{
  const double deadline =
      lua_isnoneornil(L, 1)
          ? 0
          : mts_numbers_deadline(mts_numbers_check_seconds(L, 1));
  mts_Waiting waiting;
  mts_Status status;
  bool is_done;
  if (atomic_load(&mts_self.held))
    return mts_error_raise_status(L, MTS_BUSY, "shutdown");
  mts_waiting_open(L, &waiting, deadline);
  do {
    status = mts_closing_shutdown(&waiting.patience, &is_done);
  } while (mts_waiting_goes_on(&waiting, status));
  if (status == MTS_OK && waiting.here_state &&
      mts_host_run(waiting.here_state, L) != MTS_OK) /* closes it */
    return lua_error(L);
  if (status != MTS_OK)
    return mts_waiting_raise(L, status, "shutdown");
  lua_pushboolean(L, is_done);
  return 1;
}

int mts_modulework_now(lua_State *L)
{
  lua_pushnumber(L, mts_clock_now());
  return 1;
}

int mts_modulework_trace(lua_State *L)
{
  size_t length;
  const char *path = NULL;
  int error;
  luaL_checkany(L, 1);
  if (!lua_isnil(L, 1)) {
    if (lua_type(L, 1) != LUA_TSTRING)
      luaL_typeerror(L, 1, "string or nil");
    path = lua_tolstring(L, 1, &length);
    luaL_argcheck(L, strlen(path) == length, 1, "path has a zero byte");
  }
  error = mts_trace_start(path);
  mts_monitor_report_trace();
  if (error == ENOMEM)
    return mts_error_raise_status(L, MTS_NO_MEMORY, "trace");
  if (error != 0) {
    char text[100];
    mts_process_describe_error(error, text, sizeof(text));
    lua_pushfstring(L, "cannot open '%s': %s", path, text);
    luaL_argerror(L, 1, lua_tostring(L, -1));
  }
  return 0;
}
