/*
** protect.h - C functions in protected mode, also where no error may be raised
**
** mts_protect_open prepares an interpreter.  A protected call is then
**
**   mts_protect_push(L);  push arguments;  mts_protect(L, function, ...)
**
** and needs no memory of its own.  Only mts_protect_keep can raise an error.
*/
#ifndef MTS_PROTECT_H
#define MTS_PROTECT_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** A function to be run in protected mode.  It sees its arguments and gives its
** results as every C function of Lua; data is what mts_protect was given.
*/
typedef int (*mts_Function)(lua_State *L, void *data);

/*
** Has to be called once in the interpreter of L before the others.
** Returns: LUA_OK, LUA_ERRMEM.
** Stack: [-0, +0, -]
*/
int mts_protect_open(lua_State *L);

/*
** Keeps a C function in the Lua registry under the key, where there is no
** other way to push it later without memory.
** Stack: [-0, +0, m]
*/
void mts_protect_keep(lua_State *L, const char *key, lua_CFunction function);

/*
** Pushes a function that is kept under that key.  Needs one free slot.
** Stack: [-0, +1, -]
*/
void mts_protect_push_kept(lua_State *L, const char *key,
                           lua_CFunction function);

/*
** Pushes what has to lie below the arguments for mts_protect.  Needs one free
** slot.
** Stack: [-0, +1, -]
*/
void mts_protect_push(lua_State *L);

/*
** Calls function(L, data) as lua_pcall would call a function with the count
** values on top of the stack.
** Returns: what lua_pcall does.
** Stack: [-(count + 1), +(results|1), -]
*/
int mts_protect(lua_State *L, mts_Function function, void *data, int count,
                int results, int handler);

/* Part of mts_protect_grow. */
bool mts_protect_grow_beyond(lua_State *L, int size);

/*
** Makes sure that the stack has room for size more values.  used: how many
** values there are at most besides the arguments of the C function that runs,
** since each has room for LUA_MINSTACK.
** Returns: false if there is no memory, or no room for so many.
** Stack: [-0, +0, -]
*/
static inline bool mts_protect_grow(lua_State *L, int used, int size)
{
  return size <= LUA_MINSTACK - used || mts_protect_grow_beyond(L, size);
}

MTS_END_HIDDEN

#endif
