/*
** cresume(f): runs f in a coroutine that C code resumes, as event loops do.
** Gives whether it went well and, if not, the error value.
*/
#define _GNU_SOURCE

#include "support.h"

SUPPORT_EXPORT int luaopen_cresume(lua_State *L);

static int resume(lua_State *L)
{
  lua_State *co = lua_newthread(L);
  int status;
#if LUA_VERSION_NUM >= 504
  int results;
#endif
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
#if LUA_VERSION_NUM >= 504
  status = lua_resume(co, L, 0, &results);
#elif LUA_VERSION_NUM >= 502
  status = lua_resume(co, L, 0);
#else
  status = lua_resume(co, 0);
#endif
  lua_pushboolean(L, status <= LUA_YIELD);
  if (status <= LUA_YIELD) {
    return 1;
  }
  lua_xmove(co, L, 1);
  return 2;
}

int luaopen_cresume(lua_State *L)
{
  lua_pushcfunction(L, resume);
  return 1;
}
