/*
** protect.c - C functions in protected mode, also where no error may be raised
**
** lua_pcall calls what has been pushed, and before Lua 5.2 pushing a C
** function makes an object, which can fail outside of the protected call.  So
** one such object is made beforehand and kept in the Lua registry, the
** trampoline.  It serves all functions: it takes from a variable of its thread
** the job that mts_protect has put there.  (A light userdata as argument would
** not do: LuaJIT can need memory for that, too.)
**
** Growing the stack is no different: before 5.2 lua_checkstack raises an error
** if there is no memory, so it is called through the trampoline.
**
** Takes no locks.
*/
#include "luaapi/protect.h"

#define TRAMPOLINE_KEY "mtstates.trampoline"

typedef struct Job {
  mts_Function function;
  void *data;
} Job;

/*
** What the trampoline is to do.  A hook can make a protected call of its own
** before it is taken, so mts_protect restores what was there.
*/
static MTS_THREAD_LOCAL const Job *next_job;

static int trampoline(lua_State *L)
{
  const Job *job = next_job;
  if (!job) /* called by Lua code that has found it in the Lua registry */
    return luaL_error(L, "there is nothing to be done");
  next_job = NULL;
  return job->function(L, job->data);
}

#if LUA_VERSION_NUM >= 502

/*
** Before 5.4 luaL_setfuncs asks for room on the stack that it does not need,
** and if there is no memory for it, says that the stack overflows.  So the
** stack is grown beforehand.
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

typedef struct Growth {
  int size;
  bool is_done;
} Growth;

static int check_stack(lua_State *L, void *data)
{
  Growth *growth = data;
  luaL_checkstack(L, growth->size, "no room");
  growth->is_done = true;
  return 0;
}

/* Each protected call can run finalizers in the end; their errors are lost. */
bool mts_protect_grow_beyond(lua_State *L, int size)
{
  Growth growth = {size, false};
  mts_protect_push(L);
  if (mts_protect(L, check_stack, &growth, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  /* Once it has been grown, this needs no more memory. */
  return growth.is_done && lua_checkstack(L, size);
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
