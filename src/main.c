/*
** main.c - the module as require sees it
**
** mtstates gives a process many independent Lua states that any thread can
** call into.  How the rooms of this house hang together is told in
** CONTRIBUTING.md.
*/
#include "async_util.h"
#include "luaapi/compat.h"
#include "error.h"
#include "lua/errorobject.h"
#include "lua/handle.h"
#include "core/anchor.h"
#include "core/interrupt.h"
#include "capi/notify.h"
#include "core/signal.h"
#include "luaapi/protect.h"
#include "capi/receiver.h"

#define MTS_VERSION "0.5.0"

/* The only name that the shared object exports. */
MTS_EXPORT int luaopen_mtstates(lua_State *L);

/*
** mtstates.type(x): the registered class name of a userdata, else what type
** returns.
*/
static int type(lua_State *L)
{
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
    lua_pushliteral(L, "__name");
    lua_rawget(L, 2); /* [3] the name */
    if (lua_type(L, 3) == LUA_TSTRING) {
      lua_pushvalue(L, 3);
      lua_rawget(L, LUA_REGISTRYINDEX);
      if (lua_rawequal(L, 2, 4)) {
        lua_settop(L, 3);
        return 1;
      }
    }
  }
  lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}

int luaopen_mtstates(lua_State *L)
{
  mts_module_pin();
  if (!mts_interrupt_open())
    return luaL_error(L, "environment variable " MTS_SIGNAL_VARIABLE
                         ": number of a signal or none expected");
  if (!mts_anchor_claim(L))
    return luaL_error(L, "another copy of mtstates is used in this Lua state");
  if (mts_protect_open(L) != LUA_OK)
    return mts_error_raise(L, MTS_ERROR_OUT_OF_MEMORY, "not enough memory");
  lua_newtable(L);
  mts_handle_open(L, luaopen_mtstates);
  mts_notify_open(L);
  mts_receiver_open(L);
  mts_errorobject_open(L);
  lua_setfield(L, -2, "error");
  lua_pushcfunction(L, type);
  lua_setfield(L, -2, "type");
  lua_pushliteral(L, MTS_VERSION);
  lua_setfield(L, -2, "_VERSION");
  lua_pushstring(L, mts_async_info);
  lua_setfield(L, -2, "_INFO");
  return 1;
}
