/*
** osthreads: threads of src/async_util.c and processors of src/base/process.c
** as Lua sees them; that code is linked into this module, too.
*/
#define _GNU_SOURCE /* pthread_getname_np */

#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "async_util.h"
#include "base/process.h"

SUPPORT_EXPORT int luaopen_osthreads(lua_State *L);

#define STACK ((size_t)16 * 1024 * 1024) /* not the default */

typedef struct Report {
  char name[16];
  int blocks_signals;
  size_t stack_size;
} Report;

static void *fill_report(void *data)
{
  Report *report = data;
  sigset_t blocked;
  uintptr_t end;
  mts_async_name_thread("spec/thread");
  pthread_getname_np(pthread_self(), report->name, sizeof(report->name));
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  report->blocks_signals = sigismember(&blocked, SIGINT) == 1;
  (void)mts_async_find_stack(&end, &report->stack_size);
  return NULL;
}

/*
** osthreads.join(): starts a thread and waits for it; its name, whether it
** blocked SIGINT, its C stack in units of what was asked for, and whether this
** thread blocks SIGINT now.
*/
static int join(lua_State *L)
{
  Report report = {.name = ""};
  mts_ThreadHandle handle;
  sigset_t blocked;
  if (!mts_async_start_thread(fill_report, &report, STACK, &handle))
    return luaL_error(L, "no thread");
  mts_async_join_thread(handle);
  lua_pushstring(L, report.name);
  lua_pushboolean(L, report.blocks_signals);
  lua_pushinteger(L, (lua_Integer)(report.stack_size / STACK));
  pthread_sigmask(SIG_BLOCK, NULL, &blocked);
  lua_pushboolean(L, sigismember(&blocked, SIGINT) == 1);
  return 4;
}

static atomic_int detached_runs;

static void *count_run(void *data)
{
  (void)data;
  atomic_fetch_add(&detached_runs, 1);
  return NULL;
}

/* osthreads.detach(): starts a thread that nobody joins; whether it could. */
static int detach(lua_State *L)
{
  lua_pushboolean(L, mts_async_start_thread(count_run, NULL, STACK, NULL));
  return 1;
}

/* osthreads.runs(): how many of those have run. */
static int runs(lua_State *L)
{
  lua_pushinteger(L, atomic_load(&detached_runs));
  return 1;
}

/* osthreads.processors() */
static int processors(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)mts_process_count_processors());
  return 1;
}

static const luaL_Reg functions[] = {{"join", join},
                                     {"detach", detach},
                                     {"runs", runs},
                                     {"processors", processors},
                                     {NULL, NULL}};

int luaopen_osthreads(lua_State *L)
{
  support_pin(L, &detached_runs); /* threads can be inside */
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
