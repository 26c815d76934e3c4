/*
** coroutine.h - a coroutine library that tells which coroutine runs
*/
#ifndef MTS_COROUTINE_H
#define MTS_COROUTINE_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Replaces those functions of the coroutine library on top of the stack that
** run coroutines.  L belongs to a state of this module.
** Stack: [-0, +0, m]
*/
void mts_coroutine_patch(lua_State *L);

/*
** Adds a loader for the patched library to the table package.preload, which is
** on top of the stack; not if the library is a part of the basic one.
** Stack: [-0, +0, m]
*/
void mts_coroutine_preload(lua_State *L);

MTS_END_HIDDEN

#endif
