/*
** each.h - loops over futures in the order in which they are answered
*/
#ifndef MTS_EACH_H
#define MTS_EACH_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Makes the class of the objects behind such loops.  The context is on top of
** the stack.
** Stack: [-0, +0, m]
*/
void mts_each_open(lua_State *L);

/* mtstates.each(future, ...) and mtstates.each(list) */
int mts_each_each(lua_State *L);

MTS_END_HIDDEN

#endif
