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
#include "value/transfer.h"

#include "value/classes.h"

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
  values->misfit_is_state = false;
  for (i = 0; i < values->count; i++) {
    int index = values->first + i;
    int type = lua_type(L, index);
    if (mts_transfer_kind(type) == MTS_KIND_OTHER &&
        (type != LUA_TUSERDATA || !mts_carray_find(L, index, array++))) {
      values->misfit_is_state =
          luaL_testudata(L, index, MTS_STATE_CLASS) != NULL;
      return i + 1;
    }
  }
  return 0;
}

void mts_transfer_examine_args(mts_Values *args)
{
  lua_State *L = args->L;
  int bad = mts_transfer_examine(args);
  if (bad > 0) {
    int index = args->first + bad - 1;
    luaL_argcheck(L, !args->misfit_is_state, index,
                  "a state cannot be transferred; pass its id");
    lua_pushfstring(L, "%s cannot be transferred to another state%s",
                    luaL_typename(L, index),
                    lua_istable(L, index) ? "; pass its values" : "");
    luaL_argerror(L, index, lua_tostring(L, -1));
  }
}

void mts_transfer_push(lua_State *to, const mts_Values *values)
{
  lua_State *from = values->L;
  const mts_Carray *array = values->arrays;
  int end = values->first + values->count;
  int index;
  for (index = values->first; index < end; index++) {
    int type = lua_type(from, index);
    switch (type) {
    case LUA_TSTRING: {
      size_t length;
      const char *string = lua_tolstring(from, index, &length);
      lua_pushlstring(to, string, length);
      break;
    }
    case LUA_TUSERDATA:
      mts_carray_push_copy(to, array++);
      break;
    case LUA_TLIGHTUSERDATA:
      lua_pushlightuserdata(to, lua_touserdata(from, index));
      break;
    default:
      (void)mts_transfer_push_if_plain(to, from, index, type);
    }
  }
}
