/*
** decoder.h - what the files of the decoder share
**
** decode.c       the traversal, the content of tables
** decoder.c      control, values
** decodeobject.c functions, modules, classes
*/
#ifndef MTS_DECODER_H
#define MTS_DECODER_H

#include "base/compiler.h"

#include <string.h>

#include "value/decode.h"
#include "value/format.h"

MTS_BEGIN_HIDDEN

/* Reads size bytes into the variable. */
static inline void mts_decoder_read(mts_Decoder *d, void *variable,
                                    size_t size)
{
  memcpy(variable, d->at, size);
  d->at += size;
}

/* Takes the next tag if it is that one. */
static inline bool mts_decoder_take(mts_Decoder *d, mts_Tag tag)
{
  if ((unsigned char)*d->at != tag)
    return false;
  d->at++;
  return true;
}

/* Opens a frame for the container on top of the stack, and makes room. */
mts_Frame *mts_decoder_open(mts_Decoder *d, mts_Step step);

/*
** Keeps the object on top of the stack for those who refer to that position.
** Stack: [-0, +0, m]
*/
void mts_decoder_keep(mts_Decoder *d, size_t position);

/* Pushes the kept object.  Stack: [-0, +1, -] */
void mts_decoder_push_kept(mts_Decoder *d, size_t position);

/*
** Reads and pushes the next value, of which at is behind the tag.
** Returns: false if it is a container, whose content follows.
** Stack: [-0, +1, e]
*/
bool mts_decoder_push_value(mts_Decoder *d);

/* Raises an error for want of memory. */
int mts_decoder_raise_memory(mts_Decoder *d);

/* Pushes the class whose name follows.  Stack: [-0, +1, e] */
void mts_decoder_push_class(mts_Decoder *d);

/*
** Each of these pushes what that tag stands for; those of containers open a
** frame.  position: of the tag.
** Stack: [-0, +1, e]
*/
void mts_decoder_push_module(mts_Decoder *d);
void mts_decoder_push_c_function(mts_Decoder *d);
void mts_decoder_open_function(mts_Decoder *d, size_t position,
                               bool is_shared);
void mts_decoder_open_object(mts_Decoder *d, size_t position, bool is_shared);

/*
** Goes on with the function, or object, in the innermost frame.  has_value:
** there is one on top of the stack for it.
** Returns: false if another container has been opened.
*/
bool mts_decoder_next_upvalue(mts_Decoder *d, bool has_value);
bool mts_decoder_next_result(mts_Decoder *d, bool has_value);

MTS_END_HIDDEN

#endif
