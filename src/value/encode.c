/*
** encode.c - values on a Lua stack become a message
**
** The traversal, plain values, and tables; see encoder.h for the rest.  The
** present value is on top of the stack; a container that is open keeps its
** slots below (see walk.h):
**
**   table     the table, a key, its value; the key again while it is open
**   function  the function, an upvalue
**   object    the object, the packed results of __transfer, one of them
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/encode.h"

#include <limits.h>

#include "luaapi/protect.h"
#include "value/encoder.h"

/* ======================================================================= */
/* Plain values                                                            */
/* ======================================================================= */

static inline mts_Written append_data(mts_Encoder *e, mts_Tag tag,
                                      const void *data, size_t size)
{
  return mts_encoder_append(e, tag, data, size) ? MTS_WRITTEN : MTS_STOPPED;
}

static inline mts_Written append_bare_tag(mts_Encoder *e, mts_Tag tag)
{
  return mts_encoder_append_tag(e, tag) ? MTS_WRITTEN : MTS_STOPPED;
}

/* ======================================================================= */
/* Tables                                                                  */
/* ======================================================================= */

static inline mts_Written open_table(mts_Encoder *e)
{
  const size_t head = mts_encoder_position(e);
  mts_Frame *frame;
  if (!mts_encoder_reserve(e, sizeof(mts_TableSizes)))
    return MTS_STOPPED;
  e->at += sizeof(mts_TableSizes);
  frame = mts_encoder_open(e, MTS_STEP_RUN);
  if (!frame)
    return MTS_STOPPED;
  frame->head = head;
  lua_pushnil(e->L); /* what lua_next starts with */
  return MTS_OPENED;
}

static inline mts_Written write_table(mts_Encoder *e)
{
  mts_Written written = mts_encoder_identify(e);
  if (written != MTS_NEW)
    return written;
  e->has_table = true;
  if (lua_getmetatable(e->L, -1)) {
    lua_pop(e->L, 1);
    return mts_encoder_write_instance(e);
  }
  if (!mts_encoder_append_tag(e, MTS_TAG_TABLE))
    return MTS_STOPPED;
  return open_table(e);
}

mts_Written mts_encoder_open_table(mts_Encoder *e)
{
  return open_table(e);
}

/* Writes the value at index: -1, or -2 for a key that is no container. */
static inline MTS_ALWAYS_INLINE mts_Written write_value(mts_Encoder *e,
                                                        int index,
                                                        mts_Kind kind)
{
  lua_State *L = e->L;
  lua_Integer integer;
  lua_Number number;
  const char *string;
  void *pointer;
  size_t length;
  switch (kind) {
  case MTS_KIND_NIL:
    return append_bare_tag(e, MTS_TAG_NIL);
  case MTS_KIND_BOOLEAN:
    return append_bare_tag(e, lua_toboolean(L, index) ? MTS_TAG_TRUE
                                                      : MTS_TAG_BOOLEAN);
  case MTS_KIND_INTEGER:
    integer = lua_tointeger(L, index);
    return append_data(e, MTS_TAG_INTEGER, &integer, sizeof(integer));
  case MTS_KIND_NUMBER:
    number = lua_tonumber(L, index);
    return append_data(e, MTS_TAG_NUMBER, &number, sizeof(number));
  case MTS_KIND_STRING:
    string = lua_tolstring(L, index, &length);
    if (length >= MTS_FAR_STRING && mts_encoder_can_hold(e)) {
      lua_pushvalue(L, index);
      return mts_encoder_append_far_string(e, string, length);
    }
    return mts_encoder_append_string(e, string, length);
  case MTS_KIND_LIGHTUSERDATA:
    pointer = lua_touserdata(L, index);
    return append_data(e, MTS_TAG_LIGHTUSERDATA, &pointer, sizeof(pointer));
  case MTS_KIND_TABLE:
    return write_table(e);
  case MTS_KIND_FUNCTION:
    return mts_encoder_write_function(e);
  case MTS_KIND_CARRAY:
    return mts_encoder_write_userdata(e);
  case MTS_KIND_MISFIT:
    break;
  }
  return mts_encoder_refuse(e, luaL_typename(L, index));
}

static inline MTS_ALWAYS_INLINE mts_Written write_top(mts_Encoder *e)
{
  lua_State *L = e->L;
  mts_Written written =
      write_value(e, -1, mts_kind_of(L, -1, lua_type(L, -1)));
  if (written == MTS_WRITTEN)
    lua_pop(L, 1);
  return written;
}

