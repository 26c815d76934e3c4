/*
** newstate.h - opening a Lua state and running its setup
*/
#ifndef MTS_NEWSTATE_H
#define MTS_NEWSTATE_H

#include "base/compiler.h"
#include "lua/setup.h"
#include "state.h"
#include "util.h"

MTS_BEGIN_HIDDEN

/*
** Opens the Lua state of s, which the calling thread holds, and runs the
** setup in it; its results but the first are pushed onto setup->args.L.
** Returns: MTS_OK; MTS_NO_MEMORY; with *error_text set MTS_SYNTAX, MTS_RAISED.
** On failure there can be a Lua state; the caller closes s.  Never raises.
*/
mts_Status mts_newstate_run(mts_State *s, const mts_Setup *setup,
                            mts_Buffer *error_text);

MTS_END_HIDDEN

#endif
