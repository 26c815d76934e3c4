/*
** format.h - values as bytes: what the bytes are
**
** A value is a tag byte and its data, without any alignment; but arrays are
** padded, so that their elements begin at a multiple of MTS_ARRAY_ALIGNMENT.
** Numbers and pointers are the C values.  The bytes never leave the process,
** so they are read by the code that has written them, and are trusted.
**
** Each kind has a tag; some values have a shorter form, and some objects
** another one, with a tag of its own:
**
**   BOOLEAN, TRUE  false and true
**   INTEGER, NUMBER, LIGHTUSERDATA  the C value
**   STRING         size_t length, bytes
**   SHORT_STRING   slot, length (a byte each), bytes
**   KEPT_STRING    the same; it is kept in the slot for those that follow
**   SAME_STRING    slot
**   FAR_STRING     pointer, size_t length: the sender keeps the string alive
**   BYTES          size_t count, bytes, each of them an integer value
**   CARRAY         carray_type, size_t count, padding, elements
**   TABLE          mts_TableSizes, elements from 1 on; PAIRS, keys and values;
**                  END.  PAIRS is only there if there are pairs.
**   INSTANCE       name of the class (a string value), as TABLE
**   OBJECT         name of the class, results of __transfer, END
**   FUNCTION       size_t length, bytecode, environment (a value, without
**                  _ENV), upvalues, END
**   JOINED         in the place of an upvalue: position of a function,
**                  size_t number of its upvalue that is the same
**   GLOBALS        the table of globals
**   MODULE         its name, a string value
**   C_FUNCTION     names of module and field, string values
**   HANDLE         pointer to the mts_Handle
**   SEEN           position of the tag of an object that stands before
**
** Objects whose position is referred to have MTS_TAG_SHARED in their tags.
** This, and the tag of a string that is kept, is patched in when the object or
** string is met again.
*/
#ifndef MTS_FORMAT_H
#define MTS_FORMAT_H

#include "base/compiler.h"

#include <stddef.h>

#include "value/kinds.h"

#define MTS_TAG_NAME(kind, lua_type, test, need) MTS_TAG_##kind,
typedef enum mts_Tag {
  MTS_KINDS(MTS_TAG_NAME) MTS_TAG_TRUE,
  MTS_TAG_SHORT_STRING,
  MTS_TAG_KEPT_STRING,
  MTS_TAG_SAME_STRING,
  MTS_TAG_FAR_STRING,
  MTS_TAG_BYTES,
  MTS_TAG_INSTANCE,
  MTS_TAG_OBJECT,
  MTS_TAG_JOINED,
  MTS_TAG_GLOBALS,
  MTS_TAG_MODULE,
  MTS_TAG_C_FUNCTION,
  MTS_TAG_HANDLE,
  MTS_TAG_SEEN,
  MTS_TAG_PAIRS,
  MTS_TAG_END
} mts_Tag;
#undef MTS_TAG_NAME

#define MTS_TAG_SHARED 0x80

/* While the encoder writes the results of __transfer. */
#define MTS_TAG_UNFINISHED 0x40

/* How large a table is to be made; not more than hints. */
typedef struct mts_TableSizes {
  unsigned run;
  unsigned pairs;
} mts_TableSizes;

/* Strings of up to this length can be kept, in so many slots. */
#define MTS_SHORT_STRING 40
#define MTS_STRING_SLOTS 64

/* Strings of at least this length are not copied if the sender keeps them. */
#define MTS_FAR_STRING 4096

#define MTS_ARRAY_ALIGNMENT _Alignof(max_align_t)

static inline size_t mts_format_padding(size_t position)
{
  return (MTS_ARRAY_ALIGNMENT - position % MTS_ARRAY_ALIGNMENT) %
         MTS_ARRAY_ALIGNMENT;
}

#endif