mts_Written mts_encoder_write(mts_Encoder *e)
{
  return write_top(e);
}

/* Writes the key below the value on top.  Pushes it again if it is opened. */
static inline mts_Written write_key(mts_Encoder *e, mts_Frame *frame)
{
  lua_State *L = e->L;
  const int type = lua_type(L, -2);
  const mts_Kind kind = mts_kind_of(L, -2, type);
  frame->total++;
  if (mts_kind_need(kind) != MTS_NEED_EXAMINATION)
    return write_value(e, -2, kind);
  frame->step = MTS_STEP_KEY;
  lua_pushvalue(L, -2);
  return mts_encoder_write(e);
}

/* Writes the sizes and the end of the table in the frame, and closes that. */
static bool end_table(mts_Encoder *e, const mts_Frame *frame)
{
  const mts_TableSizes sizes = {
      frame->done < INT_MAX ? (unsigned)frame->done : INT_MAX,
      frame->total < INT_MAX ? (unsigned)frame->total : INT_MAX};
  memcpy(e->bytes + frame->head, &sizes, sizeof(sizes));
  if (!mts_encoder_append_tag(e, MTS_TAG_END))
    return false;
  mts_encoder_close(e);
  return true;
}

/* Goes on with the pairs of the table; one of them is on the stack. */
static bool next_pairs(mts_Encoder *e, mts_Frame *frame)
{
  bool has_key = frame->step == MTS_STEP_KEY;
  mts_Written written;
  do {
    written = has_key ? MTS_WRITTEN : write_key(e, frame);
    if (written != MTS_WRITTEN)
      return written == MTS_OPENED;
    has_key = false;
    frame->step = MTS_STEP_VALUE;
    written = write_top(e);
    if (written != MTS_WRITTEN)
      return written == MTS_OPENED;
  } while (lua_next(e->L, -2));
  return end_table(e, frame);
}

/*
** Goes on with the elements of the table from 1 on, as long as lua_next gives
** them in this order, and then with the pairs.
*/
static bool next_elements(mts_Encoder *e, mts_Frame *frame)
{
  lua_State *L = e->L;
  size_t done = frame->done;
  while (lua_next(L, -2)) {
    mts_Written written;
    if (!mts_compat_isindex(L, -2, done + 1))
      return mts_encoder_append_tag(e, MTS_TAG_PAIRS) && next_pairs(e, frame);
    frame->done = ++done;
    written = write_top(e);
    if (written != MTS_WRITTEN)
      return written == MTS_OPENED;
  }
  return end_table(e, frame);
}

/* ======================================================================= */
/* The traversal                                                           */
/* ======================================================================= */

/*
** Goes on with the innermost frame, until another container is opened or this
** one is closed.
** Returns: false if it stops.
*/
static bool next_content(mts_Encoder *e)
{
  mts_Frame *frame = mts_walk_frame(&e->walk);
  switch (frame->step) {
  case MTS_STEP_RUN:
    return next_elements(e, frame);
  case MTS_STEP_VALUE:
    if (!lua_next(e->L, -2))
      return end_table(e, frame);
    return next_pairs(e, frame);
  case MTS_STEP_KEY:
    return next_pairs(e, frame);
  case MTS_STEP_ENV:
  case MTS_STEP_UPVALUE:
    return mts_encoder_next_upvalue(e);
  case MTS_STEP_RESULT:
    return mts_encoder_next_result(e);
  }
  return false;
}

/* Encodes the count values from the index first on. */
static void encode_all(mts_Encoder *e, int first, int count)
{
  lua_State *L = e->L;
  int i;
  if (!mts_walk_extend(&e->walk, lua_gettop(L), 4 * MTS_WALK_STEP)) {
    e->stop = MTS_STOP_NO_MEMORY;
    return;
  }
  if (e->needs & MTS_ENCODER_PROTECTED && !mts_encoder_learn_globals(e))
    return;
  if (e->needs & MTS_ENCODER_MODULES && !mts_encoder_learn_modules(e))
    return;
  for (i = 0; i < count; i++) {
    e->number = i + 1;
    lua_pushvalue(L, first + i);
    if (mts_encoder_write(e) == MTS_STOPPED)
      return;
    while (e->walk.depth > 0)
      if (!next_content(e))
        return;
  }
}

/* ======================================================================= */
/* Attempts                                                                */
/* ======================================================================= */

