/*
** setup.c - what a new state starts with, read from the creator's stack
**
** The setup crosses as code: a string as it is, a function as bytecode.  A
** function would lose the values of its upvalues on the way, so it must have
** none.  Everything stays on the creator's stack until the new state has it;
** there is no other memory, so errors can be raised at any point.
**
** Takes no locks.
*/
#include "setup.h"

#include <string.h>

static bool is_code(lua_State *L, int index)
{
  int type = lua_type(L, index);
  return type == LUA_TSTRING || type == LUA_TFUNCTION;
}

/* Where the code is if the optional argument libs would be at index. */
static int code_index(lua_State *L, int index)
{
  bool has_libs = lua_isboolean(L, index) ||
                  (lua_isnil(L, index) && is_code(L, index + 1));
  return has_libs ? index + 1 : index;
}

bool mts_setup_starts_at(lua_State *L, int index)
{
  /* A string after nil is taken for the second argument of a setup. */
  if (lua_isnil(L, index))
    return lua_isfunction(L, index + 1);
  return is_code(L, code_index(L, index));
}

/*
** Refuses upvalues.  _ENV is none: code gets that of the new state.  Without
** debug information it has no name, then it is known by its value.
*/
static void check_upvalues(lua_State *L, int index)
{
  const char *name;
  int i;
  for (i = 1; (name = lua_getupvalue(L, index, i)) != NULL; i++) {
    bool is_env = strcmp(name, "_ENV") == 0;
    if (*name == '(') { /* "(no name)" */
      lua_pushglobaltable(L);
      is_env = i == 1 && lua_rawequal(L, -1, -2);
      lua_pop(L, 1);
    }
    if (!is_env) {
      lua_pushfstring(L,
                      "lua function without upvalues expected, "
                      "has upvalue #%d '%s'",
                      i, name);
      luaL_argerror(L, index, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
  }
}

typedef struct Dump {
  luaL_Buffer buffer;
  bool is_started;
} Dump;

static int write_dump(lua_State *L, const void *data, size_t size, void *ud)
{
  Dump *dump = ud;
  if (!dump->is_started) { /* not before: lua_dump wants the function on top */
    luaL_buffinit(L, &dump->buffer);
    dump->is_started = true;
  }
  luaL_addlstring(&dump->buffer, data, size);
  return 0;
}

/* Raises an argument error if there is no setup at index. */
static void check_code(lua_State *L, int index)
{
  if (!is_code(L, index))
    luaL_typeerror(L, index, "function or string");
  luaL_argcheck(L, !lua_iscfunction(L, index), index, "lua function expected");
  if (lua_isfunction(L, index))
    check_upvalues(L, index);
}

/* Pushes the code of the setup, as string.  Stack: [-0, +1, v] */
static void push_code(lua_State *L, int index)
{
  Dump dump = {.is_started = false};
  lua_pushvalue(L, index);
  if (lua_isfunction(L, index)) {
    lua_dump(L, write_dump, &dump, 0);
    luaL_pushresult(&dump.buffer);
    lua_remove(L, -2); /* the function */
  }
}

/* Pushes a string field of the package library, or else nil. */
static const char *push_package_field(lua_State *L, const char *field)
{
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_LOADLIBNAME);
  if (lua_istable(L, -1))
    lua_getfield(L, -1, field);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

int mts_setup_check(lua_State *L, int libs, mts_Setup *setup)
{
  int index = code_index(L, libs);
  setup->with_libs = !lua_isboolean(L, libs) || lua_toboolean(L, libs);
  check_code(L, index);
  mts_transfer_check_args(&setup->args, L, index + 1);
  push_code(L, index);
  setup->code = lua_tolstring(L, -1, &setup->length);
  setup->path = push_package_field(L, "path");
  setup->cpath = push_package_field(L, "cpath");
  return index;
}
