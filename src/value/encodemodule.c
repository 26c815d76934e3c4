/*
** encodemodule.c - encoding of modules and C functions
**
** A module is what package.loaded has under its name.  C functions are fields
** of modules, or of the globals.  Both cross by name.
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "luaapi/libs.h"
#include "value/encoder.h"

/* Stack: [-0, +1, -]; nil, if code has removed the table. */
static void push_loaded(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* Gives the table at index that number, unless it has one. */
static bool number_table(mts_Encoder *e, int index, uint64_t new_number)
{
  uint64_t *number = mts_identity_find(&e->seen, lua_topointer(e->L, index));
  if (!number) {
    e->stop = MTS_STOP_NO_MEMORY;
    return false;
  }
  if (*number == 0)
    *number = new_number;
  return true;
}

bool mts_encoder_learn_globals(mts_Encoder *e)
{
  bool has_learned;
  lua_pushglobaltable(e->L);
  has_learned = number_table(e, -1, MTS_IDENTITY_GLOBALS);
  lua_pop(e->L, 1);
  return has_learned;
}

bool mts_encoder_learn_modules(mts_Encoder *e)
{
  lua_State *L = e->L;
  const int top = lua_gettop(L);
  bool is_learning = true;
  push_loaded(L);
  lua_pushnil(L);
  while (is_learning && lua_istable(L, -2) && lua_next(L, -2)) {
    if (lua_istable(L, -1) && lua_type(L, -2) == LUA_TSTRING)
      is_learning = number_table(e, -1, MTS_IDENTITY_MODULE);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return is_learning;
}

/*
** Finds the key of the value on top of the stack in the table below it: of
** several strings the first in alphabetical order, so that it is always the
** same.
** Returns: NULL if there is none.
** Stack: [-0, +0, -]
*/
static const char *find_key(lua_State *L)
{
  const char *found = NULL;
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, -3)) {
      const char *key = lua_tostring(L, -2);
      if (!found || strcmp(key, found) < 0)
        found = key;
    }
    lua_pop(L, 1);
  }
  return found;
}

/* Whether the table on top of the stack holds a function. */
static bool holds_function(lua_State *L)
{
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_isfunction(L, -1)) {
      lua_pop(L, 2);
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

static mts_Written append_name(mts_Encoder *e, const char *name)
{
  return mts_encoder_append_string(e, name, strlen(name));
}

mts_Written mts_encoder_write_module(mts_Encoder *e)
{
  lua_State *L = e->L;
  const char *name = NULL;
  if (!holds_function(L))
    return MTS_NEW;
  push_loaded(L);
  lua_pushvalue(L, -2);
  if (lua_istable(L, -2))
    name = find_key(L);
  lua_pop(L, 2);
  if (!name) /* __transfer has removed it */
    return MTS_NEW;
  if (!mts_encoder_append_tag(e, MTS_TAG_MODULE))
    return MTS_STOPPED;
  return append_name(e, name);
}

/*
** Which of several names of a C function is taken: that in one of Lua's
** libraries, then that in the globals, where there can be others, then all
** others.  But programs give table.unpack to a Lua that does not have it.
*/
static int rank_of_name(const char *module, const char *key)
{
  const luaL_Reg *lib = mts_libs_list;
  if (strcmp(module, "_G") == 0)
    return 1;
  if (MTS_UNPACK_IS_GLOBAL && strcmp(module, "table") == 0 &&
      strcmp(key, "unpack") == 0)
    return 2;
  while (lib->name && strcmp(lib->name, module) != 0)
    lib++;
  return lib->name ? 0 : 2;
}

/* Whether the first of two names, each a module and a key, is taken. */
static bool is_before(const char *module, const char *key,
                      const char *other_module, const char *other_key)
{
  const int difference =
      rank_of_name(module, key) - rank_of_name(other_module, other_key);
  return difference < 0 ||
         (difference == 0 && strcmp(module, other_module) < 0);
}

/*
** Finds the C function on top of the stack in a module; below it is
** package.loaded.
** Returns: its name in *module; NULL if there is none.
** Stack: [-0, +0, -]
*/
static const char *find_function(lua_State *L, const char **module)
{
  const char *found = NULL;
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)) {
      const char *name = lua_tostring(L, -2), *key;
      lua_pushvalue(L, -3);
      key = find_key(L);
      lua_pop(L, 1);
      if (key && (!found || is_before(name, key, *module, found))) {
        found = key;
        *module = name;
      }
    }
    lua_pop(L, 1);
  }
  return found;
}

mts_Written mts_encoder_write_c_function(mts_Encoder *e)
{
  lua_State *L = e->L;
  const char *module = NULL, *name = NULL;
  push_loaded(L);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, -2);
    name = find_function(L, &module);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (!name)
    return mts_encoder_refuse(e, "C function of no loaded module");
  if (!mts_encoder_append_tag(e, MTS_TAG_C_FUNCTION) ||
      append_name(e, module) != MTS_WRITTEN)
    return MTS_STOPPED;
  return append_name(e, name);
}
