/*
** errorobject.c - errors as objects of Lua code
**
** The text of an error is all there is, so an error object is the same text
** and where its parts are.  It has nothing to do with any state: the functions
** need no context and look their class up in the Lua registry.
**
** Takes no locks.
*/
#include "lua/errorobject.h"

#include <string.h>

#include "error.h"
#include "lua/errortext.h"

typedef struct ErrorObject {
  mts_ErrorParts parts;
  char text[];
} ErrorObject;

static ErrorObject *check_error(lua_State *L, int index)
{
  return luaL_checkudata(L, index, MTS_ERROR_CLASS);
}

/* mtstates.error(err): called as a table, which is the first argument. */
static int error_new(lua_State *L)
{
  const char *text;
  size_t length;
  mts_ErrorParts parts;
  ErrorObject *object;
  lua_remove(L, 1);
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (luaL_testudata(L, 1, MTS_ERROR_CLASS))
    return 1;
  text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : NULL;
  if (!text || !mts_errortext_split(text, length, &parts)) {
    lua_pushnil(L);
    return 1;
  }
  object = lua_newuserdatauv(L, sizeof(*object) + length + 1, 0);
  luaL_setmetatable(L, MTS_ERROR_CLASS);
  object->parts = parts;
  memcpy(object->text, text, length + 1);
  return 1;
}

static int error_name(lua_State *L)
{
  lua_pushstring(L, mts_error_names[check_error(L, 1)->parts.error]);
  return 1;
}

static int error_details(lua_State *L)
{
  const ErrorObject *object = check_error(L, 1);
  lua_pushlstring(L, object->text + object->parts.details,
                  object->parts.traceback - object->parts.details);
  return 1;
}

static int error_traceback(lua_State *L)
{
  const ErrorObject *object = check_error(L, 1);
  if (object->parts.traceback == object->parts.length)
    lua_pushnil(L);
  else /* without the line break */
    lua_pushlstring(L, object->text + object->parts.traceback + 1,
                    object->parts.length - object->parts.traceback - 1);
  return 1;
}

static int error_message(lua_State *L)
{
  const ErrorObject *object = check_error(L, 1);
  lua_pushlstring(L, object->text, object->parts.length);
  return 1;
}

static mts_ErrorOrigin origin_of(const ErrorObject *object)
{
  return mts_errortext_find_origin(object->text, &object->parts);
}

static int error_cause(lua_State *L)
{
  mts_ErrorOrigin origin = origin_of(check_error(L, 1));
  if (origin.error == MTS_ERROR_COUNT)
    lua_pushnil(L);
  else
    lua_pushstring(L, mts_error_names[origin.error]);
  return 1;
}

static int error_text(lua_State *L)
{
  mts_ErrorOrigin origin = origin_of(check_error(L, 1));
  lua_pushlstring(L, origin.text, origin.length);
  return 1;
}

static int error_eq(lua_State *L)
{
  const ErrorObject *a = luaL_testudata(L, 1, MTS_ERROR_CLASS);
  const ErrorObject *b = luaL_testudata(L, 2, MTS_ERROR_CLASS);
  lua_pushboolean(L, a && b && a->parts.error == b->parts.error);
  return 1;
}

static const luaL_Reg error_methods[] = {{"name", error_name},
                                         {"details", error_details},
                                         {"traceback", error_traceback},
                                         {"message", error_message},
                                         {"cause", error_cause},
                                         {"text", error_text},
                                         {NULL, NULL}};

static const luaL_Reg error_metamethods[] = {
    {"__tostring", error_message}, {"__eq", error_eq}, {NULL, NULL}};

void mts_errorobject_push_names(lua_State *L)
{
  int i;
  luaL_newmetatable(L, MTS_ERROR_CLASS);
  luaL_setfuncs(L, error_metamethods, 0);
  luaL_newlib(L, error_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);

  lua_createtable(L, 0, MTS_ERROR_COUNT);
  for (i = 0; i < MTS_ERROR_COUNT; i++) {
    lua_pushstring(L, mts_error_names[i]);
    lua_setfield(L, -2, mts_error_names[i] + strlen(MTS_ERROR_CLASS "."));
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, error_new);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
}
