/*
** host: what a program in C does with Lua states and threads, for programs
** that specs run in processes of their own.
**
**   n = open()            an independent Lua state with all libraries, not
**                         made by mtstates
**   run(n, code)          runs code in it: true, or false and the error
**   close(n)              lua_close
**   t = start(code [, stack])  a native thread with this much C stack that
**                         opens a Lua state, runs code in it and closes it
**   start_bare(code)      the same, but the Lua state is left open
**   join(t)               waits until the thread has done so
**   at_exit(code)         runs code in a Lua state of its own during exit()
**   is_loaded(name)       whether a shared object with this in its path is
**                         mapped into the process
**
** States and threads are numbered and never reused; the program that uses
** them has few.  Threads are detached, as nobody joins those that are left
** when the process ends.  The module pins itself: they outlive Lua states.
*/
#define _GNU_SOURCE

#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SUPPORT_EXPORT int luaopen_host(lua_State *L);

#define MOST 64

typedef struct Thread {
  lua_State *L; /* here it does not count as leaked */
  char *code;
  int is_bare;
  int is_done; /* guarded by lock */
} Thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER; /* used with lock */

/* For the thread that runs the program. */
static lua_State *states[MOST];
static Thread threads[MOST];
static int state_count, thread_count;
static char *exit_code;

static void check(int is_fine, const char *what)
{
  if (!is_fine) {
    fprintf(stderr, "host: %s failed\n", what);
    abort();
  }
}

static lua_State *open_state(void)
{
  lua_State *L = luaL_newstate();
  check(L != NULL, "luaL_newstate");
  luaL_openlibs(L);
  return L;
}

/* Runs code and tells on stderr what is wrong with it. */
static void run_code(lua_State *L, const char *code)
{
  if (luaL_dostring(L, code) != 0) {
    fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
  }
}

static lua_State *check_state(lua_State *L)
{
  int n = (int)luaL_checknumber(L, 1);
  luaL_argcheck(L, n >= 0 && n < state_count && states[n], 1, "no state");
  return states[n];
}

static int host_open(lua_State *L)
{
  luaL_argcheck(L, state_count < MOST, 1, "too many");
  states[state_count] = open_state();
  lua_pushnumber(L, state_count++);
  return 1;
}

static int host_run(lua_State *L)
{
  lua_State *other = check_state(L);
  const char *code = luaL_checkstring(L, 2);
  int is_fine = luaL_dostring(other, code) == 0;
  lua_pushboolean(L, is_fine);
  lua_pushstring(L, is_fine ? "" : lua_tostring(other, -1));
  lua_settop(other, 0);
  return 2;
}

static int host_close(lua_State *L)
{
  lua_close(check_state(L));
  states[(int)lua_tonumber(L, 1)] = NULL;
  return 0;
}

static void *run_thread(void *data)
{
  Thread *thread = data;
  thread->L = open_state();
  run_code(thread->L, thread->code);
  if (!thread->is_bare) {
    lua_close(thread->L);
  }
  pthread_mutex_lock(&lock);
  thread->is_done = 1;
  pthread_cond_broadcast(&done);
  pthread_mutex_unlock(&lock);
  return NULL;
}

static int start(lua_State *L, int is_bare)
{
  const char *code = luaL_checkstring(L, 1);
  size_t stack = (size_t)luaL_optnumber(L, 2, 0);
  Thread *thread = &threads[thread_count];
  pthread_attr_t attributes;
  pthread_t handle;
  luaL_argcheck(L, thread_count < MOST, 1, "too many");
  thread->code = strdup(code);
  thread->is_bare = is_bare;
  check(thread->code != NULL, "strdup");
  check(pthread_attr_init(&attributes) == 0, "pthread_attr_init");
  if (stack > 0) {
    check(pthread_attr_setstacksize(&attributes, stack) == 0, "stack size");
  }
  check(pthread_create(&handle, &attributes, run_thread, thread) == 0 &&
            pthread_detach(handle) == 0,
        "pthread_create");
  pthread_attr_destroy(&attributes);
  lua_pushnumber(L, thread_count++);
  return 1;
}

static int host_start(lua_State *L)
{
  return start(L, 0);
}

static int host_start_bare(lua_State *L)
{
  return start(L, 1);
}

static int host_join(lua_State *L)
{
  int n = (int)luaL_checknumber(L, 1);
  luaL_argcheck(L, n >= 0 && n < thread_count, 1, "no thread");
  pthread_mutex_lock(&lock);
  while (!threads[n].is_done) {
    pthread_cond_wait(&done, &lock);
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

static void run_at_exit(void)
{
  lua_State *L = open_state();
  run_code(L, exit_code);
  lua_close(L);
}

static int host_at_exit(lua_State *L)
{
  exit_code = strdup(luaL_checkstring(L, 1));
  check(exit_code != NULL && atexit(run_at_exit) == 0, "atexit");
  return 0;
}

static int host_is_loaded(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4096];
  int is_found = 0;
  check(maps != NULL, "/proc/self/maps");
  while (!is_found && fgets(line, sizeof line, maps) != NULL) {
    is_found = strstr(line, name) != NULL;
  }
  fclose(maps);
  lua_pushboolean(L, is_found);
  return 1;
}

static const luaL_Reg functions[] = {{"open", host_open},
                                     {"run", host_run},
                                     {"close", host_close},
                                     {"start", host_start},
                                     {"start_bare", host_start_bare},
                                     {"join", host_join},
                                     {"at_exit", host_at_exit},
                                     {"is_loaded", host_is_loaded},
                                     {NULL, NULL}};

int luaopen_host(lua_State *L)
{
  support_pin(L, &state_count);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
