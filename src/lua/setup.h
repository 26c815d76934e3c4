/*
** setup.h - what a new state starts with, read from the creator's stack
*/
#ifndef MTS_SETUP_H
#define MTS_SETUP_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/* The bytes are on the creator's stack. */
typedef struct mts_Setup {
  bool with_libs;
  const char *code; /* source or bytecode */
  size_t length;
  const char *path; /* package.path, NULL: as it is by default */
  const char *cpath;
  lua_CFunction open_module; /* for require; the caller sets it */
  mts_Values args;
} mts_Setup;

/*
** Reads the arguments [libs,] setup, ... from the index libs to the top.
** Raises argument errors.  What it pushes has to stay as long as *setup is
** used.  Returns the index of the argument setup.
** Stack: [-0, +n, e]
*/
int mts_setup_check(lua_State *L, int libs, mts_Setup *setup);

MTS_END_HIDDEN

#endif
