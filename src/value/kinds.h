/*
** kinds.h - the kinds of values that cross from one state to another
**
** MTS_KINDS names each of them once.  The enum, how a value is recognised, and
** what its copy takes are made from this list, and so are the tags of the
** bytes (format.h).  Everything else that depends on the kind is a switch over
** the enum, without a default, so that the compiler tells of a kind that a
** switch lacks: the examination (transfer.c), the copy from stack to stack
** (transfer.h), and the way to the bytes and back (codec.c, encode.c, and
** decode.c).
*/
#ifndef MTS_KINDS_H
#define MTS_KINDS_H

#include "base/compiler.h"
#include "luaapi/compat.h"

/* A switch that lacks a kind does not compile. */
#pragma GCC diagnostic error "-Wswitch"

MTS_BEGIN_HIDDEN

/*
** What it takes to copy a value; each one includes those before it.  MEMORY:
** the Lua state that gets it can raise an error for want of memory.
** PROTECTION: it can raise other errors, too.  EXAMINATION: the Lua state that
** has it has to be asked what the value is, which can raise errors there.
*/
typedef enum mts_Need {
  MTS_NEED_NOTHING,
  MTS_NEED_MEMORY,
  MTS_NEED_PROTECTION,
  MTS_NEED_EXAMINATION
} mts_Need;

/*
** X(kind, lua_type, test, need).  A value is of the first kind in the list
** that has its Lua type and whose test is true.  Kinds of one Lua type have
** the same need.  Any full userdata passes for an array until it is examined.
** Tables and functions cross as bytes only.
*/
#define MTS_KINDS(X)                                                          \
  X(NIL, LUA_TNIL, true, MTS_NEED_NOTHING)                                    \
  X(BOOLEAN, LUA_TBOOLEAN, true, MTS_NEED_NOTHING)                            \
  X(INTEGER, LUA_TNUMBER, lua_isinteger(L, index), MTS_NEED_NOTHING)          \
  X(NUMBER, LUA_TNUMBER, true, MTS_NEED_NOTHING)                              \
  X(LIGHTUSERDATA, LUA_TLIGHTUSERDATA, true,                                  \
    MTS_LIGHTUSERDATA_NEEDS_MEMORY ? MTS_NEED_PROTECTION : MTS_NEED_NOTHING)  \
  X(STRING, LUA_TSTRING, true, MTS_NEED_MEMORY)                               \
  X(CARRAY, LUA_TUSERDATA, true, MTS_NEED_EXAMINATION)                        \
  X(TABLE, LUA_TTABLE, true, MTS_NEED_EXAMINATION)                            \
  X(FUNCTION, LUA_TFUNCTION, true, MTS_NEED_EXAMINATION)

#define MTS_KIND_NAME(kind, lua_type, test, need) MTS_KIND_##kind,
typedef enum mts_Kind {
  MTS_KINDS(MTS_KIND_NAME) MTS_KIND_MISFIT /* none of these: cannot cross */
} mts_Kind;
#undef MTS_KIND_NAME

/* Returns: the kind of the value at index, which has that Lua type. */
static inline mts_Kind mts_kind_of(lua_State *L, int index, int type)
{
#define MTS_KIND_TEST(kind, lua_type, test, need)                             \
  if (type == (lua_type) && (test))                                           \
    return MTS_KIND_##kind;
  MTS_KINDS(MTS_KIND_TEST)
#undef MTS_KIND_TEST
  return MTS_KIND_MISFIT;
}

/* Returns: the first kind that values of that Lua type can be of. */
static inline mts_Kind mts_kind_of_type(int type)
{
#define MTS_KIND_TEST(kind, lua_type, test, need)                             \
  if (type == (lua_type))                                                     \
    return MTS_KIND_##kind;
  MTS_KINDS(MTS_KIND_TEST)
#undef MTS_KIND_TEST
  return MTS_KIND_MISFIT;
}

/* Returns: what it takes to copy a value of that kind. */
static inline mts_Need mts_kind_need(mts_Kind kind)
{
  switch (kind) {
#define MTS_KIND_CASE(kind, lua_type, test, need)                             \
  case MTS_KIND_##kind:                                                       \
    return need;
    MTS_KINDS(MTS_KIND_CASE)
#undef MTS_KIND_CASE
  case MTS_KIND_MISFIT:
    break;
  }
  return MTS_NEED_EXAMINATION; /* which tells that the value cannot cross */
}

MTS_END_HIDDEN

#endif
