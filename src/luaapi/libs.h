/*
** libs.h - the standard libraries that each version of Lua has
**
** Every library has a function that opens it, luaopen_NAME.  Three kinds of
** exceptions are described here, so that other files need not know versions:
** libraries that a program with Lua inside has left out (their function is
** NULL), libraries that a build lacks although the function exists (the extra
** ones), and LuaJIT's, which enter themselves into package.loaded.
*/
#ifndef MTS_LIBS_H
#define MTS_LIBS_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Whether libraries enter themselves into package.loaded; the functions that
** open them may return anything then.
*/
#define MTS_LIBS_ENTER_THEMSELVES MTS_LUAJIT

/*
** Opens the coroutine library; NULL: it is a part of the basic one, or there
** is none.
*/
extern const lua_CFunction mts_libs_open_coroutine;

/* Opens LuaJIT's foreign function interface; NULL: there is none. */
extern const lua_CFunction mts_libs_open_ffi;

/* All other libraries but the basic one and package; ends with a NULL name. */
extern const luaL_Reg mts_libs_list[];

/*
** Libraries that a build may lack although there is a function that opens
** them.  Those with a dot in their name belong to the library whose name is in
** front of it, which their function opens.  Ends with a NULL name.
*/
extern const luaL_Reg mts_libs_extra[];

/*
** Open libraries for Lua code to use: all of them, or only the basic one and
** package.
** Stack: [-0, +0, e]
*/
void mts_libs_open_all(lua_State *L);
void mts_libs_open_basic(lua_State *L);

/*
** Prepares L, which is new, for libraries: makes the table package.loaded,
** into which LuaJIT enters ffi when it compiles a literal like 1LL, and makes
** room for count globals.  Their table would grow six times otherwise; but
** only since 5.2 has Lua a place for another one.
** Stack: [-0, +0, m]
*/
void mts_libs_prepare(lua_State *L, int count);

/*
** LuaJIT: no more code is compiled in the state of L, until code there turns
** that on.  To be called when the library jit is opened, or the first time.
** Stack: [-0, +0, -]
*/
void mts_libs_stop_compiler(lua_State *L);

MTS_END_HIDDEN

#endif
