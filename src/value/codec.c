/*
** codec.c - values as bytes: messages
**
** Native threads, which have no Lua state, write messages that become the
** arguments of a call.  Results are kept in one when the state has to be left
** before they can be pushed.
**
** Takes no locks: a message is used by one thread at a time.
*/
#include "value/codec.h"

#include <stdint.h>
#include <string.h>

#include "value/format.h"

static inline MTS_ALWAYS_INLINE bool
append_value(mts_Message *message, mts_Tag tag, const void *data, size_t size)
{
  char *place = mts_buffer_reserve(&message->bytes, 1 + size);
  if (!place)
    return false;
  *place = (char)tag;
  if (size > 0)
    memcpy(place + 1, data, size);
  message->bytes.length += 1 + size;
  message->count++;
  return true;
}

/* Appends bytes, with their number in front of them, that are count values. */
static bool append_counted(mts_Message *message, mts_Tag tag, const void *data,
                           size_t size, size_t count)
{
  const size_t head = 1 + sizeof(size);
  char *place;
  if (size > SIZE_MAX - head)
    return false;
  place = mts_buffer_reserve(&message->bytes, head + size);
  if (!place)
    return false;
  *place = (char)tag;
  memcpy(place + 1, &size, sizeof(size));
  if (size > 0)
    memcpy(place + head, data, size);
  message->bytes.length += head + size;
  message->count += count;
  message->needs_memory = true;
  return true;
}

bool mts_codec_add_nil(mts_Message *message)
{
  return append_value(message, MTS_TAG_NIL, NULL, 0);
}

bool mts_codec_add_boolean(mts_Message *message, bool value)
{
  return append_value(message, value ? MTS_TAG_TRUE : MTS_TAG_BOOLEAN, NULL,
                      0);
}

bool mts_codec_add_integer(mts_Message *message, lua_Integer value)
{
  return append_value(message, MTS_TAG_INTEGER, &value, sizeof(value));
}

bool mts_codec_add_number(mts_Message *message, lua_Number value)
{
  return append_value(message, MTS_TAG_NUMBER, &value, sizeof(value));
}

bool mts_codec_add_string(mts_Message *message, const char *string,
                          size_t length)
{
  return append_counted(message, MTS_TAG_STRING, string, length, 1);
}

bool mts_codec_add_bytes(mts_Message *message, const unsigned char *bytes,
                         size_t length)
{
  return append_counted(message, MTS_TAG_BYTES, bytes, length, length);
}

void *mts_codec_add_array(mts_Message *message, carray_type type, size_t count)
{
  const size_t element_size = mts_carray_element_size(type);
  size_t head = 1 + sizeof(type) + sizeof(count);
  char *place;
  head += mts_format_padding(message->bytes.length + head);
  if (element_size == 0 || count > (SIZE_MAX - head) / element_size)
    return NULL;
  place = mts_buffer_reserve(&message->bytes, head + count * element_size);
  if (!place)
    return NULL;
  *place = (char)MTS_TAG_CARRAY;
  memcpy(place + 1, &type, sizeof(type));
  memcpy(place + 1 + sizeof(type), &count, sizeof(count));
  message->bytes.length += head + count * element_size;
  message->count++;
  message->needs_memory = true;
  return place + head;
}

bool mts_codec_add_plain(mts_Message *message, lua_State *L, int index)
{
  return mts_codec_add_typed(message, L, index, lua_type(L, index));
}

bool mts_codec_add_typed(mts_Message *message, lua_State *L, int index,
                         int type)
{
  const char *string;
  size_t length;
  void *pointer;
  switch (mts_kind_of(L, index, type)) {
  case MTS_KIND_NIL:
    return mts_codec_add_nil(message);
  case MTS_KIND_BOOLEAN:
    return mts_codec_add_boolean(message, lua_toboolean(L, index));
  case MTS_KIND_INTEGER:
    return mts_codec_add_integer(message, lua_tointeger(L, index));
  case MTS_KIND_NUMBER:
    return mts_codec_add_number(message, lua_tonumber(L, index));
  case MTS_KIND_STRING:
    string = lua_tolstring(L, index, &length);
    return mts_codec_add_string(message, string, length);
  case MTS_KIND_LIGHTUSERDATA:
    if (MTS_LIGHTUSERDATA_NEEDS_MEMORY) /* which can raise other errors, too */
      return false;
    pointer = lua_touserdata(L, index);
    return append_value(message, MTS_TAG_LIGHTUSERDATA, &pointer,
                        sizeof(pointer));
  case MTS_KIND_CARRAY:
  case MTS_KIND_TABLE:
  case MTS_KIND_FUNCTION:
  case MTS_KIND_MISFIT:
    break;
  }
  return false;
}

const char *mts_codec_read_string(const mts_Message *message, size_t *position,
                                  size_t *length)
{
  const char *string = message->bytes.data + *position + 1 + sizeof(*length);
  memcpy(length, string - sizeof(*length), sizeof(*length));
  *position += 1 + sizeof(*length) + *length;
  return string;
}

void mts_codec_clear(mts_Message *message)
{
  message->bytes.length = 0;
  message->count = 0;
  message->needs_memory = false;
}

void mts_codec_free_memory(mts_Message *message)
{
  mts_handle_release(&message->handles);
  mts_buffer_free(&message->bytes);
}

bool mts_codec_append(mts_Message *message, const mts_Message *other)
{
  if (!mts_buffer_append(&message->bytes, other->bytes.data,
                         other->bytes.length))
    return false;
  message->count = other->count;
  message->needs_memory = other->needs_memory;
  return true;
}
