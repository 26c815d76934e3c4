/*
** cyield(...): yields its arguments from C, without asking whether it can, and
** gives what it is resumed with.
*/
#define _GNU_SOURCE

#include "support.h"

SUPPORT_EXPORT int luaopen_cyield(lua_State *L);

static int yield(lua_State *L)
{
  return lua_yield(L, lua_gettop(L));
}

int luaopen_cyield(lua_State *L)
{
  lua_pushcfunction(L, yield);
  return 1;
}
