/*
** yield.h - C functions that yield the coroutine that they run in, to wait
*/
#ifndef MTS_YIELD_H
#define MTS_YIELD_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Whether a C function that has yielded goes on in another one, with its stack
** as it was.  Elsewhere it returns to its caller what the coroutine is resumed
** with; see lua/waiting.h for what that needs.
*/
#define MTS_YIELDS_GO_ON (LUA_VERSION_NUM >= 502)

/* Whether Lua tells whether a coroutine can yield. */
#define MTS_YIELDS_ARE_TOLD (LUA_VERSION_NUM >= 503 || MTS_LUAJIT)

/* To be called once in each Lua state, when its libraries are there. */
void mts_yield_open(lua_State *L);

/*
** Whether the C function that runs in L, a coroutine, can yield; not if that
** is not known.  What has resumed L is not looked at; nor, unless
** MTS_YIELDS_ARE_TOLD, whether a hook runs there.
** Stack: [-0, +0, -]
*/
bool mts_yield_is_possible(lua_State *L);

/* What coroutine.isyieldable tells, where there is such a function. */
#if MTS_YIELDS_ARE_TOLD
#define mts_yield_is_allowed(L) (lua_isyieldable(L) != 0)
#else
#define mts_yield_is_allowed(L) false
#endif

/*
** The last call of a C function for which that is possible: yields, keeping
** the count values on top of the stack, and goes on in that function.
** Stack: [-?, +?, -]
*/
int mts_yield(lua_State *L, int count, lua_CFunction go_on);

/*
** The same for such a function that has been resumed by somebody else, and
** gives that one nothing.  Only if MTS_YIELDS_GO_ON.
*/
int mts_yield_again(lua_State *L, lua_CFunction go_on);

/*
** How many values mts_yield has kept for what the coroutine goes on with, to
** be resumed with.
** Returns: -1 if it was not mts_yield that has yielded.
** Stack: [-0, +0, -]
*/
int mts_yield_count(lua_State *co);

MTS_END_HIDDEN

#endif
