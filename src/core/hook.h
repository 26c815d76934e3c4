/*
** hook.h - the debug hook that raises `interrupted`; a part of interrupt.c
*/
#ifndef MTS_HOOK_H
#define MTS_HOOK_H

#include "base/compiler.h"

#include <stdbool.h>

#include "core/interruptnode.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Sets the hook in the running Lua thread of the state that the node is a part
** of, and notes the progress.  May be called in a signal handler of the thread
** that holds the state; by another thread only with the mutex of the lock held
** and the holder pinned.
*/
void mts_hook_set(mts_InterruptNode *node);

/*
** Sets the hook in all Lua threads of s that run, or have resumed another one,
** but for those that have a hook of users.  The calling thread holds s.
*/
void mts_hook_set_everywhere(mts_State *s);

/*
** Whether Lua runs no hooks in L, of s, or in a Lua thread that has resumed
** that: a finalizer runs there, or a hook of the debug library.
** Stack: [-0, +0, -]
*/
bool mts_hook_is_kept_off(mts_State *s, lua_State *L);

/*
** Whether a hook is set in L that is not that of an interrupt.
** Stack: [-0, +0, -]
*/
bool mts_hook_is_foreign(lua_State *L);

MTS_END_HIDDEN

#endif
