/*
** transfer.h - values that cross from one Lua stack to another
*/
#ifndef MTS_TRANSFER_H
#define MTS_TRANSFER_H

#include "carray.h"
#include "compat.h"

/* What it takes to copy values; each kind includes those before it. */
typedef enum mts_Kind {
  MTS_KIND_PLAIN,  /* nothing: nil, booleans, numbers, light userdata */
  MTS_KIND_MEMORY, /* strings; also MTS_LIGHTUSERDATA_NEEDS_MEMORY */
  MTS_KIND_OTHER   /* to be examined: arrays, or what cannot cross */
} mts_Kind;

/* Consecutive values on a Lua stack that are to cross. */
typedef struct mts_Values {
  lua_State *L;
  int first; /* absolute index */
  int count;
  mts_Kind kind;
  const mts_Carray *arrays; /* of the examined values, in their order */
} mts_Values;

/*
** The values from index first to the top.  Stack: [-0, +0, -]
*/
void mts_transfer_scan(mts_Values *values, lua_State *L, int first);

/*
** Needed for MTS_KIND_OTHER: finds the arrays.  What it pushes has to stay as
** long as the values are used.  Returns 0 or, counted from 1, which value is
** the first that cannot cross.
** Stack: [-0, +1, v]
*/
int mts_transfer_examine(mts_Values *values);

/*
** Both for the arguments of a C function, from the one at first on; raises
** argument errors.
** Stack: [-0, +(0|1), v]
*/
void mts_transfer_check_args(mts_Values *args, lua_State *L, int first);

/*
** Copies values of MTS_KIND_PLAIN; to has room for them.
** Stack of to: [-0, +count, -]
*/
void mts_transfer_push_plain(lua_State *to, const mts_Values *values);

/*
** Copies examined values of any kind; to has room for them and two more.
** Stack of to: [-0, +count, e]
*/
void mts_transfer_push(lua_State *to, const mts_Values *values);

#endif
