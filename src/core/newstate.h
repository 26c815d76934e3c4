/*
** newstate.h - opening a Lua state and running its setup
*/
#ifndef MTS_NEWSTATE_H
#define MTS_NEWSTATE_H

#include "base/compiler.h"
#include "core/failure.h"
#include "core/setup.h"
#include "state.h"
#include "util.h"

MTS_BEGIN_HIDDEN

/*
** Opens the Lua state of s, which the calling thread holds, and runs the setup
** in it.  Results of the setup but the first, which becomes the callback, are
** pushed onto setup->args.L.
** Returns: MTS_OK; MTS_NO_MEMORY; with *failure set MTS_SYNTAX, MTS_RAISED.
** Owns: the caller closes s, also on failure: there can be a Lua state then.
*/
mts_Status mts_newstate_run(mts_State *s, const mts_Setup *setup,
                            mts_Failure *failure);

MTS_END_HIDDEN

#endif
