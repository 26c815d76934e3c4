/*
** codec.h - values as bytes
*/
#ifndef MTS_CODEC_H
#define MTS_CODEC_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "luaapi/compat.h"
#include "util.h"
#include "value/carray.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/* Values of no Lua state.  All zero is a valid empty message. */
typedef struct mts_Message {
  mts_Buffer bytes;
  size_t count; /* values */
} mts_Message;

/*
** Each of these adds a value.
** Returns: false, with the message unchanged, if there is no room.
*/
bool mts_codec_add_boolean(mts_Message *message, bool value);
bool mts_codec_add_integer(mts_Message *message, lua_Integer value);
bool mts_codec_add_number(mts_Message *message, lua_Number value);
bool mts_codec_add_string(mts_Message *message, const char *string,
                          size_t length);

/* The same, but each byte is an integer of its own. */
bool mts_codec_add_bytes(mts_Message *message, const unsigned char *bytes,
                         size_t length);

/*
** Adds an array.
** Returns: where to put the elements, aligned for them if the memory of the
** message is; NULL, with the message unchanged, if there is no room.
*/
void *mts_codec_add_array(mts_Message *message, carray_type type,
                          size_t count);

/*
** Adds the value of that kind at index.  array: what was found, if it is an
** array.
** Returns: false, with the message unchanged, if there is no room.
** Stack: [-0, +0, -]
*/
bool mts_codec_add_value(mts_Message *message, lua_State *L, int index,
                         mts_Kind kind, const mts_Carray *array);

/* Removes all values. */
void mts_codec_clear(mts_Message *message);

/*
** Pushes the values; L has room for them and two more.
** Errors: for want of memory; for arrays as mts_carray_push_new.
** Stack: [-0, +message->count, e]
*/
void mts_codec_push(lua_State *L, const mts_Message *message);

MTS_END_HIDDEN

#endif
