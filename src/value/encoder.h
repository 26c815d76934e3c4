/*
** encoder.h - what the files of the encoder share
**
** encode.c       the traversal, plain values, tables
** encoder.c      bytes, control
** encodeobject.c metatables, userdata, __transfer
** encodecode.c   Lua functions
** encodemodule.c modules, C functions
**
** The encoder starts in a simple way, which is enough for plain tables:
** nothing that it does raises an error or runs the garbage collector.  When it
** meets something that needs more, it starts again from the beginning with
** what is needed, in a protected call: see mts_EncoderNeed.  So plain values
** pay for nothing else, and nothing is read while Lua code runs that could
** change it, until there is a __transfer.  Before Lua 5.2, where to grow the
** stack can raise an error, it starts in a protected call.
*/
#ifndef MTS_ENCODER_H
#define MTS_ENCODER_H

#include "base/compiler.h"

#include <string.h>

#include "value/encode.h"
#include "value/format.h"
#include "value/identity.h"
#include "value/walk.h"

MTS_BEGIN_HIDDEN

/* Bits.  What the encoder has, besides the simple way. */
typedef enum mts_EncoderNeed {
  /*
  ** A protected call, with the strings "__name" and "__transfer", and the
  ** globals are known.
  */
  MTS_ENCODER_PROTECTED = 1,
  /* A table for what the walk has no room for. */
  MTS_ENCODER_OLDER = 2,
  /* It knows which tables are modules, if functions follow tables. */
  MTS_ENCODER_MODULES = 4,
  /*
  ** All of these, so that it does not start again when Lua code has run, and a
  ** table that keeps the objects of the message alive: code could remove some,
  ** and others could get their addresses.
  */
  MTS_ENCODER_ANCHORS = 8,
  MTS_ENCODER_ALL = 15,
  /* Slots on the stack that hold long strings; not in a protected call. */
  MTS_ENCODER_HOLDER = 16
} mts_EncoderNeed;

/* So many long strings are held, and not copied. */
#define MTS_HELD_STRINGS 8

/* Stack indices in the protected call, counted from the top of its values. */
typedef enum mts_EncoderSlot {
  MTS_ENCODER_NAME = 1, /* the string "__name" */
  MTS_ENCODER_TRANSFER, /* "__transfer" */
  MTS_ENCODER_OLDER_TABLE,
  MTS_ENCODER_ANCHOR_TABLE
} mts_EncoderSlot;

/* Why the encoder has stopped. */
typedef enum mts_EncoderStop {
  MTS_STOP_NONE,
  MTS_STOP_NEED, /* it has to start again with more */
  MTS_STOP_MISFIT,
  MTS_STOP_NO_MEMORY
} mts_EncoderStop;

/* What has happened to a value. */
typedef enum mts_Written {
  MTS_WRITTEN, /* all of it */
  MTS_OPENED,  /* its content follows: there is a new frame */
  MTS_NEW,     /* nothing yet: the message does not have the object */
  MTS_STOPPED
} mts_Written;

/*
** Numbers in the identity map.  That of an object which the message has is
** made of the position of its tag and 0; that of an upvalue, of the position
** of the function's tag and the number of the upvalue.
*/
#define MTS_IDENTITY_GLOBALS 1
#define MTS_IDENTITY_MODULE 2
#define MTS_IDENTITY_FIRST 3
#define MTS_IDENTITY_OF(position, upvalue)                                    \
  (((uint64_t)(position) << 8 | (unsigned)(upvalue)) + MTS_IDENTITY_FIRST)
#define MTS_IDENTITY_POSITION(number)                                         \
  ((size_t)(((number)-MTS_IDENTITY_FIRST) >> 8))
#define MTS_IDENTITY_UPVALUE(number)                                          \
  ((size_t)(((number)-MTS_IDENTITY_FIRST) & 0xff))

