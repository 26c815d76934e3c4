/*
** newstate.c - opening a Lua state and running its setup
**
** Everything that needs memory of the new state happens in a protected call
** there, prepare.  It leaves the message handler and the setup function on the
** stack, where calls find handler and callback, so that the setup can be run
** like a callback.
**
** The calling thread holds the new state, which no other thread knows yet.
*/
#include "core/newstate.h"

#include <string.h>

#include "base/heap.h"
#include "core/anchor.h"
#include "core/call.h"
#include "core/coroutine.h"
#include "core/memory.h"
#include "core/preload.h"
#include "core/trace.h"
#include "error.h"
#include "luaapi/interpreter.h"
#include "luaapi/libs.h"
#include "luaapi/protect.h"
#include "luaapi/yield.h"

typedef struct Preparation {
  mts_State *state;
  const mts_Setup *setup;
  bool is_syntax_error;
} Preparation;

/* Globals of a new state: as many as Lua 5.4 has, and some more. */
#define GLOBALS_WITH_LIBS 40
#define GLOBALS_WITHOUT 30

/*
** Pushes the table package.preload in the size that it needs: this module and,
** without libraries, each of them.  Enters it where the package library, which
** is opened next, looks for it.
*/
static void push_preload(lua_State *L, const mts_Setup *setup)
{
  lua_createtable(L, 0, setup->with_libs ? 1 : 9);
  mts_preload_add_module(L, setup->open_module);
  if (!setup->with_libs) {
    mts_preload_add_libs(L);
    mts_coroutine_preload(L);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
}

/* Stack: [-0, +n, e] */
static void open_libs(lua_State *L, const mts_Setup *setup)
{
  push_preload(L, setup);
  if (setup->with_libs)
    mts_libs_open_all(L);
  else
    mts_libs_open_basic(L);
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1)) {
    lua_insert(L, -2);
    lua_setfield(L, -2, "preload"); /* Lua 5.1 has made another one */
  }
  lua_getglobal(L, LUA_COLIBNAME);
  if (lua_istable(L, -1))
    mts_coroutine_patch(L);
}

/* Most often the field has that value already, from the environment. */
static void set_package_field(lua_State *L, const char *field,
                              const char *value)
{
  int top = lua_gettop(L);
  lua_getglobal(L, LUA_LOADLIBNAME);
  if (value && lua_istable(L, -1)) {
    const char *present;
    lua_getfield(L, -1, field);
    present = lua_tostring(L, -1);
    if (!present || strcmp(present, value) != 0) {
      lua_pushstring(L, value);
      lua_setfield(L, top + 1, field);
    }
  }
  lua_settop(L, top);
}

/* As after a collection: the next begins when the state is twice as large. */
static void resume_collector(lua_State *L)
{
  lua_gc(L, LUA_GCRESTART, 0);
  mts_compat_gcpressure(L, -lua_gc(L, LUA_GCCOUNT, 0));
}

/* Pushes the setup function; nil if it will be decoded. */
static void push_setup(lua_State *L, Preparation *preparation)
{
  const mts_Setup *setup = preparation->setup;
  int result;
  if (!setup->code) {
    lua_pushnil(L);
    return;
  }
  result = luaL_loadbuffer(L, setup->code, setup->length, setup->code);
  if (result != LUA_OK) {
    preparation->is_syntax_error = result == LUA_ERRSYNTAX;
    lua_error(L);
  }
}

/* Runs in the new state.  Results: message handler and setup function. */
static int prepare(lua_State *L, void *data)
{
  Preparation *preparation = data;
  const mts_Setup *setup = preparation->setup;
  mts_State *s = preparation->state;
  lua_gc(L, LUA_GCSTOP, 0); /* there is no garbage yet */
  mts_protect_keep(L, MTS_HANDLER_KEY, mts_call_handler(s->is_service));
  lua_pushcfunction(L, mts_call_handler(s->is_service));
  lua_pushvalue(L, -1); /* a place for the callback */
  s->callback_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  mts_anchor_set(L, s);
  mts_libs_prepare(L, setup->with_libs ? GLOBALS_WITH_LIBS : GLOBALS_WITHOUT);
  push_setup(L, preparation);
  open_libs(L, setup);
  mts_yield_open(L);
  if (s->heap.limit != MTS_HEAP_NO_LIMIT)
    mts_libs_stop_compiler(L); /* its code crashes when a block is refused */
  set_package_field(L, "path", setup->path);
  set_package_field(L, "cpath", setup->cpath);
  lua_settop(L, 2);
  resume_collector(L);
  return 2;
}

/* Why prepare failed: the error value is on top of L. */
static mts_Status preparation_error(const Preparation *preparation, int result,
                                    lua_State *L, mts_Failure *failure)
{
  size_t length;
  const char *text;
  if (result == LUA_ERRMEM || lua_type(L, -1) != LUA_TSTRING)
    return MTS_NO_MEMORY;
  text = lua_tolstring(L, -1, &length);
  if (!preparation->is_syntax_error)
    return mts_error_compose(&failure->text, MTS_ERROR_INVOKING_STATE,
                             preparation->state, text, length);
  if (!mts_buffer_append(&failure->text, text, length))
    return MTS_NO_MEMORY;
  return MTS_SYNTAX;
}

static mts_Status open_and_set_up(mts_State *s, const mts_Setup *setup,
                                  mts_Failure *failure)
{
  Preparation preparation = {.state = s, .setup = setup};
  lua_State *L;
  int result;
  s->is_service = setup->is_service;
  if (!mts_memory_open(s, setup->memory_limit))
    return MTS_NO_MEMORY;
  if (!setup->with_libs && !mts_preload_find_libs())
    return MTS_NO_MEMORY;
  L = mts_interpreter_open(mts_heap_function(&s->heap), &s->heap);
  if (!L)
    return MTS_NO_MEMORY;
  s->L = L;
  atomic_store(&s->interrupt.running, L);
  if (mts_protect_open(L) != LUA_OK)
    return MTS_NO_MEMORY;
  mts_protect_push(L);
  result = mts_protect(L, prepare, &preparation, 0, 2, 0);
  if (result != LUA_OK)
    return preparation_error(&preparation, result, L, failure);
  return mts_call_setup(s, setup, failure);
}

mts_Status mts_newstate_run(mts_State *s, const mts_Setup *setup,
                            mts_Failure *failure)
{
  mts_Status status;
  mts_trace_begin(MTS_TRACE_SETUP, s);
  status = open_and_set_up(s, setup, failure);
  mts_trace_end();
  return status;
}
