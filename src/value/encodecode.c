/*
** encodecode.c - encoding of Lua functions
**
** They cross as bytecode with their upvalues.
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/classes.h"
#include "value/encoder.h"

static int append_bytecode(lua_State *L, const void *data, size_t size,
                           void *ud)
{
  mts_Encoder *e = ud;
  (void)L;
  if (!mts_encoder_reserve(e, size))
    return 1;
  if (size > 0)
    memcpy(e->at, data, size);
  e->at += size;
  return 0;
}

/* Writes the function on top of the stack, without its upvalues. */
static bool append_function(mts_Encoder *e)
{
  const size_t none = 0;
  size_t start, length;
  if (!mts_encoder_append(e, MTS_TAG_FUNCTION, &none, sizeof(none)))
    return false;
  start = mts_encoder_position(e);
  if (lua_dump(e->L, append_bytecode, e, 0) != 0) {
    e->stop = MTS_STOP_NO_MEMORY;
    return false;
  }
  length = mts_encoder_position(e) - start;
  memcpy(e->bytes + start - sizeof(length), &length, sizeof(length));
  return true;
}

/* Pushes the key of a function, by its position, in the table of anchors. */
static void push_function_key(mts_Encoder *e, size_t position)
{
  lua_pushinteger(e->L, -1 - (lua_Integer)position);
}

mts_Written mts_encoder_write_function(mts_Encoder *e)
{
  const size_t head = mts_encoder_position(e);
  mts_Frame *frame;
  mts_Written written;
  if (!mts_encoder_demand(e, e->has_table ? MTS_ENCODER_MODULES
                                          : MTS_ENCODER_PROTECTED))
    return MTS_STOPPED;
  written = mts_encoder_identify(e);
  if (written != MTS_NEW)
    return written;
  if (mts_compat_isnative(e->L))
    return mts_encoder_write_c_function(e);
  if (e->needs & MTS_ENCODER_ANCHORS) {
    push_function_key(e, head);
    lua_pushvalue(e->L, -2);
    lua_rawset(e->L, e->slots + MTS_ENCODER_ANCHOR_TABLE);
  }
  if (!append_function(e))
    return MTS_STOPPED;
  frame = mts_encoder_open(e, MTS_HAS_ENV ? MTS_STEP_UPVALUE : MTS_STEP_ENV);
  if (!frame)
    return MTS_STOPPED;
  frame->head = head;
  return MTS_OPENED;
}

/*
** Whether the environment of a function, on top of the stack, is an empty
** table that could not cross because of its metatable.  It stands for the
** globals then: test frameworks run code with such a table in front of them.
*/
static bool stands_for_globals(mts_Encoder *e)
{
  lua_State *L = e->L;
  const char *class;
  size_t length;
  if (!lua_istable(L, -1) || !lua_getmetatable(L, -1))
    return false;
  class =
      mts_classes_name(L, lua_gettop(L), e->slots + MTS_ENCODER_NAME, &length);
  lua_pop(L, 1);
  if (class)
    return false;
  lua_pushnil(L);
  if (!lua_next(L, -2))
    return true;
  lua_pop(L, 2);
  return false;
}

/* Writes the environment of a function, which is on top of the stack. */
static mts_Written write_environment(mts_Encoder *e)
{
  if (!stands_for_globals(e))
    return mts_encoder_write(e);
  if (!mts_encoder_append_tag(e, MTS_TAG_GLOBALS))
    return MTS_STOPPED;
  lua_pop(e->L, 1);
  return MTS_WRITTEN;
}

#if MTS_HAS_ENV
static mts_Written write_fenv(mts_Encoder *e)
{
  (void)e;
  return MTS_WRITTEN;
}
#else
/* Before Lua 5.2 the environment of a function is no upvalue of it. */
static mts_Written write_fenv(mts_Encoder *e)
{
  lua_getfenv(e->L, -1);
  return write_environment(e);
}
#endif

