/*
** setupread.h - what makes a state, as arguments: [options,] setup, ...
*/
#ifndef MTS_SETUPREAD_H
#define MTS_SETUPREAD_H

#include "base/compiler.h"

#include "core/setup.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Reads the arguments from the index first, where libs or options can stand,
** to the top into *setup.  What it pushes has to stay as long as *setup is
** used.
** Returns: the index of the argument setup.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
int mts_setupread_state(lua_State *L, int first, mts_Setup *setup);

/*
** The same for the members of a pool, whose number can stand in the place of
** the options.
*/
int mts_setupread_pool(lua_State *L, int first, mts_Setup *setup);

/*
** The same for a service whose callback is a copy of the function at index, an
** argument of the running function.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
void mts_setupread_callback(lua_State *L, int index, mts_Setup *setup);

/*
** The same for mtstates.thread([options,] f or code, ...): a service with a
** thread of its own, whose callback calls its first argument.  Code becomes a
** function.
** Returns: the index of the function, which the arguments follow; with it
** these are *count values.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
int mts_setupread_thread(lua_State *L, mts_Setup *setup, int *count);

MTS_END_HIDDEN

#endif
