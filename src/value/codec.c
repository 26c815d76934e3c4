/*
** codec.c - values as bytes
**
** Each value is a tag byte and its data, without any alignment; but arrays are
** padded, so that their elements begin at a multiple of ARRAY_ALIGNMENT.
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

/*
** Each kind has a tag, and some values have a shorter form with another one.
** Behind the tag of a number or of light userdata is the C value; of a string,
** size_t and bytes; of an array, carray_type, size_t (how many elements),
** padding and elements.
*/
#define TAG_NAME(kind, lua_type, test, need) TAG_##kind,
typedef enum Tag {
  MTS_KINDS(TAG_NAME) TAG_TRUE, /* a boolean; TAG_BOOLEAN is false then */
  TAG_BYTES                     /* size_t, bytes, each of them an integer */
} Tag;
#undef TAG_NAME

#define ARRAY_ALIGNMENT _Alignof(max_align_t)

static size_t padding_at(size_t position)
{
  return (ARRAY_ALIGNMENT - position % ARRAY_ALIGNMENT) % ARRAY_ALIGNMENT;
}

/* ======================================================================= */
/* To bytes                                                                */
/* ======================================================================= */

static bool append_value(mts_Message *message, Tag tag, const void *data,
                         size_t size)
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
static bool append_counted(mts_Message *message, Tag tag, const void *data,
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
  return true;
}

bool mts_codec_add_boolean(mts_Message *message, bool value)
{
  return append_value(message, value ? TAG_TRUE : TAG_BOOLEAN, NULL, 0);
}

bool mts_codec_add_integer(mts_Message *message, lua_Integer value)
{
  return append_value(message, TAG_INTEGER, &value, sizeof(value));
}

bool mts_codec_add_number(mts_Message *message, lua_Number value)
{
  return append_value(message, TAG_NUMBER, &value, sizeof(value));
}

bool mts_codec_add_string(mts_Message *message, const char *string,
                          size_t length)
{
  return append_counted(message, TAG_STRING, string, length, 1);
}

bool mts_codec_add_bytes(mts_Message *message, const unsigned char *bytes,
                         size_t length)
{
  return append_counted(message, TAG_BYTES, bytes, length, length);
}

void *mts_codec_add_array(mts_Message *message, carray_type type, size_t count)
{
  const size_t element_size = mts_carray_element_size(type);
  size_t head = 1 + sizeof(type) + sizeof(count);
  char *place;
  head += padding_at(message->bytes.length + head);
  if (element_size == 0 || count > (SIZE_MAX - head) / element_size)
    return NULL;
  place = mts_buffer_reserve(&message->bytes, head + count * element_size);
  if (!place)
    return NULL;
  *place = (char)TAG_CARRAY;
  memcpy(place + 1, &type, sizeof(type));
  memcpy(place + 1 + sizeof(type), &count, sizeof(count));
  message->bytes.length += head + count * element_size;
  message->count++;
  return place + head;
}

static bool append_found_array(mts_Message *message, const mts_Carray *array)
{
  const mts_Message before = *message;
  void *elements = mts_codec_add_array(message, array->info.elementType,
                                       array->info.elementCount);
  if (elements && mts_carray_read(array, elements))
    return true;
  message->bytes.length = before.bytes.length;
  message->count = before.count;
  return false;
}

bool mts_codec_add_value(mts_Message *message, lua_State *L, int index,
                         mts_Kind kind, const mts_Carray *array)
{
  const char *string;
  size_t length;
  void *pointer;
  switch (kind) {
  case MTS_KIND_NIL:
    return append_value(message, TAG_NIL, NULL, 0);
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
    pointer = lua_touserdata(L, index);
    return append_value(message, TAG_LIGHTUSERDATA, &pointer, sizeof(pointer));
  case MTS_KIND_CARRAY:
    return append_found_array(message, array);
  case MTS_KIND_MISFIT: /* has been refused */
    break;
  }
  return false;
}

void mts_codec_clear(mts_Message *message)
{
  message->bytes.length = 0;
  message->count = 0;
}

/* ======================================================================= */
/* From bytes                                                              */
/* ======================================================================= */

/* Reads size bytes at *position into value. */
static void read_data(const mts_Message *message, size_t *position,
                      void *value, size_t size)
{
  memcpy(value, message->bytes.data + *position, size);
  *position += size;
}

static void push_counted(lua_State *L, const mts_Message *message, Tag tag,
                         size_t *position)
{
  const char *data;
  size_t size, i;
  read_data(message, position, &size, sizeof(size));
  data = message->bytes.data + *position;
  *position += size;
  if (tag == TAG_STRING)
    lua_pushlstring(L, data, size);
  else
    for (i = 0; i < size; i++)
      lua_pushinteger(L, (unsigned char)data[i]);
}

static void push_read_array(lua_State *L, const mts_Message *message,
                            size_t *position)
{
  carray_type type;
  size_t count;
  read_data(message, position, &type, sizeof(type));
  read_data(message, position, &count, sizeof(count));
  *position += padding_at(*position);
  mts_carray_push_new(L, type, count, message->bytes.data + *position);
  *position += count * mts_carray_element_size(type);
}

void mts_codec_push(lua_State *L, const mts_Message *message)
{
  size_t position = 0;
  while (position < message->bytes.length) {
    const Tag tag = (Tag)message->bytes.data[position++];
    lua_Integer integer;
    lua_Number number;
    void *pointer;
    switch (tag) {
    case TAG_NIL:
      lua_pushnil(L);
      break;
    case TAG_BOOLEAN:
    case TAG_TRUE:
      lua_pushboolean(L, tag == TAG_TRUE);
      break;
    case TAG_INTEGER:
      read_data(message, &position, &integer, sizeof(integer));
      lua_pushinteger(L, integer);
      break;
    case TAG_NUMBER:
      read_data(message, &position, &number, sizeof(number));
      lua_pushnumber(L, number);
      break;
    case TAG_STRING:
    case TAG_BYTES:
      push_counted(L, message, tag, &position);
      break;
    case TAG_LIGHTUSERDATA:
      read_data(message, &position, &pointer, sizeof(pointer));
      lua_pushlightuserdata(L, pointer);
      break;
    case TAG_CARRAY:
      push_read_array(L, message, &position);
      break;
    }
  }
}
