/*
** What the small C modules of spec/support share: the Lua headers and the few
** differences between Lua 5.1 and 5.5 that they meet. Header only; nothing
** here belongs to mtstates.
*/
#ifndef SPEC_SUPPORT_H
#define SPEC_SUPPORT_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first, for dladdr"
#endif

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stddef.h>

#define SUPPORT_EXPORT __attribute__((visibility("default")))

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

#if LUA_VERSION_NUM < 503
#define lua_isinteger(L, index) ((void)(L), (void)(index), 0)
#endif

#if LUA_VERSION_NUM >= 504
#define support_newuserdata(L, size) lua_newuserdatauv(L, size, 0)
#else
#define support_newuserdata(L, size) lua_newuserdata(L, size)
#endif

/*
** Keeps the module with this address loaded until the process ends. Lua
** unloads C modules before it frees the last memory of a state.
*/
static inline void support_pin(lua_State *L, void *address)
{
  Dl_info info;
  if (dladdr(address, &info) == 0 ||
      dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE) == NULL) {
    luaL_error(L, "this module cannot stay loaded");
  }
}

/* Puts the functions into the table on top of the stack. */
static inline void support_set_functions(lua_State *L, const luaL_Reg *list)
{
  for (; list->name != NULL; list++) {
    lua_pushcfunction(L, list->func);
    lua_setfield(L, -2, list->name);
  }
}

/* Pushes the metatable `name` with these methods; its __index is itself. */
static inline void support_new_class(lua_State *L, const char *name,
                                     const luaL_Reg *methods)
{
  luaL_newmetatable(L, name);
  support_set_functions(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
}

#endif
