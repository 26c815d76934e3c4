/*
** util.c - byte buffer, quoting, hashing
**
** Plain C without state: no locks, no Lua.
*/
#include "util.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_CAPACITY 64

bool mts_buffer_fix(mts_Buffer *buffer, size_t capacity)
{
  char *data = malloc(capacity > 0 ? capacity : 1);
  assert(!buffer->data);
  if (!data)
    return false;
  *buffer = (mts_Buffer){.data = data, .capacity = capacity, .is_fixed = true};
  return true;
}

/* Gives the buffer a capacity of at least that. */
static bool enlarge_buffer(mts_Buffer *buffer, size_t capacity)
{
  char *own, *data;
  assert(!buffer->is_fixed);
  if (capacity < SMALLEST_CAPACITY)
    capacity = SMALLEST_CAPACITY;
  if (capacity < 2 * buffer->capacity)
    capacity = 2 * buffer->capacity;
  own = buffer->is_borrowed ? NULL : buffer->data;
  data = realloc(own, capacity);
  if (!data)
    return false;
  if (buffer->data && !own)
    memcpy(data, buffer->data, buffer->length);
  buffer->is_borrowed = false;
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

char *mts_buffer_reserve_more(mts_Buffer *buffer, size_t size)
{
  if (buffer->is_fixed || size > PTRDIFF_MAX - buffer->length ||
      !enlarge_buffer(buffer, buffer->length + size))
    return NULL;
  return buffer->data + buffer->length;
}

bool mts_buffer_append(mts_Buffer *buffer, const char *data, size_t size)
{
  char *place = mts_buffer_reserve(buffer, size);
  if (!place)
    return false;
  if (size > 0)
    memcpy(place, data, size);
  buffer->length += size;
  return true;
}

bool mts_buffer_append_text(mts_Buffer *buffer, const char *text)
{
  return mts_buffer_append(buffer, text, strlen(text));
}

void mts_buffer_free(mts_Buffer *buffer)
{
  assert(!buffer->is_borrowed || !buffer->is_fixed);
  if (!buffer->is_borrowed)
    free(buffer->data);
  *buffer = (mts_Buffer){0};
}

void mts_util_quote(char text[MTS_QUOTED_SIZE], const char *string,
                    size_t length)
{
  static const char cut[] = "...\"";
  const size_t longest_escape = 4;
  char *out = text;
  size_t i;
  *out++ = '"';
  for (i = 0; i < length; i++) {
    unsigned char c = (unsigned char)string[i];
    size_t used = (size_t)(out - text);
    if (used + longest_escape + sizeof(cut) > MTS_QUOTED_SIZE) {
      strcpy(out, cut);
      return;
    }
    if (c == '"' || c == '\\') {
      *out++ = '\\';
      *out++ = (char)c;
    }
    else if (c < 0x20 || c == 0x7f)
      out += snprintf(out, longest_escape + 1, "\\%03d", c);
    else
      *out++ = (char)c;
  }
  strcpy(out, "\"");
}

/* FNV-1a. */
size_t mts_util_hash(const char *string, size_t length)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  size_t i;
  for (i = 0; i < length; i++)
    hash = (hash ^ (unsigned char)string[i]) * UINT64_C(0x100000001b3);
  return (size_t)(hash ^ (hash >> 32));
}
