/*
** newstate.c - opening a Lua state and running its setup
**
** Everything that needs memory of the new state happens in a protected call
** of it.  Then its stack has the message handler and the setup function, at
** the place of the callback, and the setup is run like a callback.
**
** The calling thread holds the new state, which nobody else knows yet.
*/
#include "newstate.h"

#include "call.h"
#include "coroutine.h"
#include "error.h"
#include "home.h"

typedef struct Preparation {
  mts_State *state;
  const mts_Setup *setup;
  bool is_syntax_error;
} Preparation;

/* All libraries, or the basic ones and the others for require. */
static void open_libs(lua_State *L, bool all)
{
  static const luaL_Reg preloads[] = {{LUA_COLIBNAME, mts_coroutine_open},
                                      {LUA_TABLIBNAME, luaopen_table},
                                      {LUA_IOLIBNAME, luaopen_io},
                                      {LUA_OSLIBNAME, luaopen_os},
                                      {LUA_STRLIBNAME, luaopen_string},
                                      {LUA_MATHLIBNAME, luaopen_math},
                                      {LUA_UTF8LIBNAME, luaopen_utf8},
                                      {LUA_DBLIBNAME, luaopen_debug},
                                      {NULL, NULL}};
  if (all) {
    luaL_openlibs(L);
    lua_getglobal(L, LUA_COLIBNAME);
    mts_coroutine_patch(L);
    lua_pop(L, 1);
  }
  else {
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, preloads, 0);
    lua_pop(L, 3);
  }
}

static void set_package_field(lua_State *L, const char *field,
                              const char *value)
{
  if (value) {
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
  }
}

/* Runs in the new state: [1] the Preparation.  Returns the setup function. */
static int prepare(lua_State *L)
{
  Preparation *preparation = lua_touserdata(L, 1);
  const mts_Setup *setup = preparation->setup;
  mts_State *s = preparation->state;
  int result;
  mts_home_set(L, s);
  open_libs(L, setup->with_libs);
  set_package_field(L, "path", setup->path);
  set_package_field(L, "cpath", setup->cpath);
  lua_pushcfunction(L, mts_error_handler);
  s->handler_ref = luaL_ref(L, LUA_REGISTRYINDEX);

  result = luaL_loadbufferx(L, setup->code, setup->length, setup->code, NULL);
  if (result != LUA_OK) {
    preparation->is_syntax_error = result == LUA_ERRSYNTAX;
    return lua_error(L);
  }
  lua_pushvalue(L, -1); /* to be replaced by the callback */
  s->callback_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

/* Why prepare failed: the error value is on top of L. */
static mts_Status preparation_error(const Preparation *preparation, int result,
                                    lua_State *L, mts_Buffer *error_text)
{
  size_t length;
  const char *text;
  if (result == LUA_ERRMEM || lua_type(L, -1) != LUA_TSTRING)
    return MTS_NO_MEMORY;
  text = lua_tolstring(L, -1, &length);
  if (!preparation->is_syntax_error)
    return mts_error_compose(error_text, MTS_ERROR_INVOKING_STATE,
                             preparation->state, text, length);
  if (!mts_buffer_append(error_text, text, length))
    return MTS_NO_MEMORY;
  return MTS_SYNTAX;
}

mts_Status mts_newstate_run(mts_State *s, const mts_Setup *setup,
                            mts_Buffer *error_text)
{
  Preparation preparation = {.state = s, .setup = setup};
  int result;
  lua_State *L = luaL_newstate();
  if (!L)
    return MTS_NO_MEMORY;
  s->L = L;
  atomic_store(&s->running, L);
  lua_pushcfunction(L, mts_error_handler);
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, &preparation);
  result = lua_pcall(L, 1, 1, 0);
  if (result != LUA_OK)
    return preparation_error(&preparation, result, L, error_text);
  return mts_call_setup(s, &setup->args, error_text);
}
