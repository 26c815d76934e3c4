/*
** options.h - the options of new states
*/
#ifndef MTS_OPTIONS_H
#define MTS_OPTIONS_H

#include "base/compiler.h"

#include <stdbool.h>

#include "core/setup.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* The functions of the module that take options, each a bit. */
typedef enum mts_OptionTaker {
  MTS_OPTIONS_STATE = 1, /* newstate and singleton */
  MTS_OPTIONS_POOL = 2,
  MTS_OPTIONS_THREAD = 4,
  MTS_OPTIONS_HERE = 8
} mts_OptionTaker;

/* Members of a pool. */
#define MTS_OPTIONS_MOST_MEMBERS 10000

/* What holds where no option says something else; the rest is empty. */
void mts_options_set_defaults(mts_Setup *setup);

/*
** Reads the options in the table at index into *setup.
** Stack: [-0, +0, v]
** Errors: argument errors.
*/
void mts_options_read(lua_State *L, int index, mts_OptionTaker taker,
                      mts_Setup *setup);

/*
** Stores the number at index as the option n, a size_t.
** Returns: false if it cannot be that.
** Stack: [-0, +0, -]
*/
bool mts_options_read_members(lua_State *L, int index, void *field);

MTS_END_HIDDEN

#endif