/*
** Refers to the upvalue that another function of the message has, too, instead
** of the value, which is on top of the stack.
*/
static mts_Written join_upvalue(mts_Encoder *e, uint64_t number)
{
  const size_t data[] = {MTS_IDENTITY_POSITION(number),
                         MTS_IDENTITY_UPVALUE(number)};
  mts_encoder_share(e, data[0]);
  if (!mts_encoder_append(e, MTS_TAG_JOINED, data, sizeof(data)))
    return MTS_STOPPED;
  lua_pop(e->L, 1);
  return MTS_WRITTEN;
}

#if MTS_CAN_JOIN_UPVALUES
/*
** Whether the number is that of an upvalue which the message has, and this has
** still that id: code that __transfer runs could have given the function
** another one.
*/
static bool is_same_upvalue(mts_Encoder *e, uint64_t number, const void *id)
{
  lua_State *L = e->L;
  bool is_there;
  if (number < MTS_IDENTITY_FIRST || MTS_IDENTITY_UPVALUE(number) == 0)
    return false;
  if (!(e->needs & MTS_ENCODER_ANCHORS))
    return true;
  push_function_key(e, MTS_IDENTITY_POSITION(number));
  lua_rawget(L, e->slots + MTS_ENCODER_ANCHOR_TABLE);
  is_there = lua_upvalueid(L, -1, (int)MTS_IDENTITY_UPVALUE(number)) == id;
  lua_pop(L, 1);
  return is_there;
}

/* Writes the value on top of the stack, which is an upvalue. */
static mts_Written write_upvalue(mts_Encoder *e, const mts_Frame *frame,
                                 const char *name)
{
  const void *id = lua_upvalueid(e->L, -2, (int)frame->done);
  uint64_t *number = mts_identity_find(&e->seen, id);
  if (!number) {
    e->stop = MTS_STOP_NO_MEMORY;
    return MTS_STOPPED;
  }
  if (is_same_upvalue(e, *number, id))
    return join_upvalue(e, *number);
  *number = MTS_IDENTITY_OF(frame->head, frame->done);
  if (strcmp(name, "_ENV") == 0)
    return write_environment(e);
  return mts_encoder_write(e);
}
#else
static mts_Written write_upvalue(mts_Encoder *e, const mts_Frame *frame,
                                 const char *name)
{
  (void)frame;
  (void)name;
  (void)join_upvalue;
  return mts_encoder_write(e);
}
#endif

/*
** Whether all upvalues of the function on top of the stack have been written:
** Lua 5.1 does not give those of functions without debug information.
*/
static bool has_all_upvalues(const mts_Encoder *e, size_t written)
{
  lua_Debug ar;
  lua_pushvalue(e->L, -1);
  lua_getinfo(e->L, ">u", &ar);
  return (size_t)ar.nups <= written;
}

bool mts_encoder_next_upvalue(mts_Encoder *e)
{
  mts_Frame *frame = mts_walk_frame(&e->walk);
  const char *name;
  mts_Written written;
  if (frame->step == MTS_STEP_ENV) {
    if (frame->total == 0) { /* it has not been written */
      frame->total = 1;
      written = write_fenv(e);
      if (written != MTS_WRITTEN)
        return written == MTS_OPENED;
    }
    frame->step = MTS_STEP_UPVALUE;
  }
  while ((name = lua_getupvalue(e->L, -1, (int)frame->done + 1)) != NULL) {
    frame->done++;
    written = write_upvalue(e, frame, name);
    if (written != MTS_WRITTEN)
      return written == MTS_OPENED;
  }
  if (!has_all_upvalues(e, frame->done)) {
    e->walk.depth--; /* it is the function itself */
    mts_encoder_refuse(e, "function whose upvalues have no names");
    return false;
  }
  if (!mts_encoder_append_tag(e, MTS_TAG_END))
    return false;
  mts_encoder_close(e);
  return true;
}
