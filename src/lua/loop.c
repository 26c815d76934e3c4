/*
** loop.c - iterators, whose objects are the closing values of their loops
**
** An iterator is a function in Lua around C functions, the methods of its
** object.  So it can wait several times, and functions of the user that it
** calls can wait, also where C functions cannot go on after a yield.  The only
** method that waits is called `wait`.
**
** The function that makes iterators is compiled when it is needed for the
** first time, and kept among the methods.
**
** Takes no locks.
*/
#include "lua/loop.h"

#include <string.h>

#include "lua/userdata.h"
#include "lua/waiting.h"

#define MAKER "maker"
#define CHUNK "=mtstates" /* also of what mts_waiting_wrap makes */

void mts_loop_open(lua_State *L, const char *class_name,
                   const luaL_Reg *methods, const luaL_Reg *metamethods)
{
  static const char *const waiting[] = {"wait", NULL};
  mts_userdata_push_class(L, class_name, methods, metamethods);
  lua_getfield(L, -1, "__index");
  mts_waiting_wrap(L, waiting);
  lua_pop(L, 2);
}

/* Pushes the function that makes iterators of the class. */
static void push_maker(lua_State *L, const char *class_name, const char *code)
{
  luaL_getmetatable(L, class_name);
  lua_getfield(L, -1, "__index");
  lua_replace(L, -2);
  lua_getfield(L, -1, MAKER);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    if (luaL_loadbuffer(L, code, strlen(code), CHUNK) != LUA_OK)
      lua_error(L);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, MAKER);
  }
  lua_replace(L, -2);
}

int mts_loop_return(lua_State *L, const char *class_name, const char *code,
                    int count)
{
  const int object = lua_gettop(L) - count;
  lua_pushvalue(L, object);
  lua_insert(L, object);
  push_maker(L, class_name, code);
  lua_insert(L, object + 1);
  lua_call(L, count + 1, 1);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, object);
  return 4;
}

void mts_loop_push_position(lua_State *L)
{
  lua_Debug ar;
  int level = 0;
  do {
    level++;
  } while (lua_getstack(L, level, &ar) && lua_getinfo(L, "S", &ar) &&
           strcmp(ar.source, CHUNK) == 0);
  luaL_where(L, level);
}
