/*
** libs.c - the standard libraries that each version of Lua has
**
** Takes no locks.
*/
#include "luaapi/libs.h"

#if MTS_LUAJIT
#include <luajit.h>
#endif

/*
** Programs that have Lua inside can leave libraries out.  Where the linker
** knows weak references, the module can be loaded all the same and finds NULL
** in the place of what is not there.
*/
#if defined(__ELF__)
#if LUA_VERSION_NUM >= 505
#pragma weak luaL_openselectedlibs
#else
#pragma weak luaL_openlibs
#endif
#pragma weak luaopen_base
#pragma weak luaopen_package
#pragma weak luaopen_table
#pragma weak luaopen_io
#pragma weak luaopen_os
#pragma weak luaopen_string
#pragma weak luaopen_math
#pragma weak luaopen_debug
#if LUA_VERSION_NUM >= 502
#pragma weak luaopen_coroutine
#endif
#if defined(LUA_UTF8LIBNAME)
#pragma weak luaopen_utf8
#endif
#if MTS_LUAJIT
#pragma weak luaopen_bit
#pragma weak luaopen_jit
#pragma weak luaopen_ffi
#elif defined(LUA_BITLIBNAME)
#pragma weak luaopen_bit32
#endif
#endif

#if LUA_VERSION_NUM >= 502
const lua_CFunction mts_libs_open_coroutine = luaopen_coroutine;
#else
const lua_CFunction mts_libs_open_coroutine = NULL;
#endif

#if MTS_LUAJIT
const lua_CFunction mts_libs_open_ffi = luaopen_ffi;
#else
const lua_CFunction mts_libs_open_ffi = NULL;
#endif

const luaL_Reg mts_libs_list[] = {
#if defined(LUA_UTF8LIBNAME)
    {LUA_UTF8LIBNAME, luaopen_utf8},
#endif
    {LUA_TABLIBNAME, luaopen_table},
    {LUA_IOLIBNAME, luaopen_io},
    {LUA_OSLIBNAME, luaopen_os},
    {LUA_STRLIBNAME, luaopen_string},
    {LUA_MATHLIBNAME, luaopen_math},
    {LUA_DBLIBNAME, luaopen_debug},
#if MTS_LUAJIT
    {LUA_BITLIBNAME, luaopen_bit},
    {LUA_JITLIBNAME, luaopen_jit},
    {LUA_FFILIBNAME, luaopen_ffi},
#elif defined(LUA_BITLIBNAME) && LUA_VERSION_NUM == 502
    {LUA_BITLIBNAME, luaopen_bit32},
#endif
    {NULL, NULL}};

const luaL_Reg mts_libs_extra[] = {
#if MTS_LUAJIT
    {LUA_JITLIBNAME ".opt", luaopen_jit},
    {LUA_JITLIBNAME ".profile", luaopen_jit},
    {LUA_JITLIBNAME ".util", luaopen_jit},
    {LUA_STRLIBNAME ".buffer", luaopen_string},
    {LUA_TABLIBNAME ".clear", luaopen_table},
    {LUA_TABLIBNAME ".new", luaopen_table},
#elif defined(LUA_BITLIBNAME) && LUA_VERSION_NUM == 503
    {LUA_BITLIBNAME, luaopen_bit32}, /* raises without LUA_COMPAT_BITLIB */
#endif
    {NULL, NULL}};

/* Opens a library, if the program has it. */
static void open_lib(lua_State *L, const char *name, lua_CFunction open)
{
  if (open) {
    luaL_requiref(L, name, open, 1);
    lua_pop(L, 1);
  }
}

void mts_libs_open_basic(lua_State *L)
{
  open_lib(L, "_G", luaopen_base);
  open_lib(L, LUA_LOADLIBNAME, luaopen_package);
}

static void open_one_by_one(lua_State *L)
{
  const luaL_Reg *lib;
  mts_libs_open_basic(L);
  open_lib(L, LUA_COLIBNAME, mts_libs_open_coroutine);
  for (lib = mts_libs_list; lib->name; lib++)
    open_lib(L, lib->name, lib->func);
}

void mts_libs_open_all(lua_State *L)
{
#if LUA_VERSION_NUM >= 505
  void (*open)(lua_State *, int, int) = luaL_openselectedlibs;
  if (open)
    open(L, ~0, 0);
#else
  void (*open)(lua_State *) = luaL_openlibs;
  if (open)
    open(L);
#endif
  else
    open_one_by_one(L);
}

void mts_libs_prepare(lua_State *L, int count)
{
#if defined(LUA_RIDX_GLOBALS)
  /* The old table is empty: it serves as package.loaded. */
  lua_pushglobaltable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_createtable(L, 0, count);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#else
  (void)count;
  lua_newtable(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
#endif
}

void mts_libs_stop_compiler(lua_State *L)
{
#if MTS_LUAJIT
  (void)luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
#else
  (void)L;
#endif
}
