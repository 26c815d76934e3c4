/*
** interpreter.h - opening a Lua state with an allocator
*/
#ifndef MTS_INTERPRETER_H
#define MTS_INTERPRETER_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Has to be called before the others: finds out, once per process, whether
** the interpreter takes allocators.
** Returns: false if there is no memory.
*/
bool mts_interpreter_examine(void);

/* Whether it does.  LuaJIT needs memory with small addresses. */
bool mts_interpreter_takes_allocator(void);

/*
** A Lua state as that of luaL_newstate, which is given back with lua_close,
** that gets all its memory from the allocator; NULL: the interpreter's own.
** Returns: NULL if there is no memory.
*/
lua_State *mts_interpreter_open(lua_Alloc allocator, void *data);

MTS_END_HIDDEN

#endif
