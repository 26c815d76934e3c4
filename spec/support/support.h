/*
** What the small C modules of spec/support share: the Lua headers, the few
** differences between Lua 5.1 and 5.5 that they meet, and what they want to
** know from the system. Header only; nothing here belongs to mtstates.
*/
#ifndef SPEC_SUPPORT_H
#define SPEC_SUPPORT_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first, for dladdr"
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/*
** What a thread of this process does: 'S' sleeping, 'R' running, ...; 0 if
** there is no such thread. Allocates nothing.
*/
static inline char support_thread_status(long tid)
{
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/self/task/%ld/stat", tid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = file >= 0 ? read(file, line, sizeof line - 1) : 0;
  if (file >= 0) {
    close(file);
  }
  line[length > 0 ? length : 0] = '\0';
  const char *end = strrchr(line, ')');
  return end != NULL && end[1] == ' ' ? end[2] : 0;
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
