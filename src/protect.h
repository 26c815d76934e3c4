/*
** protect.h - C functions in protected mode, wherever a state is
*/
#ifndef MTS_PROTECT_H
#define MTS_PROTECT_H

#include <stdbool.h>

#include "compat.h"

/*
** A function to be run in protected mode.  It sees its arguments and gives its
** results as every C function of Lua; data is its caller's.
*/
typedef int (*mts_Function)(lua_State *L, void *data);

/*
** Has to be called once in the interpreter of L before the others.  Never
** raises.  Returns: LUA_OK, LUA_ERRMEM.  Stack: [-0, +0, -]
*/
int mts_protect_open(lua_State *L);

/*
** Calls function(L, data) as lua_pcall would call a function with the count
** values on top of the stack; returns what lua_pcall does.  Needs one free
** slot and no memory.
** Stack: [-count, +(results|1), -]
*/
int mts_protect(lua_State *L, mts_Function function, void *data, int count,
                int results, int handler);

/*
** Makes sure that the stack has room for size more values, as lua_checkstack,
** and never raises.  Stack: [-0, +0, -]
*/
bool mts_protect_grow(lua_State *L, int size);

#endif
