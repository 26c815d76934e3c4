/*
** transfer.h - values that cross from one Lua stack to another
**
** Values are scanned, then examined if they need that, then copied.
*/
#ifndef MTS_TRANSFER_H
#define MTS_TRANSFER_H

#include "base/compiler.h"
#include "luaapi/compat.h"
#include "value/carray.h"
#include "value/kinds.h"

MTS_BEGIN_HIDDEN

/* The types of so many values are kept, so that Lua is not asked twice. */
#define MTS_KEPT_TYPES 8

/* Consecutive values on a Lua stack that are to cross. */
typedef struct mts_Values {
  lua_State *L;
  int first; /* absolute index */
  int count;
  mts_Need need;                       /* the greatest need of any of them */
  unsigned char types[MTS_KEPT_TYPES]; /* of the first ones */
  const mts_Carray *arrays; /* of the examined values, in their order */
  bool misfit_is_state;     /* of the first value that cannot cross */
} mts_Values;

/* Returns: the Lua type of scanned value number i, counted from 0. */
static inline int mts_transfer_type(const mts_Values *values, int i)
{
  return i < MTS_KEPT_TYPES ? values->types[i]
                            : lua_type(values->L, values->first + i);
}

/* Scans the count values from index first on.  Stack: [-0, +0, -] */
static inline void mts_transfer_scan_range(mts_Values *values, lua_State *L,
                                           int first, int count)
{
  mts_Need greatest = MTS_NEED_NOTHING;
  int i;
  for (i = 0; i < count; i++) {
    const int type = lua_type(L, first + i);
    const mts_Need need = mts_kind_need(mts_kind_of_type(type));
    if (need > greatest)
      greatest = need;
    if (i < MTS_KEPT_TYPES)
      values->types[i] = (unsigned char)type;
  }
  values->L = L;
  values->first = first;
  values->count = count;
  values->need = greatest;
  values->arrays = NULL;
}

/* Scans the values from index first to the top.  Stack: [-0, +0, -] */
static inline void mts_transfer_scan(mts_Values *values, lua_State *L,
                                     int first)
{
  int top = lua_gettop(L);
  mts_transfer_scan_range(values, L, first, top < first ? 0 : top - first + 1);
}

/*
** Examines scanned values that need it: finds the arrays among them.
** Returns: 0 or, counted from 1, which value is the first that cannot cross;
** values->misfit_is_state tells whether that is a state.
** Owns: what is pushed has to stay as long as the values are used.
** Stack: [-0, +1, v]
*/
int mts_transfer_examine(mts_Values *values);

/* Raises an argument error, as luaL_argerror does: never returns. */
typedef int (*mts_RaiseArgument)(lua_State *L, int index, const char *text);

/* Part of mts_transfer_check_args. */
void mts_transfer_examine_args(mts_Values *args, mts_RaiseArgument raise);

/*
** Examines scanned arguments of a C function, if they need it.
** Errors: those of raise.
** Stack: [-0, +(0|1), v]
*/
static inline void mts_transfer_check_args(mts_Values *args,
                                           mts_RaiseArgument raise)
{
  if (args->need == MTS_NEED_EXAMINATION)
    mts_transfer_examine_args(args, raise);
}

/*
** Copies the value of that kind at index.  array: what was found, if it is an
** array.  Does not raise if the kind needs nothing.
** Stack of to: [-0, +1, e]
*/
static inline void mts_transfer_push_value(lua_State *to, lua_State *from,
                                           int index, mts_Kind kind,
                                           const mts_Carray *array)
{
  const char *string;
  size_t length;
  switch (kind) {
  case MTS_KIND_NIL:
    lua_pushnil(to);
    break;
  case MTS_KIND_BOOLEAN:
    lua_pushboolean(to, lua_toboolean(from, index));
    break;
  case MTS_KIND_INTEGER:
    lua_pushinteger(to, lua_tointeger(from, index));
    break;
  case MTS_KIND_NUMBER:
    lua_pushnumber(to, lua_tonumber(from, index));
    break;
  case MTS_KIND_STRING:
    string = lua_tolstring(from, index, &length);
    lua_pushlstring(to, string, length);
    break;
  case MTS_KIND_LIGHTUSERDATA:
    lua_pushlightuserdata(to, lua_touserdata(from, index));
    break;
  case MTS_KIND_CARRAY:
    mts_carray_push_copy(to, array);
    break;
  case MTS_KIND_TABLE:
  case MTS_KIND_FUNCTION:
  case MTS_KIND_MISFIT: /* have been refused */
    break;
  }
}

/*
** Copies the value at index, which has that Lua type, if it needs nothing.
** Returns: whether that is so.
** Stack of to: [-0, +(0|1), -]
*/
static inline MTS_ALWAYS_INLINE bool
mts_transfer_push_if_plain(lua_State *to, lua_State *from, int index, int type)
{
  const mts_Kind kind = mts_kind_of(from, index, type);
  if (mts_kind_need(kind) != MTS_NEED_NOTHING)
    return false;
  mts_transfer_push_value(to, from, index, kind, NULL);
  return true;
}

/*
** Copies the count values from the index first of `from` on, up to the first
** one that needs anything; `to` has room for them.
** Returns: how many those are.
** Stack of to: [-0, +returned, -]
*/
static inline MTS_ALWAYS_INLINE int
mts_transfer_push_plain(lua_State *to, lua_State *from, int first, int count)
{
  int i;
  for (i = 0; i < count; i++)
    if (!mts_transfer_push_if_plain(to, from, first + i,
                                    lua_type(from, first + i)))
      break;
  return i;
}

/*
** Copies scanned values that need nothing; `to` has room for them.
** Stack of to: [-0, +values->count, -]
*/
static inline MTS_ALWAYS_INLINE void
mts_transfer_push_scanned(lua_State *to, const mts_Values *values)
{
  int i;
  for (i = 0; i < values->count; i++)
    mts_transfer_push_if_plain(to, values->L, values->first + i,
                               mts_transfer_type(values, i));
}

/*
** Copies scanned values, and examined ones if they need that; `to` has room
** for them and two more.
** Stack of to: [-0, +values->count, e]
*/
void mts_transfer_push(lua_State *to, const mts_Values *values);

MTS_END_HIDDEN

#endif
