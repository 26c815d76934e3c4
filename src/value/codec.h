/*
** codec.h - values as bytes: messages
**
** encode.h makes a message of the values on a Lua stack, decode.h pushes the
** values of one.  Here is what native threads, which have no Lua state, write.
*/
#ifndef MTS_CODEC_H
#define MTS_CODEC_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "luaapi/compat.h"
#include "util.h"
#include "value/carray.h"
#include "value/handle.h"
#include "value/kinds.h"

MTS_BEGIN_HIDDEN

/* Values of no Lua state.  All zero is a valid empty message. */
typedef struct mts_Message {
  mts_Buffer bytes;
  size_t count;        /* values */
  mts_Handle *handles; /* objects that it holds */
  unsigned slots;      /* for short strings, that reading it takes */
  bool is_deep;        /* there are tables, functions, or objects */
  bool needs_memory;   /* to be pushed, which can raise errors */
} mts_Message;

/*
** Each of these adds a value.
** Returns: false, with the message unchanged, if there is no room.
*/
bool mts_codec_add_nil(mts_Message *message);
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
** Adds the value at index, if pushing it needs memory at most.
** Returns: false, with the message unchanged, if it is not, or there is no
** room.
** Stack: [-0, +0, -]
*/
bool mts_codec_add_plain(mts_Message *message, lua_State *L, int index);

/* The same for a value of that Lua type. */
bool mts_codec_add_typed(mts_Message *message, lua_State *L, int index,
                         int type);

/*
** Reads a string that mts_codec_add_string has added.
** position: of its first byte in the message; then that behind the string.
** Returns: the string, in the message.
*/
const char *mts_codec_read_string(const mts_Message *message, size_t *position,
                                  size_t *length);

/*
** Appends the values of another message, which is not deep, to an empty one.
** Returns: false, with the message unchanged, if there is no room.
*/
bool mts_codec_append(mts_Message *message, const mts_Message *other);

/* Removes all values; there are no handles. */
void mts_codec_clear(mts_Message *message);

/* Part of mts_codec_free. */
void mts_codec_free_memory(mts_Message *message);

/*
** Frees all that the message holds; it is empty then.
** Locks: no mutex may be held: states can be closed.
*/
static inline void mts_codec_free(mts_Message *message)
{
  if (message->handles || !message->bytes.is_borrowed)
    mts_codec_free_memory(message);
  *message = (mts_Message){0};
}

MTS_END_HIDDEN

#endif
