/*
** main.c - the module as require sees it
**
** mtstates gives a process many independent Lua states that any thread can
** call into.  A call goes down through the layers: lua/ checks the arguments
** of Lua code (capi/ is the same for native code); core/ enters the state,
** runs the callback in a protected call and leaves it; value/ copies arguments
** and results from one Lua stack to another; luaapi/ makes all versions of Lua
** look like 5.4; base/ knows no Lua.  A request goes from lua/ to sched/,
** where it waits in the queue of its state until a worker, a thread of the
** module, has core/ run it.  At the top of src/ is what several layers speak
** of: state.h (what a state is), error.h (errors and their texts), util.h,
** async_util.h (threads).  Dependencies point down only.
*/
#include "async_util.h"
#include "base/process.h"
#include "capi/notify.h"
#include "capi/receiver.h"
#include "core/anchor.h"
#include "core/interrupt.h"
#include "core/signal.h"
#include "core/trace.h"
#include "error.h"
#include "lua/errorobject.h"
#include "lua/module.h"
#include "lua/userdata.h"
#include "luaapi/interpreter.h"
#include "luaapi/protect.h"
#include "sched/worker.h"

#define MTS_VERSION "0.5.0"

/* The only name that the shared object exports. */
MTS_EXPORT int luaopen_mtstates(lua_State *L);

int luaopen_mtstates(lua_State *L)
{
  mts_process_pin((void (*)(void))luaopen_mtstates);
  mts_process_pin((void (*)(void))lua_close);
  mts_trace_open();
  if (!mts_interrupt_open())
    return luaL_error(L, "environment variable " MTS_SIGNAL_VARIABLE
                         ": number of a signal or none expected");
  if (!mts_worker_open())
    return luaL_error(L, "environment variable " MTS_WORKERS_VARIABLE
                         ": number of workers expected");
  if (!mts_anchor_claim(L))
    return luaL_error(L, "another copy of mtstates is used in this Lua state");
  if (!mts_interpreter_examine() || mts_protect_open(L) != LUA_OK)
    return mts_error_raise(L, MTS_ERROR_OUT_OF_MEMORY, "not enough memory");
  lua_newtable(L);
  mts_userdata_push_context(L, luaopen_mtstates);
  mts_module_open(L);
  mts_notify_open(L);
  mts_receiver_open(L);
  lua_pop(L, 1);
  mts_errorobject_push_names(L);
  lua_setfield(L, -2, "error");
  lua_pushliteral(L, MTS_VERSION);
  lua_setfield(L, -2, "_VERSION");
  lua_pushstring(L, mts_async_info);
  lua_setfield(L, -2, "_INFO");
  return 1;
}
