/*
** encoder.c - what the files of the encoder share: bytes, control
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/encoder.h"

#include <stdint.h>
#include <stdio.h>

/* ======================================================================= */
/* Bytes                                                                   */
/* ======================================================================= */

void mts_encoder_sync(mts_Encoder *e)
{
  e->message->bytes.length = (size_t)(e->at - e->bytes);
}

bool mts_encoder_grow(mts_Encoder *e, size_t size)
{
  mts_Buffer *bytes = &e->message->bytes;
  mts_encoder_sync(e);
  if (!mts_buffer_reserve(bytes, size)) {
    e->stop = MTS_STOP_NO_MEMORY;
    return false;
  }
  e->bytes = bytes->data;
  e->at = bytes->data + bytes->length;
  e->end = bytes->data + bytes->capacity;
  return true;
}

void *mts_encoder_append_array(mts_Encoder *e, const carray_info *info)
{
  void *elements;
  mts_encoder_sync(e);
  elements =
      mts_codec_add_array(e->message, info->elementType, info->elementCount);
  if (elements) {
    e->bytes = e->message->bytes.data;
    e->at = e->bytes + e->message->bytes.length;
    e->end = e->bytes + e->message->bytes.capacity;
  }
  else
    e->stop = MTS_STOP_NO_MEMORY;
  return elements;
}

static mts_Written append_short_string(mts_Encoder *e, const char *string,
                                       size_t length)
{
  const unsigned line = mts_encoder_string_line(string);
  const uint64_t bit = UINT64_C(1) << line;
  if (!mts_encoder_reserve(e, 3 + MTS_SHORT_STRING))
    return MTS_STOPPED;
  if (e->with_string & bit && e->strings[line] == string) {
    if (!(e->with_slot & bit))
      e->string_slots[line] = (unsigned char)e->message->slots++;
    e->with_slot |= bit;
    mts_encoder_append_same_string(e, line);
    return MTS_WRITTEN;
  }
  e->with_string |= bit;
  e->strings[line] = string;
  e->string_positions[line] = mts_encoder_position(e);
  e->at[0] = (char)MTS_TAG_SHORT_STRING;
  e->at[2] = (char)length;
  memcpy(e->at + 3, string, length);
  e->at += 3 + length;
  return MTS_WRITTEN;
}

mts_Written mts_encoder_append_new_string(mts_Encoder *e, const char *string,
                                          size_t length)
{
  const size_t head = 1 + sizeof(length);
  if (length <= MTS_SHORT_STRING)
    return append_short_string(e, string, length);
  if (length > SIZE_MAX - head || !mts_encoder_reserve(e, head + length)) {
    e->stop = MTS_STOP_NO_MEMORY;
    return MTS_STOPPED;
  }
  *e->at = (char)MTS_TAG_STRING;
  memcpy(e->at + 1, &length, sizeof(length));
  memcpy(e->at + head, string, length);
  e->at += head + length;
  return MTS_WRITTEN;
}

mts_Written mts_encoder_append_far_string(mts_Encoder *e, const char *string,
                                          size_t length)
{
  if (!(e->needs & MTS_ENCODER_HOLDER)) {
    lua_pop(e->L, 1);
    e->wanted = MTS_ENCODER_HOLDER;
    e->stop = MTS_STOP_NEED;
    return MTS_STOPPED;
  }
  lua_replace(e->L, e->holder + ++e->held);
  if (!mts_encoder_reserve(e, 1 + sizeof(string) + sizeof(length)))
    return MTS_STOPPED;
  *e->at = (char)MTS_TAG_FAR_STRING;
  memcpy(e->at + 1, &string, sizeof(string));
  memcpy(e->at + 1 + sizeof(string), &length, sizeof(length));
  e->at += 1 + sizeof(string) + sizeof(length);
  return MTS_WRITTEN;
}

/* ======================================================================= */
/* Control                                                                 */
/* ======================================================================= */

mts_Written mts_encoder_refuse(mts_Encoder *e, const char *what)
{
  mts_Misfit *misfit = e->misfit;
  if (!mts_encoder_demand(e, MTS_ENCODER_MODULES))
    return MTS_STOPPED;
  e->stop = MTS_STOP_MISFIT;
  misfit->number = e->number;
  snprintf(misfit->what, sizeof(misfit->what), "%s", what);
  mts_way_write(misfit->way, &e->walk, e->values->style);
  return MTS_STOPPED;
}

mts_Frame *mts_encoder_stop_open(mts_Encoder *e, const mts_Frame *frame)
{
  e->stop = MTS_STOP_NO_MEMORY;
  if (frame)
    (void)mts_encoder_demand(e, MTS_ENCODER_OLDER);
  return NULL;
}

static mts_Written refer(mts_Encoder *e, size_t position)
{
  if (e->bytes[position] & MTS_TAG_UNFINISHED)
    return mts_encoder_refuse(
        e, "object that refers to itself by its __transfer results");
  mts_encoder_share(e, position);
  return mts_encoder_append(e, MTS_TAG_SEEN, &position, sizeof(position))
             ? MTS_WRITTEN
             : MTS_STOPPED;
}

/* Keeps the object alive until the message is complete. */
static void anchor_object(mts_Encoder *e)
{
  lua_pushvalue(e->L, -1);
  lua_rawseti(e->L, e->slots + MTS_ENCODER_ANCHOR_TABLE, ++e->anchors);
}

/* Whether that is the number of globals or of a module. */
static bool is_named(const mts_Encoder *e, uint64_t number)
{
  int tag;
  if (number < MTS_IDENTITY_FIRST)
    return number != 0;
  tag = (unsigned char)e->bytes[MTS_IDENTITY_POSITION(number)];
  return (tag & ~MTS_TAG_SHARED) == MTS_TAG_MODULE;
}

mts_Written mts_encoder_identify_again(mts_Encoder *e, uint64_t *number)
{
  mts_Written written = MTS_NEW;
  uint64_t old_number;
  /* What __transfer gives differs from the same object found elsewhere. */
  if (number && e->is_raw && !is_named(e, *number))
    number =
        mts_identity_find(&e->seen, (const char *)lua_topointer(e->L, -1) + 1);
  if (!number) {
    e->stop = MTS_STOP_NO_MEMORY;
    return MTS_STOPPED;
  }
  old_number = *number;
  /* Otherwise it has the address of an upvalue that is not there any more. */
  if (old_number >= MTS_IDENTITY_FIRST &&
      MTS_IDENTITY_UPVALUE(old_number) == 0)
    return refer(e, MTS_IDENTITY_POSITION(old_number));
  if (old_number == MTS_IDENTITY_GLOBALS)
    return mts_encoder_append_tag(e, MTS_TAG_GLOBALS) ? MTS_WRITTEN
                                                      : MTS_STOPPED;
  *number = MTS_IDENTITY_OF(mts_encoder_position(e), 0);
  if (old_number == MTS_IDENTITY_MODULE)
    written = mts_encoder_write_module(e);
  if (e->needs & MTS_ENCODER_ANCHORS)
    anchor_object(e);
  return written;
}
