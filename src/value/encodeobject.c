/*
** encodeobject.c - encoding of what has a class: instances and userdata
**
** A class is a metatable that both sides know by its name.  If it has a field
** __transfer, that is called with the object and gives the values that cross
** in its place.
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include "value/classes.h"
#include "value/encoder.h"

/*
** Pushes the field __transfer of the metatable on top of the stack.
** Returns: whether the object, which is below, is to be converted.
** Stack: [-0, +1, -]
*/
static bool push_transfer(mts_Encoder *e)
{
  lua_pushvalue(e->L, e->slots + MTS_ENCODER_TRANSFER);
  lua_rawget(e->L, -2);
  return !e->is_raw && !lua_isnil(e->L, -1);
}

static bool append_class(mts_Encoder *e, int tag, const char *name,
                         size_t length)
{
  return mts_encoder_append_tag(e, tag) &&
         mts_encoder_append_string(e, name, length) == MTS_WRITTEN;
}

/*
** Calls __transfer and packs its results into a table.
** Stack: [-1, +1, e]; the function, above the object.
*/
static size_t call_transfer(mts_Encoder *e)
{
  lua_State *L = e->L;
  const int top = lua_gettop(L) - 1;
  int i, count;
  e->is_in_transfer = true;
  lua_pushvalue(L, -2);
  lua_call(L, 1, LUA_MULTRET);
  count = lua_gettop(L) - top;
  luaL_checkstack(L, MTS_WALK_STEP, "too many results");
  lua_createtable(L, count, 0);
  e->is_in_transfer = false;
  lua_insert(L, top + 1);
  for (i = count; i > 0; i--)
    lua_rawseti(L, top + 1, i);
  mts_encoder_forget_strings(e);
  return (size_t)count;
}

/*
** Writes an object to be converted.  On top of the stack are the object, its
** metatable, and the function; the object stays.
*/
static mts_Written write_object(mts_Encoder *e, const char *name,
                                size_t length)
{
  lua_State *L = e->L;
  const size_t head = mts_encoder_position(e);
  mts_Frame *frame;
  size_t count;
  if (!mts_encoder_demand(e, MTS_ENCODER_ANCHORS) ||
      !append_class(e, MTS_TAG_OBJECT | MTS_TAG_UNFINISHED, name, length))
    return MTS_STOPPED;
  lua_replace(L, -2); /* the metatable */
  count = call_transfer(e);
  frame = mts_encoder_open(e, MTS_STEP_RESULT);
  if (!frame)
    return MTS_STOPPED;
  frame->head = head;
  frame->total = count;
  return MTS_OPENED;
}

bool mts_encoder_next_result(mts_Encoder *e)
{
  mts_Frame *frame = mts_walk_frame(&e->walk);
  while (frame->done < frame->total) {
    mts_Written written;
    lua_rawgeti(e->L, -1, (int)++frame->done);
    e->is_raw = true;
    written = mts_encoder_write(e);
    e->is_raw = false;
    if (written != MTS_WRITTEN)
      return written == MTS_OPENED;
  }
  e->bytes[frame->head] &= (char)~MTS_TAG_UNFINISHED;
  if (!mts_encoder_append_tag(e, MTS_TAG_END))
    return false;
  lua_pop(e->L, 1);
  mts_encoder_close(e);
  return true;
}

mts_Written mts_encoder_write_instance(mts_Encoder *e)
{
  lua_State *L = e->L;
  const char *name;
  size_t length;
  if (!mts_encoder_demand(e, MTS_ENCODER_PROTECTED))
    return MTS_STOPPED;
  lua_getmetatable(L, -1);
  name =
      mts_classes_name(L, lua_gettop(L), e->slots + MTS_ENCODER_NAME, &length);
  if (!name) {
    lua_pop(L, 1);
    return mts_encoder_refuse(e,
                              "table with a metatable that has no class name");
  }
  if (push_transfer(e))
    return write_object(e, name, length);
  lua_pop(L, 2); /* the metatable has the name, too */
  if (!append_class(e, MTS_TAG_INSTANCE, name, length))
    return MTS_STOPPED;
  return mts_encoder_open_table(e);
}

static mts_Written write_handle(mts_Encoder *e, const mts_HandleClass *class)
{
  void *object = class->find(lua_touserdata(e->L, -1));
  mts_Handle *handle;
  if (!object)
    return mts_encoder_refuse(e, "finalized object");
  handle = mts_handle_add(&e->message->handles, class, object);
  if (!handle) {
    e->stop = MTS_STOP_NO_MEMORY;
    return MTS_STOPPED;
  }
  if (class->share)
    class->share(e->L);
  return mts_encoder_append(e, MTS_TAG_HANDLE, &handle, sizeof(handle))
             ? MTS_WRITTEN
             : MTS_STOPPED;
}

/* Writes an array, or refuses the userdata.  name: of its class, or NULL. */
static mts_Written write_array(mts_Encoder *e, const char *name)
{
  mts_Carray array;
  void *elements;
  bool is_array;
  /* The look-up makes strings, so the collector, hence Lua code, can run. */
  if (!mts_encoder_demand(e, MTS_ENCODER_ANCHORS))
    return MTS_STOPPED;
  is_array = mts_carray_find(e->L, -1, &array);
  mts_encoder_forget_strings(e);
  if (!is_array)
    return mts_encoder_refuse(e, name ? name : "userdata");
  elements = mts_encoder_append_array(e, &array.info);
  if (!elements)
    return MTS_STOPPED;
  if (!mts_carray_read(&array, elements))
    return mts_encoder_refuse(e, "array that has been changed");
  return MTS_WRITTEN;
}

mts_Written mts_encoder_write_userdata(mts_Encoder *e)
{
  lua_State *L = e->L;
  const mts_HandleClass *class;
  const char *name = NULL;
  size_t length;
  mts_Written written;
  if (!mts_encoder_demand(e, MTS_ENCODER_PROTECTED))
    return MTS_STOPPED;
  written = mts_encoder_identify(e);
  if (written != MTS_NEW)
    return written;
  if (!lua_getmetatable(L, -1))
    return mts_encoder_refuse(e, "userdata");
  name =
      mts_classes_name(L, lua_gettop(L), e->slots + MTS_ENCODER_NAME, &length);
  class = name ? mts_handle_find_class(name) : NULL;
  if (!class && name && push_transfer(e))
    return write_object(e, name, length);
  lua_pop(L, class || !name ? 1 : 2);
  return class ? write_handle(e, class) : write_array(e, name);
}