typedef struct mts_Encoder {
  lua_State *L;
  mts_Message *message;
  char *bytes;     /* those of the message, */
  char *at;        /* where the next one will be, */
  char *end;       /* and where there is no room any more */
  unsigned needs;  /* of mts_EncoderNeed: what it has, */
  unsigned wanted; /* and what it has to start again with */
  mts_EncoderStop stop;
  int slots;           /* index below mts_EncoderSlot, in the protected call */
  int anchors;         /* objects in the table */
  int holder;          /* index below the slots for long strings, */
  int held;            /* and how many of these are used */
  int number;          /* of the value that is being encoded */
  bool is_raw;         /* the value is a result of __transfer itself */
  bool is_in_transfer; /* __transfer runs */
  bool has_table;      /* there have been tables that can be modules */
  const mts_Encodable *values;
  mts_Misfit *misfit;
  mts_Walk walk;
  mts_Identity seen;
  /*
  ** A cache of short strings.  The first two are bits, one for each line:
  ** whether it has a string, and whether it has a slot.
  */
  uint64_t with_string;
  uint64_t with_slot;
  const char *strings[MTS_STRING_SLOTS];     /* their addresses */
  size_t string_positions[MTS_STRING_SLOTS]; /* where they are */
  unsigned char string_slots[MTS_STRING_SLOTS];
} mts_Encoder;

/* ======================================================================= */
/* Bytes                                                                   */
/* ======================================================================= */

/* Part of mts_encoder_reserve. */
bool mts_encoder_grow(mts_Encoder *e, size_t size);

/* Makes room for size bytes at e->at.  Returns: false if it stops. */
static inline bool mts_encoder_reserve(mts_Encoder *e, size_t size)
{
  return (size_t)(e->end - e->at) >= size || mts_encoder_grow(e, size);
}

/* Appends a tag and the size bytes of its data. */
static inline bool mts_encoder_append(mts_Encoder *e, int tag,
                                      const void *data, size_t size)
{
  if (!mts_encoder_reserve(e, 1 + size))
    return false;
  *e->at = (char)tag;
  memcpy(e->at + 1, data, size);
  e->at += 1 + size;
  return true;
}

static inline bool mts_encoder_append_tag(mts_Encoder *e, int tag)
{
  if (!mts_encoder_reserve(e, 1))
    return false;
  *e->at++ = (char)tag;
  return true;
}

/* Gives the message its length, before it is used by others, or grows. */
void mts_encoder_sync(mts_Encoder *e);

/* Where the next value will be. */
static inline size_t mts_encoder_position(const mts_Encoder *e)
{
  return (size_t)(e->at - e->bytes);
}

/* Where a string is looked for among those that the message has. */
static inline unsigned mts_encoder_string_line(const char *string)
{
  const uintptr_t address = (uintptr_t)string;
  return (unsigned)(address >> 4 ^ address >> 10) % MTS_STRING_SLOTS;
}

/*
** Refers to the string in that line, which has a slot.  The first one is kept
** for those that follow.
*/
static inline void mts_encoder_append_same_string(mts_Encoder *e,
                                                  unsigned line)
{
  char *first = e->bytes + e->string_positions[line];
  const char slot = (char)e->string_slots[line];
  first[0] = (char)MTS_TAG_KEPT_STRING;
  first[1] = slot;
  e->at[0] = (char)MTS_TAG_SAME_STRING;
  e->at[1] = slot;
  e->at += 2;
}

/* Part of mts_encoder_append_string. */
mts_Written mts_encoder_append_new_string(mts_Encoder *e, const char *string,
                                          size_t length);

/* Appends a string value; its memory stays where it is meanwhile. */
static inline mts_Written
mts_encoder_append_string(mts_Encoder *e, const char *string, size_t length)
{
  const unsigned line = mts_encoder_string_line(string);
  if (!(e->with_string & e->with_slot & UINT64_C(1) << line) ||
      e->strings[line] != string || e->end - e->at < 2)
    return mts_encoder_append_new_string(e, string, length);
  mts_encoder_append_same_string(e, line);
  return MTS_WRITTEN;
}

/*
** Whether a long string can be held instead of being copied.  To start again
** for that is worth it near the beginning only.
*/
static inline bool mts_encoder_can_hold(const mts_Encoder *e)
{
  if (e->needs & MTS_ENCODER_HOLDER)
    return e->held < MTS_HELD_STRINGS;
  return e->values->holds_strings && e->needs == 0 &&
         mts_encoder_position(e) < MTS_FAR_STRING;
}

/*
** Appends the string on top of the stack, which is held.
** Stack: [-1, +0, -]
*/
mts_Written mts_encoder_append_far_string(mts_Encoder *e, const char *string,
                                          size_t length);

/*
** Appends an array.
** Returns: where to put the elements; NULL if it stops.
*/
void *mts_encoder_append_array(mts_Encoder *e, const carray_info *info);

/* ======================================================================= */
/* Control                                                                 */
/* ======================================================================= */

