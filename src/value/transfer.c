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

/* Returns whether the value can cross; fills *array if it is an array. */
static bool examine_value(lua_State *L, int index, mts_Kind kind,
                          mts_Carray *array)
{
  switch (kind) {
  case MTS_KIND_NIL:
  case MTS_KIND_BOOLEAN:
  case MTS_KIND_INTEGER:
  case MTS_KIND_NUMBER:
  case MTS_KIND_LIGHTUSERDATA:
  case MTS_KIND_STRING:
    return true;
  case MTS_KIND_CARRAY:
    return mts_carray_find(L, index, array);
  case MTS_KIND_TABLE:
  case MTS_KIND_FUNCTION:
  case MTS_KIND_MISFIT:
    break;
  }
  return false;
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
  values->misfit_is_state = false;
  for (i = 0; i < values->count; i++) {
    const int index = values->first + i;
    const mts_Kind kind = mts_kind_of(L, index, mts_transfer_type(values, i));
    if (!examine_value(L, index, kind, array)) {
      values->misfit_is_state =
          luaL_testudata(L, index, MTS_STATE_CLASS) != NULL;
      return i + 1;
    }
    if (kind == MTS_KIND_CARRAY)
      array++;
  }
  return 0;
}

void mts_transfer_examine_args(mts_Values *args, mts_RaiseArgument raise)
{
  lua_State *L = args->L;
  int bad = mts_transfer_examine(args);
  if (bad > 0) {
    int index = args->first + bad - 1;
    if (args->misfit_is_state)
      raise(L, index, "a state cannot be transferred; pass its id");
    lua_pushfstring(L, "%s cannot be transferred to another state%s",
                    luaL_typename(L, index),
                    lua_istable(L, index) ? "; pass its values" : "");
    raise(L, index, lua_tostring(L, -1));
  }
}

void mts_transfer_push(lua_State *to, const mts_Values *values)
{
  lua_State *from = values->L;
  const mts_Carray *array = values->arrays;
  int i;
  for (i = 0; i < values->count; i++) {
    const int index = values->first + i;
    const int type = mts_transfer_type(values, i);
    const mts_Kind kind = mts_kind_of(from, index, type);
    mts_transfer_push_value(to, from, index, kind, array);
    if (kind == MTS_KIND_CARRAY)
      array++;
  }
}
