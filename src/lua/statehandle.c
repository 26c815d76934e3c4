/*
** statehandle.c - states among the values that cross
**
** A message that names a state has a reference and, if the state is open, is
** one of its owners; what is made of it on the other side is a reference only.
**
** Takes no locks of its own.
*/
#include "lua/statehandle.h"

#include <stdatomic.h>
#include <stdint.h>

#include "core/anchor.h"
#include "core/registry.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "value/classes.h"
#include "value/handle.h"

/* Opens the module. */
static atomic_uintptr_t opener;

static void *find_state(const void *block)
{
  const mts_StateObject *object = block;
  return object->is_finalized ? NULL : object->state;
}

static bool hold_state(void *object)
{
  mts_State *s = object;
  mts_state_retain(s);
  return mts_registry_add_owner(s) == MTS_OK;
}

static void unhold_state(void *object, bool is_kept_open)
{
  mts_State *s = object;
  if (is_kept_open)
    mts_registry_drop_owner(s);
  mts_state_release(s);
}

static void push_class(lua_State *L, const char *name)
{
  luaL_getmetatable(L, name);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  luaL_requiref(L, "mtstates", (lua_CFunction)atomic_load(&opener), 0);
  lua_pop(L, 1);
  luaL_getmetatable(L, name);
}

void mts_statehandle_push_class(lua_State *L, const char *name)
{
  push_class(L, name);
  mts_userdata_tell_object(L);
}

static void push_state(lua_State *L, void *object)
{
  mts_StateObject *reference;
  mts_State *host_state = mts_anchor_find_state(L);
  mts_statehandle_push_class(L, MTS_STATE_CLASS);
  reference = lua_newuserdatauv(L, sizeof(*reference), 0);
  *reference = (mts_StateObject){.host_state = host_state};
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  mts_state_retain(object);
  reference->state = object;
}

static const mts_HandleClass state_handles = {.find = find_state,
                                              .hold = hold_state,
                                              .unhold = unhold_state,
                                              .push = push_state};

void mts_statehandle_register(lua_CFunction open_module)
{
  atomic_store(&opener, (uintptr_t)open_module);
  mts_handle_register(MTS_STATE_CLASS, &state_handles);
}