static void open_encoder(mts_Encoder *e)
{
  e->stop = MTS_STOP_NONE;
  e->bytes = e->at = e->message->bytes.data;
  e->end = e->at + e->message->bytes.capacity;
  e->anchors = 0;
  e->is_raw = false;
  e->is_in_transfer = false;
  e->has_table = false;
  mts_walk_open(&e->walk, e->L);
  mts_identity_open(&e->seen);
  e->with_string = 0;
  e->with_slot = 0;
}

static void close_encoder(mts_Encoder *e)
{
  mts_encoder_sync(e);
  mts_walk_close(&e->walk);
  mts_identity_close(&e->seen);
}

/* Runs in a protected call: [1...] the values. */
static int encode_protected(lua_State *L, void *data)
{
  mts_Encoder *e = data;
  e->slots = lua_gettop(L);
  lua_pushliteral(L, "__name");
  lua_pushliteral(L, "__transfer");
  if (e->needs & MTS_ENCODER_OLDER) {
    lua_newtable(L);
    e->walk.older = e->slots + MTS_ENCODER_OLDER_TABLE;
  }
  if (e->needs & MTS_ENCODER_ANCHORS) /* it has all needs then */
    lua_newtable(L);
  encode_all(e, 1, e->slots);
  return 0;
}

/* Returns what the protected call does. */
static int attempt_protected(mts_Encoder *e)
{
  const mts_Encodable *values = e->values;
  lua_State *L = e->L;
  int i;
  if (!mts_protect_grow_beyond(L, values->count + MTS_WALK_STEP))
    return LUA_ERRMEM;
  mts_protect_push(L);
  for (i = 0; i < values->count; i++)
    lua_pushvalue(L, values->first + i);
  return mts_protect(L, encode_protected, e, values->count, 0,
                     values->handler);
}

/*
** Whether the error on top of the stack is that of lua_next for a table that
** has been changed since it was called last.  Where that is is not known any
** more.
*/
static bool has_lost_place(mts_Encoder *e)
{
  const char *text =
      lua_type(e->L, -1) == LUA_TSTRING ? lua_tostring(e->L, -1) : "";
  if (e->is_in_transfer || !strstr(text, "to 'next'"))
    return false;
  e->misfit->number = e->number;
  strcpy(e->misfit->what, "table that has been changed meanwhile");
  e->misfit->way[0] = '\0';
  return true;
}

/* Makes slots on the stack for long strings; moves *top above them. */
static bool open_holder(mts_Encoder *e, int *top)
{
  if (!mts_protect_grow_beyond(e->L, MTS_HELD_STRINGS)) {
    e->stop = MTS_STOP_NO_MEMORY;
    return false;
  }
  e->holder = *top;
  e->held = 0;
  *top += MTS_HELD_STRINGS;
  lua_settop(e->L, *top);
  return true;
}

/* Encodes all values with what the encoder has. */
static mts_Encoding attempt(mts_Encoder *e)
{
  int top = lua_gettop(e->L);
  int result = LUA_OK;
  if (e->needs & MTS_ENCODER_PROTECTED)
    result = attempt_protected(e);
  else if (!(e->needs & MTS_ENCODER_HOLDER) || open_holder(e, &top))
    encode_all(e, e->values->first, e->values->count);
  if (result != LUA_OK && result != LUA_ERRMEM && !has_lost_place(e))
    return MTS_ENCODING_RAISED;
  lua_settop(e->L, top);
  if (result == LUA_ERRMEM || e->stop == MTS_STOP_NO_MEMORY)
    return MTS_ENCODING_NO_MEMORY;
  return result != LUA_OK || e->stop == MTS_STOP_MISFIT ? MTS_ENCODING_MISFIT
                                                        : MTS_ENCODED;
}

mts_Encoding mts_encode(const mts_Encodable *values, mts_Message *message,
                        mts_Misfit *misfit)
{
  mts_Encoder e;
  mts_Encoding encoding;
  e.L = values->L;
  e.message = message;
  e.values = values;
  e.misfit = misfit;
  e.number = 0;
  e.wanted = MTS_STACK_GROWTH_RAISES ? MTS_ENCODER_PROTECTED : 0;
  do {
    e.needs = e.wanted;
    message->bytes.length = 0;
    message->slots = 0;
    if (message->handles)
      mts_handle_release(&message->handles);
    open_encoder(&e);
    encoding = attempt(&e);
    close_encoder(&e);
  } while (e.stop == MTS_STOP_NEED);
  message->count = (size_t)values->count;
  message->is_deep = message->needs_memory = true;
  return encoding;
}
