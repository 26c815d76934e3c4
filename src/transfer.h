/*
** transfer.h - values that cross between Lua states
*/
#ifndef MTS_TRANSFER_H
#define MTS_TRANSFER_H

#include "carray.h"
#include "compat.h"
#include "util.h"

/* What it takes to copy values; each kind includes those before it. */
typedef enum mts_Kind {
  MTS_KIND_PLAIN,  /* nothing: nil, booleans, numbers, light userdata */
  MTS_KIND_STRING, /* memory */
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
** Stack: [-0, +1, m]
*/
int mts_transfer_examine(mts_Values *values);

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

/*
** A message: values as bytes, written by native code without a Lua state.
** The functions that add return false, and change nothing, if there is no
** room.
*/
typedef struct mts_Message {
  mts_Buffer bytes;
  size_t limit; /* of bytes.length */
  size_t count; /* values */
} mts_Message;

bool mts_message_add_boolean(mts_Message *message, bool value);
bool mts_message_add_integer(mts_Message *message, lua_Integer value);
bool mts_message_add_number(mts_Message *message, lua_Number value);
bool mts_message_add_string(mts_Message *message, const char *string,
                            size_t length);

/* Each byte is an integer value of its own. */
bool mts_message_add_bytes(mts_Message *message, const unsigned char *bytes,
                           size_t length);

/* Returns where to put the elements, aligned for them; NULL: no room. */
void *mts_message_add_array(mts_Message *message, carray_type type,
                            size_t count);

void mts_message_clear(mts_Message *message);

/*
** Pushes the values; L has room for them and two more.
** Stack: [-0, +message->count, e]
*/
void mts_message_push(lua_State *L, const mts_Message *message);

#endif
