/*
** hook.h - the debug hook that raises `interrupted`; a part of interrupt.c
*/
#ifndef MTS_HOOK_H
#define MTS_HOOK_H

#include "base/compiler.h"

#include "core/interruptnode.h"

MTS_BEGIN_HIDDEN

/*
** Sets the hook in the running Lua thread of the state that the node is a part
** of, and notes the progress.  May be called in a signal handler of the thread
** that holds the state; by another thread only with the mutex of the lock held
** and the holder pinned.
*/
void mts_hook_set(mts_InterruptNode *node);

MTS_END_HIDDEN

#endif