/*
** Makes sure that the encoder has what is needed.
** Returns: false if not: it stops, to start again with that (but without the
** slots for long strings, which are on the stack of the caller).
*/
static inline bool mts_encoder_demand(mts_Encoder *e, mts_EncoderNeed need)
{
  if (e->needs & need)
    return true;
  e->wanted = need | MTS_ENCODER_PROTECTED | (e->needs & MTS_ENCODER_ALL);
  if (need == MTS_ENCODER_ANCHORS)
    e->wanted = MTS_ENCODER_ALL;
  e->stop = MTS_STOP_NEED;
  return false;
}

/*
** Stops: the value on top of the stack cannot cross.  If modules are not known
** yet, starts again with them: it may be inside of one.
** Returns: MTS_STOPPED.
*/
mts_Written mts_encoder_refuse(mts_Encoder *e, const char *what);

/* Part of mts_encoder_open. */
mts_Frame *mts_encoder_stop_open(mts_Encoder *e, const mts_Frame *frame);

/*
** Opens a frame for the value on top of the stack, and makes room.
** Returns: NULL if it stops.
*/
static inline mts_Frame *mts_encoder_open(mts_Encoder *e, mts_Step step)
{
  const int top = lua_gettop(e->L);
  mts_Frame *frame = mts_walk_open_frame(&e->walk, step, top);
  if (frame && mts_walk_make_room(&e->walk, top))
    return frame;
  return mts_encoder_stop_open(e, frame);
}

/* Part of mts_encoder_identify. */
mts_Written mts_encoder_identify_again(mts_Encoder *e, uint64_t *number);

/*
** Notes that the message will have the object on top of the stack at the
** present position, or refers to it if the message has it already.
** Returns: MTS_NEW; MTS_WRITTEN; MTS_STOPPED.
*/
static inline mts_Written mts_encoder_identify(mts_Encoder *e)
{
  uint64_t *number = mts_identity_find(&e->seen, lua_topointer(e->L, -1));
  if (!number || *number != 0 || e->needs & MTS_ENCODER_ANCHORS)
    return mts_encoder_identify_again(e, number);
  *number = MTS_IDENTITY_OF(mts_encoder_position(e), 0);
  return MTS_NEW;
}

/* Marks an object of the message as one that is referred to. */
static inline void mts_encoder_share(mts_Encoder *e, size_t position)
{
  e->bytes[position] |= (char)MTS_TAG_SHARED;
}

/* Lua code has run, and may have removed strings. */
static inline void mts_encoder_forget_strings(mts_Encoder *e)
{
  e->with_string = 0;
}

/*
** Writes the value on top of the stack, and pops it if it is MTS_WRITTEN.
*/
mts_Written mts_encoder_write(mts_Encoder *e);

/* Closes the innermost frame and pops the container, which is on top. */
static inline void mts_encoder_close(mts_Encoder *e)
{
  e->walk.depth--;
  lua_pop(e->L, 1);
  mts_walk_refill(&e->walk);
}

/* ======================================================================= */
/* Kinds of objects; the value is on top of the stack                      */
/* ======================================================================= */

/*
** Opens a table whose tag, and the name of its class, have been written.
*/
mts_Written mts_encoder_open_table(mts_Encoder *e);

/* Writes a table that has a metatable, and is new. */
mts_Written mts_encoder_write_instance(mts_Encoder *e);

mts_Written mts_encoder_write_userdata(mts_Encoder *e);

/*
** Goes on with the object in the innermost frame, until another container is
** opened or this one is closed.
** Returns: false if it stops.
*/
bool mts_encoder_next_result(mts_Encoder *e);

/* The same with a function. */
bool mts_encoder_next_upvalue(mts_Encoder *e);

mts_Written mts_encoder_write_function(mts_Encoder *e);

/* Writes a C function, which is new. */
mts_Written mts_encoder_write_c_function(mts_Encoder *e);

/*
** Each of these has tables found as what they are: the globals, and the tables
** in package.loaded.
** Returns: false if it stops.
** Stack: [-0, +0, -]
*/
bool mts_encoder_learn_globals(mts_Encoder *e);
bool mts_encoder_learn_modules(mts_Encoder *e);

/*
** Writes a table in package.loaded as a module, if it holds a function.
** Returns: MTS_NEW if it does not.
*/
mts_Written mts_encoder_write_module(mts_Encoder *e);

MTS_END_HIDDEN

#endif
