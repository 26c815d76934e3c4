/*
** compat.c - functions of Lua 5.4 for versions that lack them
**
** Each does what the manual of Lua 5.4 says of the function whose name it has
** in compat.h, as far as it is needed here; or what compat.h says of it.
**
** Takes no locks.
*/
#include "luaapi/compat.h"

#include <stdarg.h>
#include <string.h>

#if LUA_VERSION_NUM >= 505

/* KB; a step does the work that is due for so many, even if it is larger. */
#define STEP 8

static void add_debt(lua_State *L, int kb)
{
  for (; kb > 0; kb -= STEP)
    lua_gc(L, LUA_GCSTEP, (size_t)(STEP * 1024));
}

#elif LUA_VERSION_NUM >= 502

/* The size of a step is added to what the collector lags behind. */
static void add_debt(lua_State *L, int kb)
{
  lua_gc(L, LUA_GCSTEP, kb);
}

#else

/* KB */
#define LARGEST_BLOCK 1024

static int make_garbage(lua_State *L)
{
  int kb = *(const int *)lua_touserdata(L, 1);
  for (; kb > 0; kb -= LARGEST_BLOCK) {
    int block = kb < LARGEST_BLOCK ? kb : LARGEST_BLOCK;
    lua_newuserdata(L, 1024 * (size_t)block);
    lua_pop(L, 1);
  }
  return 0;
}

/*
** Before 5.2 a step is work on top of what is due, and restarts a collector
** that was stopped.  So that much garbage is made; its pages stay untouched.
*/
static void add_debt(lua_State *L, int kb)
{
  int status = lua_cpcall(L, make_garbage, &kb);
  if (status == LUA_ERRMEM)
    lua_pop(L, 1);
  else if (status != LUA_OK) /* of a finalizer */
    lua_error(L);
}

#endif

void mts_compat_gcpressure(lua_State *L, int kb)
{
#if defined(LUA_GCISRUNNING) /* Lua 5.1 has no answer */
  if (lua_gc(L, LUA_GCISRUNNING, 0) <= 0)
    return;
#endif
  add_debt(L, kb);
}

#if LUA_VERSION_NUM >= 503

static int return_all(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  (void)context;
  return lua_gettop(L);
}

#elif LUA_VERSION_NUM == 502

static int return_all(lua_State *L)
{
  return lua_gettop(L);
}

#else

#define lua_callk(L, count, results, context, continuation)                   \
  lua_call(L, count, results)

#endif

int mts_compat_lastcall(lua_State *L, int count)
{
  lua_callk(L, count, LUA_MULTRET, 0, return_all);
  return lua_gettop(L);
}

#if LUA_VERSION_NUM < 504

int mts_compat_typeerror(lua_State *L, int arg, const char *expected)
{
  const char *actual = luaL_typename(L, arg);
  if (luaL_getmetafield(L, arg, "__name") && lua_type(L, -1) == LUA_TSTRING)
    actual = lua_tostring(L, -1);
  else if (lua_islightuserdata(L, arg))
    actual = "light userdata";
  lua_pushfstring(L, "%s expected, got %s", expected, actual);
  return luaL_argerror(L, arg, lua_tostring(L, -1));
}

int mts_compat_resume(lua_State *co, lua_State *from, int count, int *results)
{
  int status;
#if LUA_VERSION_NUM >= 502
  status = (lua_resume)(co, from, count);
#else
#if MTS_LUAJIT
  (void)from;
#else
  lua_setlevel(from, co); /* so that the depth of the C stack is known */
#endif
  status = (lua_resume)(co, count);
#endif
  *results = lua_gettop(co);
  return status;
}

int mts_compat_closethread(lua_State *co, lua_State *from)
{
  (void)from;
  lua_pop(co, 1);
  return LUA_OK;
}

#endif

#if LUA_VERSION_NUM < 503

int mts_compat_newmetatable(lua_State *L, const char *name)
{
  bool is_new = (luaL_newmetatable)(L, name);
  lua_pushstring(L, name); /* always: last time memory may have been out */
  lua_setfield(L, -2, "__name");
  return is_new;
}

#endif

#if LUA_VERSION_NUM < 502

#undef luaL_argerror
#undef luaL_error

/* The level of the function that runs, or of the one that only calls it. */
static int level_of_running(lua_State *L)
{
  lua_Debug ar;
  return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) &&
                 strcmp(ar.source, MTS_COMPAT_WRAPPERS) == 0
             ? 1
             : 0;
}

