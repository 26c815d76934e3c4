/*
** here.h - the state of a Lua state that the module has not made
*/
#ifndef MTS_HERE_H
#define MTS_HERE_H

#include "base/compiler.h"

#include "luaapi/compat.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** The state whose tasks are those of L: that of the module that runs the code,
** or one that is made for a main program and the like.
** Stack: [-0, +n, e]
** Errors: out_of_memory; object_closed if the Lua state is being closed.
*/
mts_State *mts_here_find(lua_State *L);

/*
** To be called when the module is opened; the context is on top of the stack.
** Stack: [-0, +0, m]
*/
void mts_here_open(lua_State *L);

/* mtstates.here([name,] [options,] [callback or table]) */
int mts_here_here(lua_State *L);

/* state:run([timeout]) */
int mts_here_run(lua_State *L);

/* state:fd() */
int mts_here_fd(lua_State *L);

MTS_END_HIDDEN

#endif
