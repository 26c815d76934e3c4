/*
** encode.h - values on a Lua stack become a message
*/
#ifndef MTS_ENCODE_H
#define MTS_ENCODE_H

#include "base/compiler.h"

#include "luaapi/compat.h"
#include "value/codec.h"
#include "value/way.h"

MTS_BEGIN_HIDDEN

typedef enum mts_Encoding {
  MTS_ENCODED,
  MTS_ENCODING_MISFIT, /* a value cannot cross */
  MTS_ENCODING_RAISED, /* the error on top of the stack; of __transfer, say */
  MTS_ENCODING_NO_MEMORY
} mts_Encoding;

/* A value that cannot cross. */
typedef struct mts_Misfit {
  int number;    /* the value that it is in, counted from 1 */
  char what[80]; /* what it is */
  char way[MTS_WAY_LENGTH + 1];
} mts_Misfit;

/* The values that are to become a message. */
typedef struct mts_Encodable {
  lua_State *L;
  int first; /* absolute index */
  int count;
  int handler; /* message handler for errors of __transfer, or 0 */
  mts_WayStyle style;
  bool holds_strings; /* the stack stays as it is until the message is read */
} mts_Encodable;

/*
** Makes a message, which is empty before, of the values.  Never raises.  Runs
** no Lua code but __transfer and, if there are arrays, finalizers.
** Owns: the caller frees the message, in any case.
** Stack: [-0, +(0|1), -]; if it keeps strings, [-0, +n, -].
*/
mts_Encoding mts_encode(const mts_Encodable *values, mts_Message *message,
                        mts_Misfit *misfit);

MTS_END_HIDDEN

#endif
