/*
** codec.h - values as bytes
*/
#ifndef MTS_CODEC_H
#define MTS_CODEC_H

#include "base/compiler.h"
#include "value/carray.h"
#include "luaapi/compat.h"
#include "util.h"

MTS_BEGIN_HIDDEN

/* All zero is a valid empty message. */
typedef struct mts_Message {
  mts_Buffer bytes;
  size_t count; /* values */
} mts_Message;

/* These return false, and change nothing, if there is no room. */
bool mts_codec_add_boolean(mts_Message *message, bool value);
bool mts_codec_add_integer(mts_Message *message, lua_Integer value);
bool mts_codec_add_number(mts_Message *message, lua_Number value);
bool mts_codec_add_string(mts_Message *message, const char *string,
                            size_t length);

/* Each byte is an integer value of its own. */
bool mts_codec_add_bytes(mts_Message *message, const unsigned char *bytes,
                           size_t length);

/* Returns where to put the elements, aligned for them; NULL: no room. */
void *mts_codec_add_array(mts_Message *message, carray_type type,
                            size_t count);

/*
** The value at index, if it is nil, a boolean, a number or a string; false for
** others, too.  Stack: [-0, +0, -]
*/
bool mts_codec_add_value(mts_Message *message, lua_State *L, int index);

void mts_codec_clear(mts_Message *message);

/*
** Pushes the values; L has room for them and two more.
** Stack: [-0, +message->count, e]
*/
void mts_codec_push(lua_State *L, const mts_Message *message);

MTS_END_HIDDEN

#endif
