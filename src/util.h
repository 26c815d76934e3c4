/*
** util.h - byte buffer, quoting, hashing; knows no Lua
*/
#ifndef MTS_UTIL_H
#define MTS_UTIL_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

MTS_BEGIN_HIDDEN

/*
** Bytes that grow, unless the buffer is fixed.  The memory of a borrowed
** buffer is not its own: if that is not fixed, its bytes move when it grows.
** All zero is a valid empty buffer that grows.
*/
typedef struct mts_Buffer {
  char *data;
  size_t length;
  size_t capacity;
  bool is_fixed;
  bool is_borrowed;
} mts_Buffer;

/*
** Makes a buffer, which is empty then, out of memory of the caller; one that
** is fixed, or one that grows.
** Owns: the caller keeps the memory, for as long as the buffer is used.
*/
static inline void mts_buffer_borrow(mts_Buffer *buffer, char *memory,
                                     size_t size)
{
  buffer->data = memory;
  buffer->length = 0;
  buffer->capacity = size;
  buffer->is_fixed = true;
  buffer->is_borrowed = true;
}

static inline void mts_buffer_start(mts_Buffer *buffer, char *memory,
                                    size_t size)
{
  mts_buffer_borrow(buffer, memory, size);
  buffer->is_fixed = false;
}

/*
** Turns an empty buffer into a fixed one of this capacity.
** Returns: false, with the buffer unchanged, if memory cannot be had.
*/
bool mts_buffer_fix(mts_Buffer *buffer, size_t capacity);

/* Part of mts_buffer_reserve. */
char *mts_buffer_reserve_more(mts_Buffer *buffer, size_t size);

/*
** Makes room for size more bytes behind the content; the length stays.
** Returns: where they start; NULL if there is no room or no memory.
*/
static inline char *mts_buffer_reserve(mts_Buffer *buffer, size_t size)
{
  if (buffer->data && size <= buffer->capacity - buffer->length)
    return buffer->data + buffer->length;
  return mts_buffer_reserve_more(buffer, size);
}

/*
** Appends a copy of the data; of a text without its terminating zero.
** Returns: false, with the content unchanged, if there is no room or no
** memory.
*/
bool mts_buffer_append(mts_Buffer *buffer, const char *data, size_t size);
bool mts_buffer_append_text(mts_Buffer *buffer, const char *text);

/*
** Frees the content; the buffer is empty, grows, and can be used again.  It
** must not be fixed and borrowed.
*/
void mts_buffer_free(mts_Buffer *buffer);

/*
** Writes the string into text in double quotes, unprintable bytes as escape
** sequences of Lua; a long string is cut and ends in "...".
*/
#define MTS_QUOTED_SIZE 120
void mts_util_quote(char text[MTS_QUOTED_SIZE], const char *string,
                    size_t length);

/* Returns: a hash of the string, for tables. */
size_t mts_util_hash(const char *string, size_t length);

MTS_END_HIDDEN

#endif
