/*
** decodeobject.c - decoding of what the other side has to know: code, classes
**
** Takes no locks: the calling thread may use the Lua state.
*/
#include <stdio.h>

#include "value/classes.h"
#include "value/decoder.h"

/* Raises an error.  what: names something that is not known. */
static int refuse_unknown(mts_Decoder *d, const char *what, const char *name,
                          const char *complaint)
{
  d->has_unknown = true;
  snprintf(d->unknown, sizeof(d->unknown), "%s '%.50s' %s", what, name,
           complaint);
  mts_way_write(d->way, &d->walk, d->style);
  lua_pushstring(d->L, d->unknown);
  return lua_error(d->L);
}

#define NOT_KNOWN "is not known"

/* ======================================================================= */
/* Modules                                                                 */
/* ======================================================================= */

/*
** Whether the error on top of the stack says that the module, whose name is
** below it, has not been found; another one, which that needs, may be missing.
*/
static bool is_not_found(lua_State *L)
{
  const char *expected, *text = "";
  bool is_expected;
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tostring(L, -1);
  expected = lua_pushfstring(L, "module '%s' not found:", lua_tostring(L, -2));
  is_expected = strstr(text, expected) != NULL;
  lua_pop(L, 1);
  return is_expected;
}

/*
** Loads the module whose name is on top of the stack, as require does; code
** may have removed that function from the globals.
** Stack: [-0, +1, e]
*/
static void load_module(mts_Decoder *d)
{
  lua_State *L = d->L;
  int result;
  lua_pushglobaltable(L);
  lua_pushliteral(L, "require");
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    refuse_unknown(d, "module", lua_tostring(L, -2), NOT_KNOWN);
  lua_pushvalue(L, -2);
  result = lua_pcall(L, 1, 1, 0);
  if (result == LUA_OK)
    return;
  if (result == LUA_ERRMEM)
    d->is_out_of_memory = true;
  else if (is_not_found(L))
    refuse_unknown(d, "module", lua_tostring(L, -2), NOT_KNOWN);
  lua_error(L);
}

/*
** Pushes the module whose name is on top of the stack.
** Stack: [-0, +1, e]
*/
static void push_named_module(mts_Decoder *d)
{
  lua_State *L = d->L;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  /*
  ** While it is loaded, and if that has failed, Lua 5.1 and LuaJIT have a mark
  ** there, light userdata or a number: require knows it.
  */
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    load_module(d);
  }
}

void mts_decoder_push_module(mts_Decoder *d)
{
  mts_decoder_push_value(d); /* its name */
  push_named_module(d);
  lua_remove(d->L, -2);
}

