/*
** floor.c - what bare Lua and C need for the work that mtstates does
**
** The module `floor` of the benchmarks.  Its functions are what rows compare
** mtstates with: the least that the same work could cost.  `floor.object` even
** does what mtstates promises least of all: it calls into another Lua state
** with a lock and with values that are copied, and nothing else.  It is not
** safe (no memory for a copied string, and the error leaves the lock taken),
** but tells how near to pcall a call into another state could come.
**
** Also here: the clock, and keeping the thread on one core.
*/
#define _GNU_SOURCE /* sched_setaffinity */

#include "luaapi/compat.h"
#include "luaapi/libs.h"

#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int luaopen_floor(lua_State *L);

/* ======================================================================= */
/* Measuring                                                               */
/* ======================================================================= */

/* Seconds that this thread has run: other programs don't count. */
static int floor_clock(lua_State *L)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

/*
** pin([core, ...]): keeps this thread on these cores, else on the one that it
** is on, so that no round pays for a move.  Threads that it makes from now on
** stay there, too.  Returns the number of the core that it is on, or nil if
** the system does not let us.
*/
static int floor_pin(lua_State *L)
{
  int number = lua_gettop(L), i;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  for (i = 1; i <= number; i++)
    CPU_SET((size_t)luaL_checkinteger(L, i), &cores);
  if (number == 0 && sched_getcpu() >= 0)
    CPU_SET((size_t)sched_getcpu(), &cores);
  if (sched_setaffinity(0, sizeof(cores), &cores) != 0)
    return 0;
  lua_pushinteger(L, sched_getcpu());
  return 1;
}

/*
** heap(): bytes that malloc has given out, in all threads, to the byte but for
** its own rounding and what threads keep to be used again.
*/
static int floor_heap(lua_State *L)
{
  struct mallinfo2 heap = mallinfo2(); /* NOLINT(concurrency-mt-unsafe) */
  lua_pushnumber(L, (lua_Number)(heap.uordblks + heap.hblkhd));
  return 1;
}

/* resident(): bytes of memory that the process has. */
static int floor_resident(lua_State *L)
{
  long long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%*s %lld", &pages) != 1)
    pages = 0;
  if (file)
    fclose(file);
  lua_pushnumber(L, (lua_Number)pages * (lua_Number)sysconf(_SC_PAGESIZE));
  return 1;
}

/* ======================================================================= */
/* Calls                                                                   */
/* ======================================================================= */

typedef struct Callee {
  lua_State *L;
  atomic_int lock;
} Callee;

/* Where these are on the stack of the Lua state that is called. */
enum { HANDLER = 1, CALLBACK = 2 };

static int handle_message(lua_State *L)
{
  luaL_traceback(L, L, lua_tostring(L, 1), 1);
  return 1;
}

