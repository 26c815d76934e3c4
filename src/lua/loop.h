/*
** loop.h - iterators, whose objects are the closing values of their loops
*/
#ifndef MTS_LOOP_H
#define MTS_LOOP_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Makes the class of the objects behind iterators, with those methods; `wait`
** is one of them.  The context is on top of the stack.
** Stack: [-0, +0, m]
*/
void mts_loop_open(lua_State *L, const char *class_name,
                   const luaL_Reg *methods, const luaL_Reg *metamethods);

/*
** Pushes what a function of the module returns that makes a loop: the
** iterator, two times nil, and the object.  The object, of that class, is on
** top of the stack, with count further values above it.
** code: of a function that gets the methods, as a table, and returns one that
** gets the object and these values and returns the iterator.
** Returns: how many values.
** Stack: [-count, +returned, e]
*/
int mts_loop_return(lua_State *L, const char *class_name, const char *code,
                    int count);

/*
** Pushes where the iterator is called whose code has called the running
** function, as luaL_where does.
** Stack: [-0, +1, m]
*/
void mts_loop_push_position(lua_State *L);

MTS_END_HIDDEN

#endif
