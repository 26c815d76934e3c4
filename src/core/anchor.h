/*
** anchor.h - which state of this module a Lua state is
*/
#ifndef MTS_ANCHOR_H
#define MTS_ANCHOR_H

#include "base/compiler.h"

#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Notes in the Lua registry of L that this copy of the module is used there.
** Stack: [-0, +0, m]
** Returns: false if another copy is: the two would take each other's objects
** for their own.
*/
bool mts_anchor_claim(lua_State *L);

/*
** Notes in the Lua registry of L, which is new, that it is the interpreter of
** s.
** Stack: [-0, +0, m]
*/
void mts_anchor_set(lua_State *L, mts_State *s);

/*
** The state that L belongs to; NULL if L was not made by this module.  Looks
** into the Lua registry: functions that are called often keep the anchor.
** Stack: [-0, +0, m]
*/
mts_State *mts_anchor_find_state(lua_State *L);

/*
** Pushes the anchor, or nil if code has removed it, to be an upvalue of
** functions that use mts_anchor_to_state.
** Stack: [-0, +1, m]
*/
void mts_anchor_push(lua_State *L);

/*
** The state that L belongs to, from the anchor at index; NULL if L was not
** made by this module, or for nil.
** Stack: [-0, +0, -]
*/
mts_State *mts_anchor_to_state(lua_State *L, int index);

MTS_END_HIDDEN

#endif
