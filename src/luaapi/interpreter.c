/*
** interpreter.c - opening a Lua state with an allocator
**
** lua_newstate leaves out what luaL_newstate does besides: a panic function
** and, since 5.4, warnings, which are off.  These are as in lauxlib.c.
**
** LuaJIT can only keep addresses below 2^31, for which it has an allocator of
** its own, unless it was built with GC64, which is the default of new ones:
** then 2^47, which all addresses of programs are on x86-64 but not on arm64.
** How it was built is known to its FFI only.  (Without GC64 lua_newstate would
** write a message to stderr.)
**
** Takes no locks: threads that examine the interpreter at the same time find
** the same.
*/
#include "luaapi/interpreter.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ======================================================================= */
/* Whether there can be an allocator                                       */
/* ======================================================================= */

#if MTS_LUAJIT && UINTPTR_MAX > 0xffffffff

#include "luaapi/libs.h"
#include "luaapi/protect.h"

static atomic_int is_taking; /* 0: not known yet; 1: no; 2: yes */

/* Runs in a Lua state of its own.  Results: one, true with GC64. */
static int ask_ffi(lua_State *L, void *open)
{
  lua_pushcfunction(L, *(lua_CFunction *)open);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "abi");
  lua_pushliteral(L, "gc64");
  lua_call(L, 1, 1);
  return 1;
}

bool mts_interpreter_examine(void)
{
  lua_CFunction open = mts_libs_open_ffi;
  bool is_gc64 = false;
#if defined(__x86_64__) || defined(_M_X64)
  if (atomic_load(&is_taking) == 0 && open) {
    int status;
    lua_State *L = luaL_newstate();
    if (!L)
      return false;
    status = mts_protect_open(L);
    if (status == LUA_OK) {
      mts_protect_push(L);
      status = mts_protect(L, ask_ffi, &open, 0, 1, 0);
    }
    is_gc64 = status == LUA_OK && lua_toboolean(L, -1);
    lua_close(L);
    if (status == LUA_ERRMEM)
      return false;
  }
#endif
  if (atomic_load(&is_taking) == 0)
    atomic_store(&is_taking, is_gc64 ? 2 : 1);
  return true;
}

bool mts_interpreter_takes_allocator(void)
{
  return atomic_load(&is_taking) == 2;
}

#else

bool mts_interpreter_examine(void)
{
  return true;
}

bool mts_interpreter_takes_allocator(void)
{
  return true;
}

#endif

/* ======================================================================= */
/* Warnings                                                                */
/* ======================================================================= */

#if LUA_VERSION_NUM >= 504

static void ignore_warning(void *L, const char *text, int goes_on);
static void begin_warning(void *L, const char *text, int goes_on);

/* Returns: whether the text switches warnings on or off. */
static bool switch_warnings(lua_State *L, const char *text, int goes_on)
{
  if (goes_on || *text != '@')
    return false;
  if (strcmp(text, "@off") == 0)
    lua_setwarnf(L, ignore_warning, L);
  else if (strcmp(text, "@on") == 0)
    lua_setwarnf(L, begin_warning, L);
  return true;
}

static void ignore_warning(void *L, const char *text, int goes_on)
{
  (void)switch_warnings(L, text, goes_on);
}

static void continue_warning(void *L, const char *text, int goes_on)
{
  fprintf(stderr, "%s%s", text, goes_on ? "" : "\n");
  fflush(stderr);
  lua_setwarnf(L, goes_on ? continue_warning : begin_warning, L);
}

static void begin_warning(void *L, const char *text, int goes_on)
{
  if (switch_warnings(L, text, goes_on))
    return;
  fprintf(stderr, "Lua warning: ");
  continue_warning(L, text, goes_on);
}

static void set_warnings(lua_State *L)
{
  lua_setwarnf(L, ignore_warning, L);
}

#else

static void set_warnings(lua_State *L)
{
  (void)L;
}

#endif

/* ======================================================================= */
/* Open                                                                    */
/* ======================================================================= */

static int panic(lua_State *L)
{
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
          text ? text : "error object is not a string");
  fflush(stderr);
  return 0;
}

lua_State *mts_interpreter_open(lua_Alloc allocator, void *data)
{
  lua_State *L;
  if (!allocator)
    return luaL_newstate();
#if LUA_VERSION_NUM >= 505
  L = lua_newstate(allocator, data, luaL_makeseed(NULL));
#else
  L = lua_newstate(allocator, data);
#endif
  if (L) {
    lua_atpanic(L, panic);
    set_warnings(L);
  }
  return L;
}
