/*
** options.h - the arguments [libs,] setup, ... of functions that make a state
*/
#ifndef MTS_OPTIONS_H
#define MTS_OPTIONS_H

#include "base/compiler.h"
#include "core/setup.h"

MTS_BEGIN_HIDDEN

/*
** Reads the arguments from the index libs to the top into *setup (all but
** open_module).  What it pushes has to stay as long as *setup is used.
** Returns: the index of the argument setup.
** Stack: [-0, +n, e]
** Errors: argument errors.
*/
int mts_options_read(lua_State *L, int libs, mts_Setup *setup);

MTS_END_HIDDEN

#endif
