/*
** host.c - a program that has Lua inside, perhaps without some libraries
**
** host FILE KIND runs a Lua program with one argument.  The libraries are
** those that luaL_openlibs opens or, if this was compiled
**
**   with HOST_FEWER   not io, os and utf8; luaL_openlibs opens what there is
**                     and removes package.path, as for a sandbox
**   with HOST_FEWEST  only three, and there is no luaL_openlibs
**
** A luaopen_mtstates that is linked in is for require or, without that, makes
** a global variable.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>

#pragma weak luaopen_mtstates
int luaopen_mtstates(lua_State *L);

#if defined(HOST_FEWER) || defined(HOST_FEWEST)

static const luaL_Reg libraries[] = {{"_G", luaopen_base},
                                     {LUA_STRLIBNAME, luaopen_string},
                                     {LUA_TABLIBNAME, luaopen_table},
#if !defined(HOST_FEWEST)
                                     {LUA_LOADLIBNAME, luaopen_package},
                                     {LUA_COLIBNAME, luaopen_coroutine},
                                     {LUA_MATHLIBNAME, luaopen_math},
                                     {LUA_DBLIBNAME, luaopen_debug},
#endif
                                     {NULL, NULL}};

static void open_libraries(lua_State *L)
{
  const luaL_Reg *library;
  for (library = libraries; library->name; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

#if !defined(HOST_FEWEST)
void luaL_openlibs(lua_State *L)
{
  open_libraries(L);
  lua_getglobal(L, LUA_LOADLIBNAME);
  lua_pushnil(L);
  lua_setfield(L, -2, "path");
  lua_pop(L, 1);
}
#endif

#else
#define open_libraries luaL_openlibs
#endif

static int run(lua_State *L)
{
  open_libraries(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (luaopen_mtstates && lua_getglobal(L, "require") == LUA_TNIL)
    luaL_requiref(L, "mtstates", luaopen_mtstates, 1);
  else if (luaopen_mtstates) {
    lua_pushcfunction(L, luaopen_mtstates);
    lua_setfield(L, 3, "mtstates");
  }
  if (luaL_loadfile(L, lua_tostring(L, 1)) != LUA_OK)
    return lua_error(L);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

int main(int argc, char **argv)
{
  lua_State *L = luaL_newstate();
  int status;
  if (!L || argc != 3)
    return 2;
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  lua_pushstring(L, argv[2]);
  status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != LUA_OK;
}
