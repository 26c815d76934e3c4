/*
** util.h - byte buffer, quoting, hashing; knows no Lua
*/
#ifndef MTS_UTIL_H
#define MTS_UTIL_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

MTS_BEGIN_HIDDEN

/* Bytes that grow.  All zero is a valid empty buffer. */
typedef struct mts_Buffer {
  char *data;
  size_t length;
  size_t capacity;
} mts_Buffer;

/*
** Makes room for size more bytes behind the content and returns where they
** start; the length stays.  NULL if memory cannot be had.
*/
char *mts_buffer_reserve(mts_Buffer *buffer, size_t size);

/* Appends; false, with the content unchanged, if memory cannot be had. */
bool mts_buffer_append(mts_Buffer *buffer, const char *data, size_t size);
bool mts_buffer_append_text(mts_Buffer *buffer, const char *text);

/* Frees the content; the buffer is empty and usable. */
void mts_buffer_free(mts_Buffer *buffer);

/*
** Writes the string into text in double quotes, unprintable bytes as escape
** sequences of Lua; a long string is cut and ends in "...".
*/
#define MTS_QUOTED_SIZE 120
void mts_util_quote(char text[MTS_QUOTED_SIZE], const char *string,
                    size_t length);

/* For hash tables. */
size_t mts_util_hash(const char *string, size_t length);

MTS_END_HIDDEN

#endif
