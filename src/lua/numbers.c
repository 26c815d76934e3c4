/*
** numbers.c - numbers as arguments and options
**
** Takes no locks.
*/
#include "lua/numbers.h"

#include <math.h>

#include "async_util.h"

lua_Number mts_numbers_check_seconds(lua_State *L, int arg)
{
  const lua_Number seconds = lua_tonumber(L, arg);
  if (!lua_isnumber(L, arg))
    luaL_typeerror(L, arg, lua_typename(L, LUA_TNUMBER));
  luaL_argcheck(L, !isnan(seconds), arg, "number expected, got nan");
  return seconds;
}

double mts_numbers_deadline(lua_Number timeout)
{
  return timeout > 0 ? mts_clock_deadline(timeout) : 0;
}

const char *mts_numbers_push_got(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TNUMBER)
    lua_pushstring(L, luaL_typename(L, index));
  else if (isnan(lua_tonumber(L, index))) /* which has a sign in some Luas */
    lua_pushliteral(L, "nan");
  else
    lua_pushvalue(L, index);
  return lua_tostring(L, -1);
}
