/*
** decode.h - the values of a message are pushed onto a Lua stack
*/
#ifndef MTS_DECODE_H
#define MTS_DECODE_H

#include "base/compiler.h"

#include "luaapi/compat.h"
#include "value/codec.h"
#include "value/walk.h"
#include "value/way.h"

MTS_BEGIN_HIDDEN

/*
** A message that is being read.  It is opened and closed outside of the
** protected call in which it is read, and tells why that has failed.
*/
typedef struct mts_Decoder {
  lua_State *L;
  const char *bytes;
  const char *at;        /* the next value */
  bool has_shared;       /* there are shared objects: */
  int shared;            /* stack index of their table */
  int strings;           /* stack index of the slots for short strings */
  int number;            /* of the value, counted from 1 */
  bool is_out_of_memory; /* the error says nothing else */
  bool has_unknown;      /* something is not known here: */
  char unknown[100]; /* what it is; the text goes on with "here" or "there" */
  char way[MTS_WAY_LENGTH + 1];
  mts_WayStyle style;
  mts_Walk walk;
} mts_Decoder;

/* Nothing is held before the message is read. */
void mts_decode_open(mts_Decoder *d, mts_WayStyle style);

void mts_decode_close(mts_Decoder *d);

/*
** Pushes the values of a message; in front of them, if function is not 0, the
** value at that index.  Other values can lie below them.  L is the running
** function's, with less than LUA_MINSTACK / 2 values on the stack besides its
** arguments.
** Errors: for want of memory, also with d->is_out_of_memory; with
** d->has_unknown; those of __receive, require, and mts_carray_push_new.
** Stack: [-0, +(n + message->count), e]
*/
void mts_decode_push(mts_Decoder *d, lua_State *L, const mts_Message *message,
                     int function);

/*
** Opens the decoder, pushes the values of a message in a protected call, and
** closes the decoder.
** Returns: as lua_pcall; *d tells why it is not LUA_OK.
** Stack: [-0, +(message->count|1), -]
*/
int mts_decode_protected(mts_Decoder *d, mts_WayStyle style, lua_State *L,
                         const mts_Message *message);

/*
** As mts_decode_push, for a message that is not deep; L has room for its
** values and two more.
** Errors: for want of memory; those of mts_carray_push_new.
** Stack: [-0, +message->count, e]
*/
void mts_decode_push_plain(lua_State *L, const mts_Message *message);

MTS_END_HIDDEN

#endif
