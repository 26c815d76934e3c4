/*
** forkwork.h - the function of the module that makes tasks
*/
#ifndef MTS_FORKWORK_H
#define MTS_FORKWORK_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* mtstates.fork(f, ...) */
int mts_forkwork_fork(lua_State *L);

MTS_END_HIDDEN

#endif
