/*
** bare.c - what a thread with a Lua state of its own needs at least
**
** The module `bare` of the benchmarks: floors in C for threads that the module
** starts, and for cancelling what runs.  A thread here makes a Lua state with
** all standard libraries, loads a function that has no upvalues, runs it, and
** closes the state; nothing crosses and nobody counts.
*/
#define _GNU_SOURCE /* pthread_attr_setaffinity_np */

#include "luaapi/compat.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int luaopen_bare(lua_State *L);

#define MAX_THREADS 1000

/* A thread that is not there would be waited for for ever. */
static void check(int error, const char *what)
{
  if (error == 0)
    return;
  fprintf(stderr, "%s: error %d\n", what, error);
  abort();
}

/* ======================================================================= */
/* Threads that run a function                                             */
/* ======================================================================= */

typedef struct Code {
  char bytes[4000];
  size_t length;
  pthread_barrier_t *barrier; /* where all meet before they run; or NULL */
} Code;

static int append_bytes(lua_State *L, const void *bytes, size_t length,
                        void *data)
{
  Code *code = data;
  (void)L;
  if (length > sizeof(code->bytes) - code->length)
    return 1;
  memcpy(code->bytes + code->length, bytes, length);
  code->length += length;
  return 0;
}

/* Of the function at index 1, which becomes the top. */
static void dump(lua_State *L, Code *code)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, 1);
  code->length = 0;
  code->barrier = NULL;
  if (lua_dump(L, append_bytes, code, 0) != 0)
    luaL_error(L, "the function is too long");
}

static void *run_code(void *data)
{
  const Code *code = data;
  lua_State *L = luaL_newstate();
  if (!L)
    return data;
  luaL_openlibs(L);
  if (luaL_loadbuffer(L, code->bytes, code->length, "code") == LUA_OK &&
      lua_pcall(L, 0, LUA_MULTRET, 0) == LUA_OK)
    data = NULL;
  if (code->barrier)
    pthread_barrier_wait(code->barrier);
  lua_close(L);
  return data;
}

static void *do_nothing(void *data)
{
  (void)data;
  return NULL;
}

/* Starts and joins as many threads; true if none has failed. */
static bool run_threads(int number, void *(*function)(void *), Code *code)
{
  pthread_t threads[MAX_THREADS];
  bool has_failed = false;
  int i;
  for (i = 0; i < number; i++)
    check(pthread_create(&threads[i], NULL, function, code), "a new thread");
  for (i = 0; i < number; i++) {
    void *failure;
    check(pthread_join(threads[i], &failure), "the end of a thread");
    has_failed |= failure != NULL;
  }
  return !has_failed;
}

/* thread(f): runs f in a new thread and waits for its end. */
static int bare_thread(lua_State *L)
{
  Code code;
  dump(L, &code);
  if (!run_threads(1, run_code, &code))
    return luaL_error(L, "the thread has failed");
  return 0;
}

/* crowd(f, number): as many threads, none of which ends before all run. */
static int bare_crowd(lua_State *L)
{
  Code code;
  pthread_barrier_t barrier;
  int number = (int)luaL_checkinteger(L, 2);
  bool is_ok;
  luaL_argcheck(L, number > 0 && number <= MAX_THREADS, 2, "too many");
  dump(L, &code);
  check(pthread_barrier_init(&barrier, NULL, (unsigned)number), "a barrier");
  code.barrier = &barrier;
  is_ok = run_threads(number, run_code, &code);
  pthread_barrier_destroy(&barrier);
  return is_ok ? 0 : luaL_error(L, "a thread has failed");
}

/* empty_thread(): a thread that does nothing, and its end. */
static int bare_empty_thread(lua_State *L)
{
  (void)L;
  run_threads(1, do_nothing, NULL);
  return 0;
}

/* ======================================================================= */
/* A loop that is stopped                                                  */
/* ======================================================================= */

typedef struct Loop {
  atomic_bool is_running;
  double raised; /* when the loop had ended */
} Loop;

static _Thread_local lua_State *running;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void raise_error(lua_State *L, lua_Debug *activation)
{
  (void)activation;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "stopped");
}

static void handle_signal(int number)
{
  (void)number;
  lua_sethook(running, raise_error, MTS_NEXT_OPERATION, 1);
}

static int begin_loop(lua_State *L)
{
  Loop *loop = lua_touserdata(L, lua_upvalueindex(1));
  atomic_store(&loop->is_running, true);
  return 0;
}

static void *run_loop(void *data)
{
  static const char code[] = "if jit then jit.off() end "
                             "begin() "
                             "while true do end";
  Loop *loop = data;
  lua_State *L = luaL_newstate();
  check(L ? 0 : -1, "a Lua state");
  luaL_openlibs(L);
  lua_pushlightuserdata(L, loop);
  lua_pushcclosure(L, begin_loop, 1);
  lua_setglobal(L, "begin");
  running = L;
  check(luaL_dostring(L, code) ? 0 : -1, "a loop that nobody has stopped");
  loop->raised = now();
  lua_close(L);
  return NULL;
}

/*
** stop_loop(core): seconds from a signal to a thread on that core, which runs
** a loop, until the error that the handler has a hook raise has ended it.
*/
static int bare_stop_loop(lua_State *L)
{
  struct sigaction action = {.sa_handler = handle_signal};
  struct timespec millisecond = {.tv_nsec = 1000000};
  Loop loop = {.raised = 0};
  pthread_attr_t attributes;
  pthread_t thread;
  cpu_set_t cores;
  double start;
  CPU_ZERO(&cores);
  CPU_SET((size_t)luaL_checkinteger(L, 1), &cores);
  sigaction(SIGUSR1, &action, NULL);
  pthread_attr_init(&attributes);
  pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores);
  check(pthread_create(&thread, &attributes, run_loop, &loop), "a new thread");
  pthread_attr_destroy(&attributes);
  while (!atomic_load(&loop.is_running))
    sched_yield();
  nanosleep(&millisecond, NULL);
  start = now();
  check(pthread_kill(thread, SIGUSR1), "a signal");
  check(pthread_join(thread, NULL), "the end of a thread");
  lua_pushnumber(L, loop.raised - start);
  return 1;
}

int luaopen_bare(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"thread", bare_thread},
      {"crowd", bare_crowd},
      {"empty_thread", bare_empty_thread},
      {"stop_loop", bare_stop_loop},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
