/*
** osthreads: threads of src/async_util.c and what src/base/process.c knows of
** the process, as Lua sees them; that code is linked into this module, too.
*/
#define _GNU_SOURCE /* pthread_getname_np */

#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "async_util.h"
#include "base/event.h"
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

/* A thread that computes until it is told to sleep, then until it is woken. */
typedef struct Worker {
  atomic_int may_sleep;
  atomic_int sleeps;
  mts_Event end;
} Worker;

static void *work_then_sleep(void *data)
{
  Worker *worker = data;
  while (!atomic_load(&worker->may_sleep)) {
  }
  atomic_store(&worker->sleeps, 1);
  (void)mts_event_wait(&worker->end, MTS_FOREVER);
  return NULL;
}

/*
** osthreads.thread_seconds(): how much more processor time a thread has used
** after it was seen computing, and after it was seen sleeping.
*/
static int thread_seconds(lua_State *L)
{
  Worker worker = {.may_sleep = 0};
  mts_ThreadHandle thread;
  double first, second, third;
  mts_event_init(&worker.end);
  if (!mts_async_start_thread(work_then_sleep, &worker, STACK, &thread))
    return luaL_error(L, "no thread");
  do
    first = mts_process_thread_seconds(thread);
  while (first >= 0 && first < 0.001);
  atomic_store(&worker.may_sleep, 1);
  do {
    second = mts_process_thread_seconds(thread);
    mts_clock_pause();
    third = mts_process_thread_seconds(thread);
  } while (!atomic_load(&worker.sleeps) || third > second);
  if (mts_event_set(&worker.end))
    mts_event_wake(&worker.end);
  mts_async_join_thread(thread);
  mts_event_destroy(&worker.end);
  lua_pushnumber(L, second - first);
  lua_pushnumber(L, third - second);
  return 2;
}

typedef struct Named {
  atomic_long id;
  atomic_int may_sleep;
  mts_Event end;
} Named;

static void *compute_with_name(void *data)
{
  Named *named = data;
  mts_async_name_thread("a) S (b");
  atomic_store(&named->id, mts_process_kernel_id());
  while (!atomic_load(&named->may_sleep)) {
  }
  (void)mts_event_wait(&named->end, MTS_FOREVER);
  return NULL;
}

/*
** osthreads.ready(n): whether a thread, which has brackets in its name, was
** ready each of n times while it computed, and, in the end, when it slept.
*/
static int ready(lua_State *L)
{
  Named named = {.may_sleep = 0};
  mts_ThreadHandle thread;
  lua_Integer rest = luaL_checkinteger(L, 1);
  int is_ready = 1;
  long id;
  mts_event_init(&named.end);
  if (!mts_async_start_thread(compute_with_name, &named, STACK, &thread))
    return luaL_error(L, "no thread");
  do
    id = atomic_load(&named.id);
  while (id == 0);
  for (; rest > 0 && is_ready; rest--)
    is_ready = mts_process_thread_is_ready(id);
  lua_pushboolean(L, is_ready);
  atomic_store(&named.may_sleep, 1);
  while (support_thread_status(id) != 'S') {
  }
  lua_pushboolean(L, mts_process_thread_is_ready(id));
  if (mts_event_set(&named.end))
    mts_event_wake(&named.end);
  mts_async_join_thread(thread);
  mts_event_destroy(&named.end);
  return 2;
}

/* A thread that waits, in one of several ways, for `is_ended`. */
typedef struct Sleeper {
  const char *way;
  atomic_long id;
  mts_ThreadHandle other;
  mts_Mutex mutex;
  mts_Cond ended;
  bool is_ended;
  mts_Event end;
} Sleeper;

static void *wait_for_end(void *data)
{
  Sleeper *sleeper = data;
  (void)mts_event_wait(&sleeper->end, MTS_FOREVER);
  return NULL;
}

