/*
** codec.c - values as bytes
**
** Threads without a Lua state put values into a message; later they become
** the arguments of a call.  Results are put into one where the state has to be
** left before they can be pushed.  Each value is a tag byte and its data;
** arrays are padded so that their elements start at a multiple of
** ARRAY_ALIGNMENT.
**
** Takes no locks: a message is used by one thread at a time.
*/
#include "value/codec.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum Tag {
  TAG_NIL,
  TAG_FALSE,
  TAG_TRUE,
  TAG_INTEGER, /* lua_Integer */
  TAG_NUMBER,  /* lua_Number */
  TAG_STRING,  /* size_t, bytes */
  TAG_BYTES,   /* size_t, bytes */
  TAG_ARRAY    /* carray_type, size_t, padding, elements */
} Tag;

#define ARRAY_ALIGNMENT _Alignof(max_align_t)

static size_t padding_at(size_t position)
{
  return (ARRAY_ALIGNMENT - position % ARRAY_ALIGNMENT) % ARRAY_ALIGNMENT;
}

static bool add(mts_Message *message, Tag tag, const void *data, size_t size)
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

bool mts_codec_add_boolean(mts_Message *message, bool value)
{
  return add(message, value ? TAG_TRUE : TAG_FALSE, NULL, 0);
}

bool mts_codec_add_integer(mts_Message *message, lua_Integer value)
{
  return add(message, TAG_INTEGER, &value, sizeof(value));
}

bool mts_codec_add_number(mts_Message *message, lua_Number value)
{
  return add(message, TAG_NUMBER, &value, sizeof(value));
}

static bool add_counted(mts_Message *message, Tag tag, const void *data,
                        size_t size, size_t values)
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
  message->count += values;
  return true;
}

bool mts_codec_add_string(mts_Message *message, const char *string,
                            size_t length)
{
  return add_counted(message, TAG_STRING, string, length, 1);
}

bool mts_codec_add_bytes(mts_Message *message, const unsigned char *bytes,
                           size_t length)
{
  return add_counted(message, TAG_BYTES, bytes, length, length);
}

void *mts_codec_add_array(mts_Message *message, carray_type type,
                            size_t count)
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
  *place = (char)TAG_ARRAY;
  memcpy(place + 1, &type, sizeof(type));
  memcpy(place + 1 + sizeof(type), &count, sizeof(count));
  message->bytes.length += head + count * element_size;
  message->count++;
  return place + head;
}

bool mts_codec_add_value(mts_Message *message, lua_State *L, int index)
{
  size_t length;
  const char *string;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    return add(message, TAG_NIL, NULL, 0);
  case LUA_TBOOLEAN:
    return mts_codec_add_boolean(message, lua_toboolean(L, index));
  case LUA_TNUMBER:
    if (lua_isinteger(L, index))
      return mts_codec_add_integer(message, lua_tointeger(L, index));
    return mts_codec_add_number(message, lua_tonumber(L, index));
  case LUA_TSTRING:
    string = lua_tolstring(L, index, &length);
    return mts_codec_add_string(message, string, length);
  default:
    return false;
  }
}

void mts_codec_clear(mts_Message *message)
{
  message->bytes.length = 0;
  message->count = 0;
}

/* Reads size bytes at *position into value. */
static void take(const mts_Message *message, size_t *position, void *value,
                 size_t size)
{
  memcpy(value, message->bytes.data + *position, size);
  *position += size;
}

static void push_counted(lua_State *L, const mts_Message *message, Tag tag,
                         size_t *position)
{
  const char *data;
  size_t size, i;
  take(message, position, &size, sizeof(size));
  data = message->bytes.data + *position;
  *position += size;
  if (tag == TAG_STRING)
    lua_pushlstring(L, data, size);
  else
    for (i = 0; i < size; i++)
      lua_pushinteger(L, (unsigned char)data[i]);
}

static void push_array(lua_State *L, const mts_Message *message,
                       size_t *position)
{
  carray_type type;
  size_t count;
  take(message, position, &type, sizeof(type));
  take(message, position, &count, sizeof(count));
  *position += padding_at(*position);
  mts_carray_push_new(L, type, count, message->bytes.data + *position);
  *position += count * mts_carray_element_size(type);
}

void mts_codec_push(lua_State *L, const mts_Message *message)
{
  size_t position = 0;
  while (position < message->bytes.length) {
    Tag tag = (Tag)message->bytes.data[position++];
    lua_Integer integer;
    lua_Number number;
    switch (tag) {
    case TAG_NIL:
      lua_pushnil(L);
      break;
    case TAG_FALSE:
    case TAG_TRUE:
      lua_pushboolean(L, tag == TAG_TRUE);
      break;
    case TAG_INTEGER:
      take(message, &position, &integer, sizeof(integer));
      lua_pushinteger(L, integer);
      break;
    case TAG_NUMBER:
      take(message, &position, &number, sizeof(number));
      lua_pushnumber(L, number);
      break;
    case TAG_STRING:
    case TAG_BYTES:
      push_counted(L, message, tag, &position);
      break;
    case TAG_ARRAY:
      push_array(L, message, &position);
      break;
    }
  }
}
