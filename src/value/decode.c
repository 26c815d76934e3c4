/*
** decode.c - the values of a message are pushed onto a Lua stack
**
** The traversal, and the content of tables; see decoder.h for the rest.  A
** container that is open keeps its slots on the stack (see walk.h); a value
** that is complete is on top:
**
**   table     the table, a key if it is complete
**   function  the function
**   object    __receive, the packed arguments of it
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/decode.h"

#include <assert.h>

#include "luaapi/protect.h"
#include "value/decoder.h"

void mts_decode_open(mts_Decoder *d, mts_WayStyle style)
{
  d->is_out_of_memory = false;
  d->has_unknown = false;
  d->style = style;
  mts_walk_open(&d->walk, NULL);
}

void mts_decode_close(mts_Decoder *d)
{
  mts_walk_close(&d->walk);
}

/* As mts_decoder_push_value; what is frequent in tables needs no call. */
static inline MTS_ALWAYS_INLINE bool push_next(mts_Decoder *d)
{
  const char *at = d->at;
  lua_Integer integer;
  switch ((unsigned char)*at) {
  case MTS_TAG_INTEGER:
    memcpy(&integer, at + 1, sizeof(integer));
    d->at = at + 1 + sizeof(integer);
    lua_pushinteger(d->L, integer);
    return true;
  case MTS_TAG_SAME_STRING:
    d->at = at + 2;
    lua_pushvalue(d->L, d->strings + (unsigned char)at[1]);
    return true;
  default:
    return mts_decoder_push_value(d);
  }
}

/* ======================================================================= */
/* The traversal                                                           */
/* ======================================================================= */

/*
** Goes on with the table in the innermost frame.  has_value: its next value,
** or key, is on top of the stack.
*/
static bool next_pair(mts_Decoder *d, bool has_value)
{
  lua_State *L = d->L;
  mts_Frame *frame = mts_walk_frame(&d->walk);
  while (frame->step == MTS_STEP_RUN) {
    if (has_value)
      lua_rawseti(L, -2, (int)frame->done);
    has_value = false;
    if (mts_decoder_take(d, MTS_TAG_PAIRS))
      break;
    if (mts_decoder_take(d, MTS_TAG_END))
      return true;
    frame->done++;
    has_value = push_next(d);
    if (!has_value)
      return false;
  }
  for (;;) {
    if (frame->step == MTS_STEP_VALUE && has_value) {
      lua_rawset(L, -3);
      has_value = false;
    }
    if (!has_value) {
      if (mts_decoder_take(d, MTS_TAG_END))
        return true;
      frame->step = MTS_STEP_KEY;
      if (!push_next(d))
        return false;
    }
    frame->step = MTS_STEP_VALUE;
    has_value = push_next(d);
    if (!has_value)
      return false;
  }
}

/* Goes on until the container that has been opened is complete, on top. */
static void finish_open(mts_Decoder *d)
{
  bool has_value = false;
  while (d->walk.depth > 0) {
    bool is_complete = false;
    switch (mts_walk_frame(&d->walk)->step) {
    case MTS_STEP_RUN:
    case MTS_STEP_KEY:
    case MTS_STEP_VALUE:
      is_complete = next_pair(d, has_value);
      break;
    case MTS_STEP_ENV:
    case MTS_STEP_UPVALUE:
      is_complete = mts_decoder_next_upvalue(d, has_value);
      break;
    case MTS_STEP_RESULT:
      is_complete = mts_decoder_next_result(d, has_value);
      break;
    }
    if (is_complete) {
      d->walk.depth--;
      mts_walk_refill(&d->walk);
    }
    has_value = is_complete;
  }
}

/* ======================================================================= */
/* Messages                                                                */
/* ======================================================================= */

void mts_decode_push(mts_Decoder *d, lua_State *L, const mts_Message *message,
                     int function)
{
  const int top = lua_gettop(L);
  size_t i;
  d->L = d->walk.L = L;
  d->bytes = d->at = message->bytes.data;
  d->walk.older = top + 1;
  d->has_shared = false;
  d->shared = top + 2;
  d->strings = top + 3;
  if (!mts_walk_extend(&d->walk, top,
                       3 + (int)message->slots + (int)message->count +
                           2 * MTS_WALK_STEP))
    mts_decoder_raise_memory(d);
  lua_settop(L, top + 2 + (int)message->slots);
  if (function != 0)
    lua_pushvalue(L, function);
  for (i = 0; i < message->count; i++) {
    d->number = (int)i + 1;
    if (!mts_decoder_push_value(d))
      finish_open(d);
  }
  assert(d->at == d->bytes + message->bytes.length);
  if (d->has_shared || d->walk.has_older) {
    lua_pushnil(L); /* so that the values can be collected */
    lua_copy(L, -1, d->shared);
    lua_replace(L, d->walk.older);
  }
}

/* A decoder and what it is to push. */
typedef struct Decoding {
  mts_Decoder *d;
  const mts_Message *message;
} Decoding;

static int push_decoded(lua_State *L, void *data)
{
  const Decoding *decoding = data;
  mts_decode_push(decoding->d, L, decoding->message, 0);
  return (int)decoding->message->count;
}

int mts_decode_protected(mts_Decoder *d, mts_WayStyle style, lua_State *L,
                         const mts_Message *message)
{
  Decoding decoding = {d, message};
  int result;
  mts_decode_open(d, style);
  mts_protect_push(L);
  result = mts_protect(L, push_decoded, &decoding, 0, LUA_MULTRET, 0);
  mts_decode_close(d);
  return result;
}

void mts_decode_push_plain(lua_State *L, const mts_Message *message)
{
  mts_Decoder d;
  const char *end = message->bytes.data + message->bytes.length;
  d.L = L;
  d.bytes = d.at = message->bytes.data;
  while (d.at < end)
    mts_decoder_push_value(&d);
}