static void *sleep_in_way(void *data)
{
  Sleeper *sleeper = data;
  atomic_store(&sleeper->id, mts_process_kernel_id());
  if (strcmp(sleeper->way, "join") == 0) {
    mts_async_join_thread(sleeper->other);
    return sleeper;
  }
  mts_mutex_lock(&sleeper->mutex);
  while (!sleeper->is_ended)
    if (strcmp(sleeper->way, "wait") == 0)
      mts_cond_wait(&sleeper->ended, &sleeper->mutex);
    else
      (void)mts_cond_wait_until(&sleeper->ended, &sleeper->mutex,
                                mts_clock_deadline(1000));
  mts_mutex_unlock(&sleeper->mutex);
  return sleeper;
}

/*
** osthreads.cancel("wait" | "until" | "join"): cancels a thread that waits for
** a condition, also with a deadline, or for another thread, which both end
** later; whether it has seen that.
*/
static int cancel(lua_State *L)
{
  Sleeper sleeper = {.way = luaL_checkstring(L, 1)};
  mts_ThreadHandle thread;
  void *result = NULL;
  long id;
  mts_mutex_init(&sleeper.mutex);
  mts_cond_init(&sleeper.ended);
  mts_event_init(&sleeper.end);
  if (!mts_async_start_thread(wait_for_end, &sleeper, STACK, &sleeper.other) ||
      !mts_async_start_thread(sleep_in_way, &sleeper, STACK, &thread))
    return luaL_error(L, "no thread");
  do
    id = atomic_load(&sleeper.id);
  while (id == 0 || support_thread_status(id) != 'S');
  pthread_cancel(thread);
  mts_mutex_lock(&sleeper.mutex);
  sleeper.is_ended = true;
  mts_cond_signal(&sleeper.ended);
  mts_mutex_unlock(&sleeper.mutex);
  if (mts_event_set(&sleeper.end))
    mts_event_wake(&sleeper.end);
  pthread_join(thread, &result);
  if (strcmp(sleeper.way, "join") != 0)
    mts_async_join_thread(sleeper.other);
  lua_pushboolean(L, result == &sleeper);
  return 1;
}

/* osthreads.wakeups(seconds): how often a wait of that length wakes up. */
static int wakeups(lua_State *L)
{
  mts_Mutex mutex;
  mts_Cond cond;
  double deadline = mts_clock_deadline(luaL_checknumber(L, 1));
  long count = 0;
  mts_mutex_init(&mutex);
  mts_cond_init(&cond);
  mts_mutex_lock(&mutex);
  while (mts_cond_wait_until(&cond, &mutex, deadline))
    count++;
  mts_mutex_unlock(&mutex);
  mts_cond_destroy(&cond);
  mts_mutex_destroy(&mutex);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

static void say_exit(void)
{
  puts("exit");
  fflush(stdout);
}

/* osthreads.on_exit(): prints "exit" then. */
static int on_exit_say(lua_State *L)
{
  (void)L;
  mts_process_on_exit(say_exit);
  return 0;
}

/*
** osthreads.pin(path, name, is_pinned): opens a shared object, pins it by this
** function if is_pinned, and closes it: whether it is in memory after that.
*/
static int pin(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *function = object ? dlsym(object, luaL_checkstring(L, 2)) : NULL;
  if (!function)
    return luaL_error(L, "%s", dlerror());
  if (lua_toboolean(L, 3))
    mts_process_pin((void (*)(void))(uintptr_t)function);
  dlclose(object);
  lua_pushboolean(L, dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL);
  return 1;
}

static const luaL_Reg functions[] = {{"join", join},
                                     {"detach", detach},
                                     {"runs", runs},
                                     {"processors", processors},
                                     {"thread_seconds", thread_seconds},
                                     {"ready", ready},
                                     {"cancel", cancel},
                                     {"wakeups", wakeups},
                                     {"on_exit", on_exit_say},
                                     {"pin", pin},
                                     {NULL, NULL}};

int luaopen_osthreads(lua_State *L)
{
  support_pin(L, &detached_runs); /* threads can be inside */
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
