/*
** transfer.c - values that cross from one Lua stack to another
**
** Values go from one Lua stack directly to the other, strings and arrays in
** one copy.  Reading the source never raises an error and never allocates,
** because the two states have different callers: an error that the target
** raises may only be caught in the target.  That is why arrays, whose look-up
** can raise, are found in a step of its own.
**
** Takes no locks: the caller may use both Lua states.
*/
#include "transfer.h"

static mts_Kind kind_of(int type)
{
  switch (type) {
  case LUA_TNIL:
  case LUA_TBOOLEAN:
  case LUA_TNUMBER:
    return MTS_KIND_PLAIN;
  case LUA_TLIGHTUSERDATA:
    return MTS_LIGHTUSERDATA_NEEDS_MEMORY ? MTS_KIND_MEMORY : MTS_KIND_PLAIN;
  case LUA_TSTRING:
    return MTS_KIND_MEMORY;
  default:
    return MTS_KIND_OTHER;
  }
}

void mts_transfer_scan(mts_Values *values, lua_State *L, int first)
{
  int top = lua_gettop(L);
  int index;
  values->L = L;
  values->first = first;
  values->count = top < first ? 0 : top - first + 1;
  values->kind = MTS_KIND_PLAIN;
  values->arrays = NULL;
  for (index = first; index <= top; index++) {
    mts_Kind kind = kind_of(lua_type(L, index));
    if (kind > values->kind)
      values->kind = kind;
  }
}

int mts_transfer_examine(mts_Values *values)
{
  lua_State *L = values->L;
  mts_Carray *array;
  int i;
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    /* luaL_checkstack would call that an overflow of the stack */
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
  }
  array = lua_newuserdatauv(L, (size_t)values->count * sizeof(*array), 0);
  values->arrays = array;
  for (i = 0; i < values->count; i++) {
    int index = values->first + i;
    int type = lua_type(L, index);
    if (kind_of(type) == MTS_KIND_OTHER &&
        (type != LUA_TUSERDATA || !mts_carray_find(L, index, array++)))
      return i + 1;
  }
  return 0;
}

void mts_transfer_check_args(mts_Values *args, lua_State *L, int first)
{
  mts_transfer_scan(args, L, first);
  if (args->kind == MTS_KIND_OTHER) {
    int bad = mts_transfer_examine(args);
    if (bad > 0) {
      int index = first + bad - 1;
      lua_pushfstring(L, "%s cannot be transferred to another state",
                      luaL_typename(L, index));
      luaL_argerror(L, index, lua_tostring(L, -1));
    }
  }
}

static void push_plain(lua_State *to, lua_State *from, int index)
{
  switch (lua_type(from, index)) {
  case LUA_TNIL:
    lua_pushnil(to);
    break;
  case LUA_TBOOLEAN:
    lua_pushboolean(to, lua_toboolean(from, index));
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(from, index))
      lua_pushinteger(to, lua_tointeger(from, index));
    else
      lua_pushnumber(to, lua_tonumber(from, index));
    break;
  default:
    lua_pushlightuserdata(to, lua_touserdata(from, index));
  }
}

void mts_transfer_push_plain(lua_State *to, const mts_Values *values)
{
  int end = values->first + values->count;
  int index;
  for (index = values->first; index < end; index++)
    push_plain(to, values->L, index);
}

void mts_transfer_push(lua_State *to, const mts_Values *values)
{
  const mts_Carray *array = values->arrays;
  int end = values->first + values->count;
  int index;
  for (index = values->first; index < end; index++) {
    switch (lua_type(values->L, index)) {
    case LUA_TSTRING: {
      size_t length;
      const char *string = lua_tolstring(values->L, index, &length);
      lua_pushlstring(to, string, length);
      break;
    }
    case LUA_TUSERDATA:
      mts_carray_push_copy(to, array++);
      break;
    default:
      push_plain(to, values->L, index);
    }
  }
}