void mts_decoder_push_c_function(mts_Decoder *d)
{
  lua_State *L = d->L;
  mts_decoder_push_value(d); /* the name of the module */
  push_named_module(d);
  mts_decoder_push_value(d); /* the name of the function */
  lua_pushvalue(L, -1);
  if (lua_istable(L, -3))
    lua_gettable(L, -3);
  if (!lua_isfunction(L, -1)) {
    char name[60];
    const char *module = lua_tostring(L, -4);
    bool is_global = strcmp(module, "_G") == 0;
    snprintf(name, sizeof(name), "%s%s%s", is_global ? "" : module,
             is_global ? "" : ".", lua_tostring(L, -2));
    refuse_unknown(d, "function", name, NOT_KNOWN);
  }
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* ======================================================================= */
/* Functions                                                               */
/* ======================================================================= */

void mts_decoder_open_function(mts_Decoder *d, size_t position, bool is_shared)
{
  lua_State *L = d->L;
  size_t length;
  int result;
  mts_decoder_read(d, &length, sizeof(length));
  result = luaL_loadbuffer(L, d->at, length, "=mtstates");
  if (result == LUA_ERRMEM)
    mts_decoder_raise_memory(d);
  if (result != LUA_OK)
    lua_error(L);
  d->at += length;
  if (is_shared)
    mts_decoder_keep(d, position);
  mts_decoder_open(d, MTS_HAS_ENV ? MTS_STEP_UPVALUE : MTS_STEP_ENV);
}

#if MTS_HAS_ENV
static void set_environment(lua_State *L)
{
  lua_pop(L, 1);
}
#else
static void set_environment(lua_State *L)
{
  if (!lua_istable(L, -1))
    luaL_error(L, "the environment of a function is a %s here",
               luaL_typename(L, -1));
  lua_setfenv(L, -2);
}
#endif

/* Makes an upvalue the same as that of another function. */
static void join_upvalue_of(mts_Decoder *d, const mts_Frame *frame)
{
#if MTS_CAN_JOIN_UPVALUES
  size_t other[2]; /* position of the function, number of the upvalue */
  mts_decoder_read(d, other, sizeof(other));
  mts_decoder_push_kept(d, other[0]);
  lua_upvaluejoin(d->L, -2, (int)frame->done, -1, (int)other[1]);
  lua_pop(d->L, 1);
#else
  (void)d;
  (void)frame;
#endif
}

bool mts_decoder_next_upvalue(mts_Decoder *d, bool has_value)
{
  lua_State *L = d->L;
  mts_Frame *frame = mts_walk_frame(&d->walk);
  if (frame->step == MTS_STEP_ENV) {
    if (!has_value && !mts_decoder_push_value(d))
      return false;
    set_environment(L);
    frame->step = MTS_STEP_UPVALUE;
    has_value = false;
  }
  for (;;) {
    if (has_value)
      lua_setupvalue(L, -2, (int)frame->done);
    has_value = false;
    if (mts_decoder_take(d, MTS_TAG_END))
      return true;
    frame->done++;
    if (mts_decoder_take(d, MTS_TAG_JOINED))
      join_upvalue_of(d, frame);
    else if (mts_decoder_push_value(d))
      has_value = true;
    else
      return false;
  }
}

/* ======================================================================= */
/* Classes                                                                 */
/* ======================================================================= */

/* Pushes the name of the class that follows, and its metatable. */
static void push_name_and_class(mts_Decoder *d)
{
  lua_State *L = d->L;
  mts_decoder_push_value(d);
  lua_pushvalue(L, -1);
  mts_classes_push(L);
  if (lua_isnil(L, -1))
    refuse_unknown(d, "class", lua_tostring(L, -2), NOT_KNOWN);
}

void mts_decoder_push_class(mts_Decoder *d)
{
  push_name_and_class(d);
  lua_remove(d->L, -2);
}

void mts_decoder_open_object(mts_Decoder *d, size_t position, bool is_shared)
{
  lua_State *L = d->L;
  mts_Frame *frame;
  push_name_and_class(d);
  lua_pushliteral(L, "__receive");
  lua_rawget(L, -2);
  if (lua_isnil(L, -1))
    refuse_unknown(d, "class", lua_tostring(L, -3), "has no __receive");
  lua_replace(L, -3);
  lua_pop(L, 1);
  lua_newtable(L);
  frame = mts_decoder_open(d, MTS_STEP_RESULT);
  frame->head = position;
  frame->is_shared = is_shared;
}

/*
** Calls __receive with what has been packed into the table on top.
** Stack: [-2, +1, e]
*/
static void call_receive(mts_Decoder *d, int count)
{
  lua_State *L = d->L;
  const int packed = lua_gettop(L);
  int i;
  luaL_checkstack(L, count + 1, "too many arguments of __receive");
  for (i = 1; i <= count; i++)
    lua_rawgeti(L, packed, i);
  lua_remove(L, packed);
  lua_call(L, count, 1);
}

bool mts_decoder_next_result(mts_Decoder *d, bool has_value)
{
  lua_State *L = d->L;
  mts_Frame *frame = mts_walk_frame(&d->walk);
  for (;;) {
    if (has_value)
      lua_rawseti(L, -2, (int)frame->done);
    if (mts_decoder_take(d, MTS_TAG_END))
      break;
    frame->done++;
    has_value = mts_decoder_push_value(d);
    if (!has_value)
      return false;
  }
  call_receive(d, (int)frame->done);
  if (frame->is_shared)
    mts_decoder_keep(d, frame->head);
  return true;
}
