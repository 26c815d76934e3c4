/*
** ccatch(f): calls f and catches its errors, as C code does.  Gives whether it
** went well.
*/
#define _GNU_SOURCE

#include "support.h"

SUPPORT_EXPORT int luaopen_ccatch(lua_State *L);

static int catch_error(lua_State *L)
{
  lua_pushvalue(L, 1);
  lua_pushboolean(L, lua_pcall(L, 0, 0, 0) == 0);
  return 1;
}

int luaopen_ccatch(lua_State *L)
{
  lua_pushcfunction(L, catch_error);
  return 1;
}
