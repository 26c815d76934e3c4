/*
** creation.h - new states
*/
#ifndef MTS_CREATION_H
#define MTS_CREATION_H

#include "base/compiler.h"

#include <stddef.h>

#include "luaapi/compat.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/* mtstates.newstate([name,] [libs or options,] setup, ...) */
int mts_creation_newstate(lua_State *L);

/* mtstates.singleton(name, [libs or options,] setup, ...) */
int mts_creation_singleton(lua_State *L);

/* mtstates.thread([options,] f or code, ...) */
int mts_creation_thread(lua_State *L);

/*
** Pushes an owner of a new service whose callback is a copy of the function at
** index, an argument of the running function of the module.
** Returns: the service.
** Stack: [-0, +n, e]
** Errors: as those of mtstates.newstate.
*/
mts_State *mts_creation_push_callback(lua_State *L, int index);

/*
** Raises what was reported of the states with that name.
** Returns: never.
** Stack: [-0, +n, v]
*/
int mts_creation_raise_name(lua_State *L, mts_Status status, const char *name,
                            size_t length);

MTS_END_HIDDEN

#endif
