/*
** transfer.h - values that cross from one Lua stack to another
*/
#ifndef MTS_TRANSFER_H
#define MTS_TRANSFER_H

#include "base/compiler.h"
#include "value/carray.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* What it takes to copy values; each kind includes those before it. */
typedef enum mts_Kind {
  MTS_KIND_PLAIN,  /* nothing: nil, booleans, numbers, light userdata */
  MTS_KIND_MEMORY, /* strings; also MTS_LIGHTUSERDATA_NEEDS_MEMORY */
  MTS_KIND_OTHER   /* to be examined: arrays, or what cannot cross */
} mts_Kind;

/* Nobody asks Lua for the type of an argument twice, if there are few. */
#define MTS_KNOWN_TYPES 8

/* Consecutive values on a Lua stack that are to cross. */
typedef struct mts_Values {
  lua_State *L;
  int first; /* absolute index */
  int count;
  mts_Kind kind;
  unsigned char types[MTS_KNOWN_TYPES]; /* of the first ones */
  const mts_Carray *arrays; /* of the examined values, in their order */
  bool misfit_is_state;     /* the first value that cannot cross */
} mts_Values;

static inline mts_Kind mts_transfer_kind(int type)
{
  switch (type) {
  case LUA_TNIL:
  case LUA_TBOOLEAN:
  case LUA_TNUMBER:
    return MTS_KIND_PLAIN;
  case LUA_TLIGHTUSERDATA:
    return MTS_LIGHTUSERDATA_NEEDS_MEMORY ? MTS_KIND_MEMORY : MTS_KIND_PLAIN;
  case LUA_TSTRING:
    return MTS_KIND_MEMORY;
  default:
    return MTS_KIND_OTHER;
  }
}

/*
** The values from index first to the top.  Stack: [-0, +0, -]
*/
static inline void mts_transfer_scan(mts_Values *values, lua_State *L,
                                     int first)
{
  int top = lua_gettop(L);
  int i;
  values->L = L;
  values->first = first;
  values->count = top < first ? 0 : top - first + 1;
  values->kind = MTS_KIND_PLAIN;
  values->arrays = NULL;
  for (i = 0; i < values->count; i++) {
    int type = lua_type(L, first + i);
    mts_Kind kind = mts_transfer_kind(type);
    if (kind > values->kind)
      values->kind = kind;
    if (i < MTS_KNOWN_TYPES)
      values->types[i] = (unsigned char)type;
  }
}

/*
** Needed for MTS_KIND_OTHER: finds the arrays.  What it pushes has to stay as
** long as the values are used.  Returns 0 or, counted from 1, which value is
** the first that cannot cross, and whether that is a state.
** Stack: [-0, +1, v]
*/
int mts_transfer_examine(mts_Values *values);

/* Part of mts_transfer_check_args. */
void mts_transfer_examine_args(mts_Values *args);

/*
** Examines scanned arguments of a C function, if that is needed; raises
** argument errors.
** Stack: [-0, +(0|1), v]
*/
static inline void mts_transfer_check_args(mts_Values *args)
{
  if (args->kind == MTS_KIND_OTHER)
    mts_transfer_examine_args(args);
}

/* Pushes the value at index, of that type, if it is of MTS_KIND_PLAIN. */
static inline bool mts_transfer_push_if_plain(lua_State *to, lua_State *from,
                                              int index, int type)
{
  switch (type) {
  case LUA_TNIL:
    lua_pushnil(to);
    return true;
  case LUA_TBOOLEAN:
    lua_pushboolean(to, lua_toboolean(from, index));
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(from, index))
      lua_pushinteger(to, lua_tointeger(from, index));
    else
      lua_pushnumber(to, lua_tonumber(from, index));
    return true;
  case LUA_TLIGHTUSERDATA:
    if (!MTS_LIGHTUSERDATA_NEEDS_MEMORY)
      lua_pushlightuserdata(to, lua_touserdata(from, index));
    return !MTS_LIGHTUSERDATA_NEEDS_MEMORY;
  default:
    return false;
  }
}

/*
** Copies the count values from the index first of `from` on, up to the first
** one that is not of MTS_KIND_PLAIN; `to` has room for them.  Returns how many
** those are.
** Stack of to: [-0, +returned, -]
*/
static inline int mts_transfer_push_plain(lua_State *to, lua_State *from,
                                          int first, int count)
{
  int i;
  for (i = 0; i < count; i++)
    if (!mts_transfer_push_if_plain(to, from, first + i,
                                    lua_type(from, first + i)))
      break;
  return i;
}

/*
** Copies scanned values that are of MTS_KIND_PLAIN; `to` has room for them.
** Stack of to: [-0, +values->count, -]
*/
static inline void mts_transfer_push_scanned(lua_State *to,
                                             const mts_Values *values)
{
  int i;
  for (i = 0; i < values->count; i++) {
    int index = values->first + i;
    int type =
        i < MTS_KNOWN_TYPES ? values->types[i] : lua_type(values->L, index);
    mts_transfer_push_if_plain(to, values->L, index, type);
  }
}

/*
** Copies examined values of any kind; to has room for them and two more.
** Stack of to: [-0, +count, e]
*/
void mts_transfer_push(lua_State *to, const mts_Values *values);

MTS_END_HIDDEN

#endif
