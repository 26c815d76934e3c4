/*
** decoder.c - what the files of the decoder share: control, values
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/decoder.h"

/* ======================================================================= */
/* Control                                                                 */
/* ======================================================================= */

int mts_decoder_raise_memory(mts_Decoder *d)
{
  d->is_out_of_memory = true;
  lua_pushliteral(d->L, "not enough memory");
  return lua_error(d->L);
}

mts_Frame *mts_decoder_open(mts_Decoder *d, mts_Step step)
{
  const int top = lua_gettop(d->L);
  mts_Frame *frame = mts_walk_open_frame(&d->walk, step, top);
  if (!frame || !mts_walk_make_room(&d->walk, top))
    mts_decoder_raise_memory(d);
  return frame;
}

void mts_decoder_keep(mts_Decoder *d, size_t position)
{
  lua_State *L = d->L;
  if (!d->has_shared) {
    lua_newtable(L);
    lua_replace(L, d->shared);
    d->has_shared = true;
  }
  lua_pushinteger(L, (lua_Integer)position);
  lua_pushvalue(L, -2);
  lua_rawset(L, d->shared);
}

void mts_decoder_push_kept(mts_Decoder *d, size_t position)
{
  lua_pushinteger(d->L, (lua_Integer)position);
  lua_rawget(d->L, d->shared);
}

/* ======================================================================= */
/* Values                                                                  */
/* ======================================================================= */

static void push_counted(mts_Decoder *d, mts_Tag tag)
{
  lua_State *L = d->L;
  const char *data;
  size_t size, i;
  mts_decoder_read(d, &size, sizeof(size));
  data = d->at;
  d->at += size;
  if (tag == MTS_TAG_STRING)
    lua_pushlstring(L, data, size);
  else
    for (i = 0; i < size; i++)
      lua_pushinteger(L, (unsigned char)data[i]);
}

static void push_short_string(mts_Decoder *d, mts_Tag tag)
{
  const char *string = d->at + 2;
  const int slot = (unsigned char)d->at[0];
  const size_t length = (unsigned char)d->at[1];
  d->at = string + length;
  lua_pushlstring(d->L, string, length);
  if (tag == MTS_TAG_KEPT_STRING)
    lua_copy(d->L, -1, d->strings + slot);
}

static void push_far_string(mts_Decoder *d)
{
  const char *string;
  size_t length;
  mts_decoder_read(d, &string, sizeof(string));
  mts_decoder_read(d, &length, sizeof(length));
  lua_pushlstring(d->L, string, length);
}

static void push_array(mts_Decoder *d)
{
  carray_type type;
  size_t count;
  mts_decoder_read(d, &type, sizeof(type));
  mts_decoder_read(d, &count, sizeof(count));
  d->at += mts_format_padding((size_t)(d->at - d->bytes));
  mts_carray_push_new(d->L, type, count, d->at);
  d->at += count * mts_carray_element_size(type);
}

static void push_handle(mts_Decoder *d)
{
  const mts_Handle *handle;
  mts_decoder_read(d, &handle, sizeof(handle));
  handle->class->push(d->L, handle->object);
}

/* Returns false if it is not empty, so its content follows. */
static bool push_table(mts_Decoder *d, mts_Tag tag, size_t position,
                       bool is_shared)
{
  lua_State *L = d->L;
  mts_TableSizes sizes;
  if (tag == MTS_TAG_INSTANCE)
    mts_decoder_push_class(d);
  mts_decoder_read(d, &sizes, sizeof(sizes));
  lua_createtable(L, (int)sizes.run, (int)sizes.pairs);
  if (tag == MTS_TAG_INSTANCE) {
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
  }
  if (is_shared)
    mts_decoder_keep(d, position);
  if ((unsigned char)*d->at == MTS_TAG_END) {
    d->at++;
    return true;
  }
  mts_decoder_open(d, MTS_STEP_RUN);
  return false;
}

bool mts_decoder_push_value(mts_Decoder *d)
{
  lua_State *L = d->L;
  const size_t position = (size_t)(d->at - d->bytes);
  const int byte = (unsigned char)*d->at++;
  const bool is_shared = (byte & MTS_TAG_SHARED) != 0;
  const mts_Tag tag = (mts_Tag)(byte & ~MTS_TAG_SHARED);
  lua_Integer integer;
  lua_Number number;
  size_t other;
  void *pointer;
  switch (tag) {
  case MTS_TAG_NIL:
    lua_pushnil(L);
    return true;
  case MTS_TAG_BOOLEAN:
  case MTS_TAG_TRUE:
    lua_pushboolean(L, tag == MTS_TAG_TRUE);
    return true;
  case MTS_TAG_INTEGER:
    mts_decoder_read(d, &integer, sizeof(integer));
    lua_pushinteger(L, integer);
    return true;
  case MTS_TAG_NUMBER:
    mts_decoder_read(d, &number, sizeof(number));
    lua_pushnumber(L, number);
    return true;
  case MTS_TAG_STRING:
  case MTS_TAG_BYTES:
    push_counted(d, tag);
    return true;
  case MTS_TAG_FAR_STRING:
    push_far_string(d);
    return true;
  case MTS_TAG_SHORT_STRING:
  case MTS_TAG_KEPT_STRING:
    push_short_string(d, tag);
    return true;
  case MTS_TAG_SAME_STRING:
    lua_pushvalue(L, d->strings + (unsigned char)*d->at++);
    return true;
  case MTS_TAG_LIGHTUSERDATA:
    mts_decoder_read(d, &pointer, sizeof(pointer));
    lua_pushlightuserdata(L, pointer);
    return true;
  case MTS_TAG_TABLE:
  case MTS_TAG_INSTANCE:
    return push_table(d, tag, position, is_shared);
  case MTS_TAG_SEEN:
    mts_decoder_read(d, &other, sizeof(other));
    mts_decoder_push_kept(d, other);
    return true;
  case MTS_TAG_GLOBALS:
    lua_pushglobaltable(L);
    return true;
  case MTS_TAG_FUNCTION:
    mts_decoder_open_function(d, position, is_shared);
    return false;
  case MTS_TAG_OBJECT:
    mts_decoder_open_object(d, position, is_shared);
    return false;
  case MTS_TAG_CARRAY:
    push_array(d);
    break;
  case MTS_TAG_HANDLE:
    push_handle(d);
    break;
  case MTS_TAG_MODULE:
    mts_decoder_push_module(d);
    break;
  case MTS_TAG_C_FUNCTION:
    mts_decoder_push_c_function(d);
    break;
  case MTS_TAG_JOINED: /* these are no values */
  case MTS_TAG_PAIRS:
  case MTS_TAG_END:
    break;
  }
  if (is_shared)
    mts_decoder_keep(d, position);
  return true;
}
