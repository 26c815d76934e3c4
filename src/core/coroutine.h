/*
** coroutine.h - a coroutine library that tells which coroutine runs
*/
#ifndef MTS_COROUTINE_H
#define MTS_COROUTINE_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"
#include "state.h"

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

/*
** Whether the C function that runs in L, a Lua thread of s, can yield, and
** with it all coroutines that are between it and the outermost one.
** Stack: [-0, +0, -]
*/
bool mts_coroutine_can_wait(mts_State *s, lua_State *L,
                            const lua_State *outermost);

/*
** The coroutine that co, in which code of a task waits, has resumed, and in
** which that code is; NULL: it is in co itself.
** Stack: [-0, +0, -]
*/
lua_State *mts_coroutine_find_inner(lua_State *co);

MTS_END_HIDDEN

#endif