bool mts_compat_wraps_native(lua_State *L)
{
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &ar);
  return *ar.what == 'C' || strcmp(ar.source, MTS_COMPAT_WRAPPERS) == 0;
}

int mts_compat_error(lua_State *L, const char *format, ...)
{
  va_list arguments;
  luaL_where(L, level_of_running(L) + 1);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  return lua_error(L);
}

int mts_compat_argerror(lua_State *L, int arg, const char *message)
{
  lua_Debug ar;
  if (!lua_getstack(L, level_of_running(L), &ar))
    return mts_compat_error(L, "bad argument #%d (%s)", arg, message);
  lua_getinfo(L, "n", &ar);
  if (strcmp(ar.namewhat, "method") == 0 && --arg == 0)
    return mts_compat_error(L, "calling '%s' on bad self (%s)", ar.name,
                            message);
  return mts_compat_error(L, "bad argument #%d to '%s' (%s)", arg,
                          ar.name ? ar.name : "?", message);
}

void mts_compat_requiref(lua_State *L, const char *name, lua_CFunction open,
                         int is_global)
{
  (void)is_global; /* before 5.2 libraries do that and the rest themselves */
  lua_pushcfunction(L, open);
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

#endif

#if LUA_VERSION_NUM < 502 && !MTS_LUAJIT

void mts_compat_setfuncs(lua_State *L, const luaL_Reg *list, int upvalues)
{
  int table = lua_gettop(L) - upvalues;
  luaL_checkstack(L, upvalues + 1, "too many upvalues");
  for (; list->name; list++) {
    int i;
    for (i = 1; i <= upvalues; i++)
      lua_pushvalue(L, table + i);
    lua_pushcclosure(L, list->func, upvalues);
    lua_setfield(L, table, list->name);
  }
  lua_settop(L, table);
}

void *mts_compat_testudata(lua_State *L, int index, const char *name)
{
  void *block = lua_touserdata(L, index);
  if (block && lua_getmetatable(L, index)) {
    luaL_getmetatable(L, name);
    if (!lua_rawequal(L, -1, -2))
      block = NULL;
    lua_pop(L, 2);
    return block;
  }
  return NULL;
}

/* Levels that are shown at both ends of a long traceback. */
#define FIRST_LEVELS 12
#define LAST_LEVELS 10

static int count_levels(lua_State *L)
{
  lua_Debug ar;
  int low = 1, high = 1;
  while (lua_getstack(L, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (low < high) { /* level low - 1 exists, level high does not */
    int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle, &ar))
      low = middle + 1;
    else
      high = middle;
  }
  return high;
}

/* Pushes the line of the traceback for a level. */
static void push_level(lua_State *L, lua_State *L1, lua_Debug *ar)
{
  int top = lua_gettop(L);
  lua_getinfo(L1, "Snl", ar);
  lua_pushfstring(L, "\n\t%s:", ar->short_src);
  if (ar->currentline > 0)
    lua_pushfstring(L, "%d:", ar->currentline);
  if (*ar->namewhat != '\0')
    lua_pushfstring(L, " in function '%s'", ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, " in main chunk");
  else if (*ar->what == 'C' || *ar->what == 't')
    lua_pushliteral(L, " ?");
  else
    lua_pushfstring(L, " in function <%s:%d>", ar->short_src, ar->linedefined);
  lua_concat(L, lua_gettop(L) - top);
}

void mts_compat_traceback(lua_State *L, lua_State *L1, const char *message,
                          int level)
{
  int top = lua_gettop(L);
  int count = count_levels(L1);
  int gap = level + FIRST_LEVELS;
  lua_Debug ar;
  luaL_checkstack(L, FIRST_LEVELS + LAST_LEVELS + 10, "traceback");
  if (message)
    lua_pushfstring(L, "%s\n", message);
  lua_pushliteral(L, "stack traceback:");
  while (lua_getstack(L1, level, &ar)) {
    if (level == gap && gap < count - LAST_LEVELS) {
      lua_pushliteral(L, "\n\t...");
      level = count - LAST_LEVELS;
    }
    else {
      push_level(L, L1, &ar);
      level++;
    }
  }
  lua_concat(L, lua_gettop(L) - top);
}

#endif
