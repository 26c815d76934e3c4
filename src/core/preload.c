/*
** preload.c - what require finds in a new state without a file
**
** The table package.preload of each new state has the very copy of this module
** that made the state.  In a state without libraries it has a loader for each
** library as well, so that require gives what it gives in the plain
** interpreter.  A library that this build of Lua lacks must have no loader, so
** that a rock of that name is found.
**
** Takes no locks: threads that find out at the same time which libraries there
** are find the same.
*/
#include "core/preload.h"

#include <stdatomic.h>
#include <string.h>

#include "core/anchor.h"
#include "luaapi/libs.h"
#include "luaapi/protect.h"

#define MODULE "mtstates"

/* Bit i: mts_libs_extra[i] is there.  KNOWN: that has been found out. */
static atomic_uint extra_libs;
#define KNOWN (1U << 31)

/* Whether require has the library already or has a loader for it. */
static bool has_library(lua_State *L, const char *name)
{
  static const char *const tables[] = {LUA_LOADED_TABLE, LUA_PRELOAD_TABLE};
  int i;
  for (i = 0; i < 2; i++) {
    lua_getfield(L, LUA_REGISTRYINDEX, tables[i]);
    if (lua_istable(L, -1)) {
      lua_getfield(L, -1, name);
      if (!lua_isnil(L, -1))
        return true;
    }
  }
  return false;
}

/* Runs in a Lua state of its own. */
static int try_lib(lua_State *L, void *data)
{
  const luaL_Reg *lib = data;
  luaL_requiref(L, lib->name, lib->func, 0);
  lua_pushboolean(L, has_library(L, lib->name));
  return 1;
}

bool mts_preload_find_libs(void)
{
  const luaL_Reg *libs = mts_libs_extra;
  unsigned bits = KNOWN;
  lua_State *L;
  int i, status;
  if (!libs->name || atomic_load(&extra_libs) != 0)
    return true;
  L = luaL_newstate();
  if (!L)
    return false;
  status = mts_protect_open(L);
  for (i = 0; libs[i].name && status != LUA_ERRMEM; i++) {
    luaL_Reg lib = libs[i];
    if (!lib.func)
      continue;
    mts_protect_push(L);
    status = mts_protect(L, try_lib, &lib, 0, 1, 0);
    if (status == LUA_OK && lua_toboolean(L, -1))
      bits |= 1U << i;
    lua_pop(L, 1);
  }
  lua_close(L);
  if (status == LUA_ERRMEM)
    return false;
  atomic_store(&extra_libs, bits);
  return true;
}

/* As in newstate.c: a library can have turned it on. */
static void stop_compiler(lua_State *L)
{
  const mts_State *s = mts_anchor_find_state(L);
  if (s && s->has_memory_limit)
    mts_libs_stop_compiler(L);
}

/*
** The loader of a library that enters itself.  Upvalues: its name, and what
** opens it or, if the name has a dot, the library in front of the dot.
** Opening puts the library into package.loaded, or a loader of its own in the
** place of this one.
*/
static int load_entered(lua_State *L)
{
  const char *name = lua_tostring(L, lua_upvalueindex(1));
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushlstring(L, name, strcspn(name, "."));
  lua_pushvalue(L, 3);
  lua_rawget(L, 1);
  if (!lua_istable(L, 4)) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 3);
    lua_call(L, 1, 0);
    stop_compiler(L);
  }
  lua_getfield(L, 1, name);
  if (lua_istable(L, -1))
    return 1;
  lua_getfield(L, 2, name);
  if (lua_tocfunction(L, -1) == load_entered)
    return luaL_error(L, "library '%s' has been unloaded", name);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
  return 1;
}

static void add_loader(lua_State *L, const luaL_Reg *lib)
{
  if (!lib->func)
    return;
  if (MTS_LIBS_ENTER_THEMSELVES) {
    lua_pushstring(L, lib->name);
    lua_pushcfunction(L, lib->func);
    lua_pushcclosure(L, load_entered, 2);
  }
  else
    lua_pushcfunction(L, lib->func);
  lua_setfield(L, -2, lib->name);
}

void mts_preload_add_libs(lua_State *L)
{
  const unsigned bits = atomic_load(&extra_libs);
  const luaL_Reg *lib;
  int i;
  for (lib = mts_libs_list; lib->name; lib++)
    add_loader(L, lib);
  for (i = 0; mts_libs_extra[i].name; i++)
    if (bits & 1U << i)
      add_loader(L, &mts_libs_extra[i]);
}

void mts_preload_add_module(lua_State *L, lua_CFunction open)
{
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, MODULE);
}