/* callee(code): a Lua state, the code in it returns the callback. */
static int floor_callee(lua_State *L)
{
  const char *code = luaL_checkstring(L, 1);
  Callee *callee = lua_newuserdatauv(L, sizeof(*callee), 0);
  callee->L = NULL;
  atomic_init(&callee->lock, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  callee->L = luaL_newstate();
  if (!callee->L)
    return luaL_error(L, "not enough memory");
  luaL_openlibs(callee->L);
  lua_pushcfunction(callee->L, handle_message);
  if (luaL_dostring(callee->L, code))
    return luaL_error(L, "%s", lua_tostring(callee->L, -1));
  return 1;
}

static Callee *check_callee(lua_State *L)
{
  Callee *callee = lua_touserdata(L, 1);
  if (!callee || !lua_getmetatable(L, 1) ||
      !lua_rawequal(L, -1, lua_upvalueindex(1)))
    luaL_typeerror(L, 1, "callee");
  lua_pop(L, 1);
  return callee;
}

static int callee_gc(lua_State *L)
{
  Callee *callee = lua_touserdata(L, 1);
  if (callee->L)
    lua_close(callee->L);
  return 0;
}

static void copy(lua_State *to, lua_State *from, int first)
{
  int top = lua_gettop(from);
  int i;
  for (i = first; i <= top; i++) {
    switch (lua_type(from, i)) {
    case LUA_TNUMBER:
      if (lua_isinteger(from, i))
        lua_pushinteger(to, lua_tointeger(from, i));
      else
        lua_pushnumber(to, lua_tonumber(from, i));
      break;
    case LUA_TBOOLEAN:
      lua_pushboolean(to, lua_toboolean(from, i));
      break;
    case LUA_TSTRING: {
      size_t length;
      const char *string = lua_tolstring(from, i, &length);
      lua_pushlstring(to, string, length);
      break;
    }
    default:
      lua_pushnil(to);
    }
  }
}

/* callee:call(...) */
static int callee_call(lua_State *L)
{
  Callee *callee = check_callee(L);
  lua_State *to = callee->L;
  int unlocked = 0;
  int count = lua_gettop(L) - 1;
  if (!atomic_compare_exchange_strong(&callee->lock, &unlocked, 1))
    return luaL_error(L, "in use");
  luaL_checkstack(to, count + 1, NULL);
  lua_pushvalue(to, CALLBACK);
  copy(to, L, 2);
  if (lua_pcall(to, count, LUA_MULTRET, HANDLER) != LUA_OK)
    return luaL_error(L, "%s", lua_tostring(to, -1));
  count = lua_gettop(to) - CALLBACK;
  luaL_checkstack(L, count, NULL);
  copy(L, to, CALLBACK + 1);
  lua_settop(to, CALLBACK);
  atomic_store(&callee->lock, 0);
  return count;
}

/* The values on top of co become arguments; the results take their place. */
static int answer(Callee *callee, lua_State *co, int count)
{
  lua_State *to = callee->L;
  luaL_checkstack(to, count + 1, NULL);
  lua_pushvalue(to, CALLBACK);
  copy(to, co, lua_gettop(co) - count + 1);
  lua_pop(co, count);
  if (lua_pcall(to, count, LUA_MULTRET, HANDLER) != LUA_OK)
    return luaL_error(co, "%s", lua_tostring(to, -1));
  count = lua_gettop(to) - CALLBACK;
  luaL_checkstack(co, count, NULL);
  copy(co, to, CALLBACK + 1);
  lua_settop(to, CALLBACK);
  return count;
}

/*
** callee:serve(f, ...): runs f(...) in a coroutine.  What that yields are
** arguments for the callback; it is resumed with the results.
*/
static int callee_serve(lua_State *L)
{
  Callee *callee = check_callee(L);
  lua_State *co = lua_newthread(L);
  int count = lua_gettop(L) - 3, status, results;
  lua_insert(L, 2);
  lua_xmove(L, co, count + 1);
  while ((status = lua_resume(co, L, count, &results)) == LUA_YIELD)
    count = answer(callee, co, results);
  if (status != LUA_OK)
    return luaL_error(L, "%s", lua_tostring(co, -1));
  return 0;
}

/* keep_memory(flag): whether malloc keeps large blocks that are freed. */
static int floor_keep_memory(lua_State *L)
{
  int limit = lua_toboolean(L, 1) ? 1 << 25 : 1 << 17;
  /* There are no other threads in programs that call this. */
  mallopt(M_MMAP_THRESHOLD, limit); /* NOLINT(concurrency-mt-unsafe) */
  mallopt(M_TRIM_THRESHOLD, limit); /* NOLINT(concurrency-mt-unsafe) */
  return 0;
}

/* copy_twice(string): its bytes into fresh memory and on into other. */
static int floor_copy_twice(lua_State *L)
{
  size_t length;
  const char *string = luaL_checklstring(L, 1, &length);
  char *first = malloc(length);
  char *second = malloc(length);
  if (first && second) {
    memcpy(first, string, length);
    /* The compiler is not to find out that nobody reads the copies. */
    __asm__ volatile("" : : "r"(first) : "memory");
    memcpy(second, first, length);
    __asm__ volatile("" : : "r"(second) : "memory");
  }
  free(first);
  free(second);
  return 0;
}

/* ======================================================================= */
/* Objects and states                                                      */
/* ======================================================================= */

static int object_gc(lua_State *L)
{
  (void)L;
  return 0;
}

/* An empty userdata with a metatable and a finalizer. */
static int floor_object(lua_State *L)
{
  lua_newuserdatauv(L, 0, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

/*
** A Lua state with all standard libraries, or with the basic one, package, and
** the others in package.preload.
*/
static lua_State *open_state(lua_State *L, int all)
{
  lua_State *other = luaL_newstate();
  if (!other)
    luaL_error(L, "not enough memory");
  if (all)
    luaL_openlibs(other);
  else {
    luaL_requiref(other, "_G", luaopen_base, 1);
    luaL_requiref(other, LUA_LOADLIBNAME, luaopen_package, 1);
    lua_getfield(other, -1, "preload");
    luaL_setfuncs(other, mts_libs_list, 0);
    if (mts_libs_open_coroutine) {
      lua_pushcfunction(other, mts_libs_open_coroutine);
      lua_setfield(other, -2, LUA_COLIBNAME);
    }
    lua_settop(other, 0);
  }
  return other;
}

/* open_and_close(libs [, code]): in between the code is run. */
static int floor_open_and_close(lua_State *L)
{
  size_t length;
  const char *code = luaL_optlstring(L, 2, NULL, &length);
  lua_State *other = open_state(L, lua_toboolean(L, 1));
  bool has_failed = code && (luaL_loadbuffer(other, code, length, code) ||
                             lua_pcall(other, 0, LUA_MULTRET, 0));
  lua_close(other);
  return has_failed ? luaL_error(L, "the code has failed") : 0;
}

/* open(libs): stays open until the process ends. */
static int floor_open(lua_State *L)
{
  open_state(L, lua_toboolean(L, 1));
  return 0;
}

/* Adds a function to the table on top that has its metatable as an upvalue. */
static void add_maker(lua_State *L, const char *name, lua_CFunction maker,
                      lua_CFunction gc, const luaL_Reg *methods)
{
  lua_newtable(L);
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  luaL_setfuncs(L, methods, 1);
  lua_pushcclosure(L, maker, 1);
  lua_setfield(L, -2, name);
}

int luaopen_floor(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"clock", floor_clock},
      {"pin", floor_pin},
      {"heap", floor_heap},
      {"resident", floor_resident},
      {"keep_memory", floor_keep_memory},
      {"copy_twice", floor_copy_twice},
      {"open_and_close", floor_open_and_close},
      {"open", floor_open},
      {NULL, NULL},
  };
  static const luaL_Reg callee_methods[] = {
      {"call", callee_call},
      {"serve", callee_serve},
      {NULL, NULL},
  };
  static const luaL_Reg object_methods[] = {{NULL, NULL}};
  luaL_newlib(L, functions);
  add_maker(L, "callee", floor_callee, callee_gc, callee_methods);
  add_maker(L, "object", floor_object, object_gc, object_methods);
  return 1;
}
