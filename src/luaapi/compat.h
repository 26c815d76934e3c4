/*
** compat.h - the Lua API as all other files see it: that of Lua 5.4
**
** Works with Lua 5.1 to 5.5 and LuaJIT 2.1.  First features that cannot be
** hidden, as constants to ask for; then what has no equal in the API of 5.4,
** under names of our own; then, version by version, what a version lacks or
** does in another way, under its 5.4 name.
**
** These are our own few lines and not those of the lua-compat-5.3 project: its
** API is that of 5.3, so half of this would be needed all the same, and the
** module can be built with nothing but Lua.
**
** One difference cannot be hidden by a name: before 5.2 pushing a C function
** and growing the stack need memory, hence can raise an error.  Where no error
** may be raised, protect.h does both.
*/
#ifndef MTS_COMPAT_H
#define MTS_COMPAT_H

#include "base/compiler.h"

#include <float.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>

MTS_BEGIN_HIDDEN

#if LUA_VERSION_NUM < 501 || LUA_VERSION_NUM > 505
#error "mtstates is built for Lua 5.1 to 5.5 and LuaJIT 2.1"
#endif

/* LuaJIT has the API of 5.1 with a part of that of 5.2 and 5.3. */
#if defined(LUA_JITLIBNAME)
#define MTS_LUAJIT 1
#else
#define MTS_LUAJIT 0
#endif

/*
** Whole numbers below 2 to the power of this fit into lua_Integer, and as
** lua_Number none of them can be mistaken for its neighbour.
*/
#define MTS_EXACT_BITS                                                        \
  (sizeof(lua_Number) < sizeof(double) ? FLT_MANT_DIG                         \
   : sizeof(lua_Integer) < 8           ? 31                                   \
                                       : DBL_MANT_DIG)

/* Whether functions have their globals in an upvalue, _ENV. */
#define MTS_HAS_ENV (LUA_VERSION_NUM >= 502)

/* Whether luaL_newmetatable leaves the name in the metatable, as __name. */
#define MTS_METATABLES_HAVE_NAMES (LUA_VERSION_NUM >= 503)

/* Whether unpack is a global, and perhaps no field of table. */
#define MTS_UNPACK_IS_GLOBAL (LUA_VERSION_NUM < 502)

/*
** Whether pushing a light userdata can raise an error: LuaJIT keeps the upper
** bits of all in a table.
*/
#define MTS_LIGHTUSERDATA_NEEDS_MEMORY MTS_LUAJIT

/*
** The events of a hook that runs at the next operation, with count 1: LuaJIT
** counts nothing in compiled functions, but sees that they are called.
*/
#define MTS_NEXT_OPERATION (LUA_MASKCOUNT | (MTS_LUAJIT ? LUA_MASKCALL : 0))

/*
** Whether growing the stack, outside of a protected call, can raise an error,
** and whether a protected call can run finalizers.
*/
#define MTS_STACK_GROWTH_RAISES (LUA_VERSION_NUM < 502)

/*
** A C function can have so many values on the stack, and leave as much room
** for others.
*/
#define MTS_DEEP_STACK (LUA_VERSION_NUM >= 502 ? 250000 : 2000)

/* Whether the interpreter's own allocator is the best one for its code. */
#define MTS_HAS_FAST_ALLOCATOR MTS_LUAJIT

/*
** To be called before references into the Lua registry are made: from then on
** luaL_unref needs no memory.  Its list of free references begins at index 0,
** which must not be nil, or its place would be lost.  Later versions see to
** that themselves.
** Stack: [-0, +0, m]
*/
static inline void mts_compat_prepare_refs(lua_State *L)
{
#if LUA_VERSION_NUM < 504 ||                                                  \
    (LUA_VERSION_NUM == 504 && LUA_VERSION_RELEASE_NUM < 50403)
  lua_rawgeti(L, LUA_REGISTRYINDEX, 0);
  if (lua_isnil(L, -1)) {
    lua_pushinteger(L, 0);
    lua_rawseti(L, LUA_REGISTRYINDEX, 0);
  }
  lua_pop(L, 1);
#else
  (void)L;
#endif
}

/*
** Whether finalizers that fail while a Lua state is closed leave their errors
** on the stack, which is overrun if it cannot grow.
*/
#define MTS_CLOSING_NEEDS_MEMORY                                              \
  (LUA_VERSION_NUM == 502 || LUA_VERSION_NUM == 503)

/* Whether Lua collects garbage before an allocation fails. */
#define MTS_COLLECTS_IN_NEED (LUA_VERSION_NUM >= 502)

/* Whether a hook is set for all Lua threads of a state together. */
#define MTS_HOOKS_ARE_GLOBAL MTS_LUAJIT

/*
** The main Lua thread of the state that L belongs to; in 5.1 and LuaJIT only
** if that is L, otherwise NULL.
** Stack: [-0, +0, -]
*/
static inline lua_State *mts_compat_mainthread(lua_State *L)
{
#if LUA_VERSION_NUM >= 502
  lua_State *main;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
#else
  bool is_main = lua_pushthread(L);
  lua_pop(L, 1);
  return is_main ? L : NULL;
#endif
}

/* Whether there are to-be-closed variables. */
#define MTS_HAS_CLOSE (LUA_VERSION_NUM >= 504)

/* Whether a coroutine can close itself. */
#define MTS_CAN_CLOSE_RUNNING (LUA_VERSION_NUM >= 505)

/*
** Puts pressure on the collector of L for kb KB that objects of L keep outside
** of its memory: it has as much work to do as if L had allocated them.  A
** collector that was stopped stays so.  A negative kb puts work off, where Lua
** can do that (5.2 to 5.4).
** Errors: of finalizers only, not for want of memory.
** Stack: [-0, +0, e]
*/
void mts_compat_gcpressure(lua_State *L, int kb);

