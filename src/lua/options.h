/*
** options.h - what makes a state: the arguments [libs or options,] setup, ...
*/
#ifndef MTS_OPTIONS_H
#define MTS_OPTIONS_H

#include "base/compiler.h"
#include "core/setup.h"

MTS_BEGIN_HIDDEN

/* Members of a pool. */
#define MTS_OPTIONS_MOST_MEMBERS 10000

/*
** Reads the arguments from the index first, where libs or options can stand,
** to the top into *setup (all but open_module).  What it pushes has to stay as
** long as *setup is used.
** Returns: the index of the argument setup.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
int mts_options_read(lua_State *L, int first, mts_Setup *setup);

/*
** The same for the members of a pool, which can stand as a number in the place
** of the options.
*/
int mts_options_read_pool(lua_State *L, int first, mts_Setup *setup);

/*
** The same for a service whose callback is a copy of the function at index, an
** argument of the running function.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
void mts_options_read_callback(lua_State *L, int index, mts_Setup *setup);

/*
** Reads the options of mtstates.here, if there are some at index (0: none),
** into what is of *setup about requests.
** Stack: [-0, +0, v]
** Errors: argument errors.
*/
void mts_options_read_here(lua_State *L, int index, mts_Setup *setup);

/*
** The same for mtstates.thread([options,] f or code, ...): a service with a
** thread of its own, whose callback calls its first argument.  Code becomes a
** function.
** Returns: the index of the function, which the arguments follow; with it
** these are *count values.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
int mts_options_read_thread(lua_State *L, mts_Setup *setup, int *count);

MTS_END_HIDDEN

#endif
