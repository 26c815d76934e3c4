/*
** protect.c - C functions in protected mode, wherever a state is
**
** To have an error caught, a C function has to be called by lua_pcall.  So it
** has to be pushed first, where an error would not be caught yet.  Since Lua
** 5.2 that needs no memory; before, a C function is an object.  Therefore such
** objects are made beforehand and kept in the Lua registry.  One will do for
** all functions to be protected, the trampoline.  It takes the job that its
** thread has at that moment; a light userdata as argument will not do, as
** LuaJIT can need memory for that, too.
**
** Growing the stack is no different: before 5.2 lua_checkstack raises an error
** if there is no memory.
**
** Takes no locks.
*/
#include "luaapi/protect.h"

#include "async_util.h"

#define TRAMPOLINE_KEY "mtstates.trampoline"

typedef struct Job {
  mts_Function function;
  void *data;
} Job;

/* Of each thread; a hook can bring in another one before it is taken. */
static MTS_THREAD_LOCAL const Job *next_job;

static int trampoline(lua_State *L)
{
  const Job *job = next_job;
  if (!job) /* code that got hold of this function has called it */
    return luaL_error(L, "there is nothing to be done");
  next_job = NULL;
  return job->function(L, job->data);
}

#if LUA_VERSION_NUM >= 502

/*
** Before 5.4 luaL_setfuncs makes sure of room on the stack that it does not
** need, and without memory for it, says that the stack overflows.  So the
** module makes it beforehand.
*/
#define ROOM (LUA_VERSION_NUM < 504 ? 3 * LUA_MINSTACK : 0)

int mts_protect_open(lua_State *L)
{
  return lua_checkstack(L, ROOM) ? LUA_OK : LUA_ERRMEM;
}

void mts_protect_keep(lua_State *L, const char *key, lua_CFunction function)
{
  (void)L;
  (void)key;
  (void)function;
}

void mts_protect_push_kept(lua_State *L, const char *key,
                           lua_CFunction function)
{
  (void)key;
  lua_pushcfunction(L, function);
}

bool mts_protect_grow_beyond(lua_State *L, int size)
{
  return lua_checkstack(L, size);
}

#else

void mts_protect_keep(lua_State *L, const char *key, lua_CFunction function)
{
  lua_pushcfunction(L, function);
  lua_setfield(L, LUA_REGISTRYINDEX, key);
}

/* The key is a string that exists, so this needs no memory. */
void mts_protect_push_kept(lua_State *L, const char *key,
                           lua_CFunction function)
{
  (void)function;
  lua_getfield(L, LUA_REGISTRYINDEX, key);
}

static int keep_trampoline(lua_State *L)
{
  mts_protect_keep(L, TRAMPOLINE_KEY, trampoline);
  return 0;
}

int mts_protect_open(lua_State *L)
{
  int status = lua_cpcall(L, keep_trampoline, NULL);
  if (status != LUA_OK)
    lua_pop(L, 1);
  return status;
}

static int check_stack(lua_State *L, void *size)
{
  luaL_checkstack(L, *(const int *)size, "no room");
  return 0;
}

bool mts_protect_grow_beyond(lua_State *L, int size)
{
  mts_protect_push(L);
  if (mts_protect(L, check_stack, &size, 0, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    return false;
  }
  return lua_checkstack(L, size); /* needs no more memory */
}

#endif

void mts_protect_push(lua_State *L)
{
  mts_protect_push_kept(L, TRAMPOLINE_KEY, trampoline);
}

int mts_protect(lua_State *L, mts_Function function, void *data, int count,
                int results, int handler)
{
  const Job job = {function, data};
  const Job *outer = next_job;
  int status;
  next_job = &job;
  status = lua_pcall(L, count, results, handler);
  next_job = outer;
  return status;
}
