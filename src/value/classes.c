/*
** classes.c - classes: metatables that are known by a name
**
** Before Lua 5.3 luaL_newmetatable sets no __name.  A table without one that
** the Lua registry has under a name is taken for such a metatable when the
** name is claimed, and gets its __name then; but names of Lua's own, as
** _LOADED, begin with an underscore.
**
** All accesses are raw.  Takes no locks.
*/
#include "value/classes.h"

#include "luaapi/keytext.h"

const char *mts_classes_name(lua_State *L, int metatable, int name_key,
                             size_t *length)
{
  const char *name = NULL;
  lua_pushvalue(L, name_key);
  lua_rawget(L, metatable);
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushvalue(L, -1);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_rawequal(L, -1, metatable))
      name = lua_tolstring(L, -2, length);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return name;
}

/* Pushes __name of the table at index, which is absolute. */
static void push_class_name(lua_State *L, int index)
{
  lua_pushliteral(L, MTS_NAME_KEY);
  lua_rawget(L, index);
}

/* Whether the value at index is a table with the __name at index name. */
static bool has_class_name(lua_State *L, int index, int name)
{
  bool is_equal;
  if (!lua_istable(L, index))
    return false;
  push_class_name(L, index);
  is_equal = lua_rawequal(L, -1, name);
  lua_pop(L, 1);
  return is_equal;
}

void mts_classes_push(lua_State *L)
{
  const int name = lua_gettop(L);
  lua_pushvalue(L, name);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!has_class_name(L, name + 1, name)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_replace(L, name);
}

/* ======================================================================= */
/* Claims                                                                  */
/* ======================================================================= */

/* The arguments, and what the Lua registry has under the name. */
#define NAME 1
#define GIVEN 2
#define FOUND 3

/* Whether what was found can be the metatable of a C library, without name. */
static bool is_nameless(lua_State *L)
{
  bool has_no_name;
  if (MTS_METATABLES_HAVE_NAMES || *lua_tostring(L, NAME) == '_' ||
      !lua_istable(L, FOUND))
    return false;
  push_class_name(L, FOUND);
  has_no_name = lua_isnil(L, -1);
  lua_pop(L, 1);
  return has_no_name;
}

/* Refuses a table that has another name. */
static void check_given(lua_State *L)
{
  push_class_name(L, GIVEN);
  if (!lua_isnil(L, -1) && !lua_rawequal(L, -1, NAME)) {
    lua_pushfstring(L, "metatable has the name %s", mts_keytext_push(L, -1));
    luaL_argerror(L, GIVEN, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

static void refuse_claim(lua_State *L, int arg, const char *format)
{
  lua_pushfstring(L, format, lua_tostring(L, NAME));
  luaL_argerror(L, arg, lua_tostring(L, -1));
}

static void set_class_name(lua_State *L, int index)
{
  lua_pushliteral(L, MTS_NAME_KEY);
  lua_pushvalue(L, NAME);
  lua_rawset(L, index);
}

/* Nothing was found: the given table, or a new one, takes that place. */
static void make_class(lua_State *L)
{
  if (lua_isnil(L, GIVEN))
    lua_newtable(L);
  else {
    check_given(L);
    lua_pushvalue(L, GIVEN);
  }
  lua_replace(L, FOUND);
  set_class_name(L, FOUND);
  lua_pushvalue(L, NAME);
  lua_pushvalue(L, FOUND);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

void mts_classes_claim(lua_State *L)
{
  lua_settop(L, GIVEN);
  lua_pushvalue(L, NAME);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (lua_isnil(L, FOUND)) {
    make_class(L);
    return;
  }
  if (!has_class_name(L, FOUND, NAME) && !is_nameless(L))
    refuse_claim(L, NAME, "name '%s' is taken");
  if (!lua_isnil(L, GIVEN) && !lua_rawequal(L, GIVEN, FOUND))
    refuse_claim(L, GIVEN, "class '%s' has another metatable");
  set_class_name(L, FOUND);
}
