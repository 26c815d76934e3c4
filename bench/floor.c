/*
** floor.c - what bare Lua needs for the work that mtstates does, and a clock
**
** The module `floor` of the benchmarks: each function does the least that a
** row of bench/rows.lua could possibly cost.
*/
#define _GNU_SOURCE /* sched_setaffinity */

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <sched.h>
#include <time.h>

int luaopen_floor(lua_State *L);

/* Seconds that this thread has run: other programs don't count. */
static int floor_clock(lua_State *L)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

/*
** Keeps this thread on the core it is on, so that no round pays for a move.
** Returns the number of the core, or nil if the system does not let us.
*/
static int floor_pin(lua_State *L)
{
  int core = sched_getcpu();
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (core < 0 || core >= CPU_SETSIZE)
    return 0;
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof(cores), &cores) != 0)
    return 0;
  lua_pushinteger(L, core);
  return 1;
}

static int object_gc(lua_State *L)
{
  (void)L;
  return 0;
}

/* An empty userdata with a metatable and a finalizer. */
static int floor_object(lua_State *L)
{
  lua_newuserdata(L, sizeof(void *));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

/* A Lua state with all standard libraries, opened and closed. */
static int floor_state(lua_State *L)
{
  lua_State *other = luaL_newstate();
  if (!other)
    return luaL_error(L, "not enough memory");
  luaL_openlibs(other);
  lua_close(other);
  return 0;
}

int luaopen_floor(lua_State *L)
{
  lua_newtable(L);
  lua_pushcfunction(L, floor_clock);
  lua_setfield(L, -2, "clock");
  lua_pushcfunction(L, floor_pin);
  lua_setfield(L, -2, "pin");
  lua_pushcfunction(L, floor_state);
  lua_setfield(L, -2, "state");

  lua_newtable(L);
  lua_pushcfunction(L, object_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcclosure(L, floor_object, 1);
  lua_setfield(L, -2, "object");
  return 1;
}
