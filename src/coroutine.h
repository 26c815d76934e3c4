/*
** coroutine.h - a coroutine library that tells which coroutine runs
*/
#ifndef MTS_COROUTINE_H
#define MTS_COROUTINE_H

#include "compat.h"

/*
** Replaces the functions of the library table on top of the stack that run
** coroutines.  L is the interpreter of a state of this module.
** Stack: [-0, +0, m]
*/
void mts_coroutine_patch(lua_State *L);

/* To be used in place of luaopen_coroutine.  Stack: as a Lua function. */
int mts_coroutine_open(lua_State *L);

#endif