/*
** The last call of a C function: as lua_call with all results.  What is called
** can yield, where Lua has a way for that (from 5.2 on).
** Returns: what the C function has to return: all that is on its stack then.
** Stack: [-(count + 1), +n, e]
*/
int mts_compat_lastcall(lua_State *L, int count);

/*
** The value that a userdata, made by lua_newuserdatauv with one, keeps alive:
** a table.  Before 5.2 it is some other table until it is set.
*/
#if LUA_VERSION_NUM >= 504
#define mts_compat_setuservalue(L, index) lua_setiuservalue(L, index, 1)
#define mts_compat_getuservalue(L, index) lua_getiuservalue(L, index, 1)
#elif LUA_VERSION_NUM >= 502
#define mts_compat_setuservalue(L, index) lua_setuservalue(L, index)
#define mts_compat_getuservalue(L, index) lua_getuservalue(L, index)
#else
#define mts_compat_setuservalue(L, index) lua_setfenv(L, index)
#define mts_compat_getuservalue(L, index) lua_getfenv(L, index)
#endif

/* Whether coroutine.wrap puts a position in front of an error value. */
#if LUA_VERSION_NUM < 503 && !MTS_LUAJIT
#define mts_compat_iserrortext(L, index) lua_isstring(L, index)
#else
#define mts_compat_iserrortext(L, index) (lua_type(L, index) == LUA_TSTRING)
#endif

/* Whether the value at index is the integer n. */
#if LUA_VERSION_NUM >= 503
#define mts_compat_isindex(L, index, n)                                       \
  (lua_isinteger(L, index) && lua_tointeger(L, index) == (lua_Integer)(n))
#else
#define mts_compat_isindex(L, index, n)                                       \
  (lua_type(L, index) == LUA_TNUMBER &&                                       \
   lua_tonumber(L, index) == (lua_Number)(n))
#endif

/* Whether the function on top of the stack is a C function, or wraps one. */
#if LUA_VERSION_NUM >= 502
#define mts_compat_isnative(L) lua_iscfunction(L, -1)
#else
#define mts_compat_isnative(L) mts_compat_wraps_native(L)
bool mts_compat_wraps_native(lua_State *L);
#endif

/* Whether it can be found out, and be made, that functions share upvalues. */
#define MTS_CAN_JOIN_UPVALUES (LUA_VERSION_NUM >= 502 || MTS_LUAJIT)

#if LUA_VERSION_NUM == 504 /* lua_closethread is new in 5.4.6 */
#define lua_closethread(co, from) lua_resetthread(co)
#endif

#if LUA_VERSION_NUM < 504

#define lua_newuserdatauv(L, size, values) lua_newuserdata(L, size)
#define luaL_typeerror mts_compat_typeerror
#define lua_resume(co, from, count, results)                                  \
  mts_compat_resume(co, from, count, results)
#define lua_closethread mts_compat_closethread

int mts_compat_typeerror(lua_State *L, int arg, const char *expected);
int mts_compat_resume(lua_State *co, lua_State *from, int count, int *results);

/* There is nothing to be closed; what the coroutine ended with is dropped. */
int mts_compat_closethread(lua_State *co, lua_State *from);

#endif

#if LUA_VERSION_NUM < 503

#define lua_isinteger(L, index) ((void)(L), (void)(index), 0)
#define lua_dump(L, writer, data, strip) (lua_dump)(L, writer, data)
#define luaL_newmetatable(L, name) mts_compat_newmetatable(L, name)

int mts_compat_newmetatable(lua_State *L, const char *name);

#endif

#if !defined(LUA_LOADED_TABLE)
#define LUA_LOADED_TABLE "_LOADED"
#define LUA_PRELOAD_TABLE "_PRELOAD"
#endif

#if LUA_VERSION_NUM < 502

/*
** The name of the code of functions that only call others (lua/waiting.h):
** errors in these are raised as if they were called by the caller of that.
*/
#define MTS_COMPAT_WRAPPERS "=mtstates"
#define luaL_argerror mts_compat_argerror
#define luaL_error mts_compat_error

int mts_compat_argerror(lua_State *L, int arg, const char *message);
int mts_compat_error(lua_State *L, const char *format, ...);

#define LUA_OK 0
#define lua_rawlen(L, index) lua_objlen(L, index)
#define lua_pushglobaltable(L) lua_pushvalue(L, LUA_GLOBALSINDEX)
#define luaL_requiref mts_compat_requiref

void mts_compat_requiref(lua_State *L, const char *name, lua_CFunction open,
                         int is_global);

#endif

#if LUA_VERSION_NUM < 502 && !MTS_LUAJIT

/* An index to that counts from the top would have moved. */
#define lua_copy(L, from, to) (lua_pushvalue(L, from), lua_replace(L, to))
#define luaL_setmetatable(L, name)                                            \
  (luaL_getmetatable(L, name), (void)lua_setmetatable(L, -2))
#define luaL_newlib(L, list) (lua_newtable(L), luaL_setfuncs(L, list, 0))
#define luaL_setfuncs mts_compat_setfuncs
#define luaL_testudata mts_compat_testudata
#define luaL_traceback mts_compat_traceback

void mts_compat_setfuncs(lua_State *L, const luaL_Reg *list, int upvalues);
void *mts_compat_testudata(lua_State *L, int index, const char *name);
void mts_compat_traceback(lua_State *L, lua_State *L1, const char *message,
                          int level);

#endif

MTS_END_HIDDEN

#endif
