/*
** threads.c - native threads, each on a core of its own choice
**
** The module `threads` of the benchmarks.  `threads.run` starts threads that
** have a Lua state each and call a Lua function again and again.  They wait
** for one another at the start; after some seconds what they have done is
** read, all at the same moment, and they are stopped.  The other functions are
** for threads that somebody else has started.
**
** A thread has to stay on one core: a virtual machine's kernel may well leave
** two busy threads on one and the same for seconds while another core is idle.
*/
#define _GNU_SOURCE /* pthread_attr_setaffinity_np, sched_getcpu */

#include "luaapi/compat.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

int luaopen_threads(lua_State *L);

#define MAX_WORKERS 64

typedef struct Run {
  const char *code;
  pthread_barrier_t start;
  atomic_bool is_over;
} Run;

typedef struct Worker {
  _Alignas(128) atomic_long count; /* in a cache line of its own */
  Run *run;
  int core;
  lua_Number arg;
  double longest;
  char error[200]; /* "": none */
} Worker;

static double seconds_of(clockid_t clock)
{
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ======================================================================= */
/* A thread                                                                */
/* ======================================================================= */

static void check_core(Worker *worker)
{
  int core = sched_getcpu();
  if (core != worker->core)
    snprintf(worker->error, sizeof(worker->error),
             "a thread for core %d runs on core %d", worker->core, core);
}

/* Calls the function at index 1 with arguments, all checked. */
static bool call(lua_State *L, Worker *worker, int args, int results)
{
  if (lua_pcall(L, args, results, 0) == LUA_OK)
    return true;
  snprintf(worker->error, sizeof(worker->error), "%s", lua_tostring(L, -1));
  return false;
}

static bool prepare(lua_State *L, Worker *worker)
{
  luaL_openlibs(L);
  if (luaL_loadstring(L, worker->run->code) != LUA_OK) {
    snprintf(worker->error, sizeof(worker->error), "%s", lua_tostring(L, -1));
    return false;
  }
  lua_pushnumber(L, worker->arg);
  return call(L, worker, 1, 1);
}

static void work(lua_State *L, Worker *worker)
{
  long count = 0;
  while (!atomic_load_explicit(&worker->run->is_over, memory_order_relaxed)) {
    lua_pushvalue(L, 1);
    if (!call(L, worker, 0, 2))
      return;
    count += (long)lua_tonumber(L, -2);
    atomic_store_explicit(&worker->count, count, memory_order_relaxed);
    if (lua_tonumber(L, -1) > worker->longest)
      worker->longest = lua_tonumber(L, -1);
    lua_pop(L, 2);
  }
}

static void *thread_main(void *data)
{
  Worker *worker = data;
  lua_State *L = luaL_newstate();
  bool is_ready = L && prepare(L, worker);
  check_core(worker);
  pthread_barrier_wait(&worker->run->start);
  if (is_ready)
    work(L, worker);
  check_core(worker);
  if (L)
    lua_close(L);
  return NULL;
}

/* ======================================================================= */
/* Lua functions                                                           */
/* ======================================================================= */

/* A thread that is not there would leave the others waiting for ever. */
static void start(pthread_t *thread, Worker *worker)
{
  pthread_attr_t attributes;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(worker->core, &cores);
  if (pthread_attr_init(&attributes) != 0 ||
      pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores) != 0 ||
      pthread_create(thread, &attributes, thread_main, worker) != 0) {
    perror("cannot start a thread");
    abort();
  }
  pthread_attr_destroy(&attributes);
}

static void sleep_for(double seconds)
{
  struct timespec t = {.tv_sec = (time_t)seconds};
  t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
  nanosleep(&t, NULL);
}

/* Runs all; counts gets what each had done when the time was up. */
static void run_all(Run *run, Worker *workers, int number, double *seconds,
                    double *cpu_seconds, long *counts)
{
  pthread_t threads[MAX_WORKERS];
  double start_time, start_cpu;
  int i;
  pthread_barrier_init(&run->start, NULL, (unsigned)number + 1);
  for (i = 0; i < number; i++)
    start(&threads[i], &workers[i]);
  pthread_barrier_wait(&run->start);
  start_time = seconds_of(CLOCK_MONOTONIC);
  start_cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  sleep_for(*seconds);
  for (i = 0; i < number; i++)
    counts[i] = atomic_load(&workers[i].count);
  *seconds = seconds_of(CLOCK_MONOTONIC) - start_time;
  *cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
  atomic_store(&run->is_over, true);
  for (i = 0; i < number; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&run->start);
}

static lua_Number check_field(lua_State *L, int index, const char *field)
{
  lua_Number value;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_getfield(L, index, field);
  value = luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return value;
}

static void push_field(lua_State *L, const char *field, double value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, field);
}

/*
** run(seconds, jobs, code): each job is a table with a core and an arg.  The
** thread calls the chunk with that arg; the function which that returns tells,
** each time it is called, how much it has done, and perhaps how long it had to
** wait.  Returns a table of what all have done per second: [i] for each job,
** their sum, the longest wait in seconds, and how many cores were busy.
*/
static int threads_run(lua_State *L)
{
  double wanted = luaL_checknumber(L, 1), seconds = wanted, cpu_seconds;
  const char *code = luaL_checkstring(L, 3);
  long counts[MAX_WORKERS];
  Worker workers[MAX_WORKERS];
  Run run = {.code = code};
  double longest = 0, sum = 0;
  int number = 0, i;
  for (;; number++) {
    lua_rawgeti(L, 2, number + 1);
    if (lua_isnil(L, -1))
      break;
    luaL_argcheck(L, number < MAX_WORKERS, 2, "too many");
    workers[number] = (Worker){.run = &run};
    workers[number].core = (int)check_field(L, 4, "core");
    workers[number].arg = check_field(L, 4, "arg");
    lua_settop(L, 3);
  }
  run_all(&run, workers, number, &seconds, &cpu_seconds, counts);
  lua_newtable(L);
  for (i = 0; i < number; i++) {
    if (*workers[i].error != '\0')
      return luaL_error(L, "%s", workers[i].error);
    lua_pushnumber(L, (double)counts[i] / seconds);
    lua_rawseti(L, -2, i + 1);
    sum += (double)counts[i] / seconds;
    if (workers[i].longest > longest)
      longest = workers[i].longest;
  }
  push_field(L, "sum", sum);
  push_field(L, "longest", longest);
  push_field(L, "cores", cpu_seconds / seconds);
  return 1;
}

/* cores(): the numbers of those that this process may use. */
static int threads_cores(lua_State *L)
{
  cpu_set_t cores;
  int core, count = 0;
  lua_newtable(L);
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0)
    return 1;
  for (core = 0; core < CPU_SETSIZE; core++) {
    if (CPU_ISSET(core, &cores)) {
      lua_pushinteger(L, core);
      lua_rawseti(L, -2, ++count);
    }
  }
  return 1;
}

/* clock(): seconds that have passed, also those that a thread has slept. */
static int threads_clock(lua_State *L)
{
  lua_pushnumber(L, seconds_of(CLOCK_MONOTONIC));
  return 1;
}

/* sleep(seconds): the thread does, and lets nobody know. */
static int threads_sleep(lua_State *L)
{
  sleep_for(luaL_checknumber(L, 1));
  return 0;
}

/*
** sleep_until(time): of the clock, with no more slack than workers have.  When
** it is over it returns at once.
*/
static int threads_sleep_until(lua_State *L)
{
  double time = luaL_checknumber(L, 1);
  struct timespec t = {.tv_sec = (time_t)time};
  t.tv_nsec = (long)((time - (double)t.tv_sec) * 1e9);
  prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0); /* nanoseconds */
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
  return 0;
}

/* meet(number): returns in as many threads at once. */
static int threads_meet(lua_State *L)
{
  static atomic_int arrived;
  int number = (int)luaL_checkinteger(L, 1);
  int mine = atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < (mine / number + 1) * number)
    sched_yield();
  return 0;
}

static bool has_name(const char *thread, const char *start)
{
  char name[300];
  FILE *file;
  bool is_same;
  snprintf(name, sizeof(name), "/proc/self/task/%s/comm", thread);
  file = fopen(name, "r");
  if (!file) /* it has just ended */
    return false;
  is_same = fgets(name, sizeof(name), file) &&
            strncmp(name, start, strlen(start)) == 0;
  fclose(file);
  return is_same;
}

/* count(start): how many threads there are whose names start so. */
static int threads_count(lua_State *L)
{
  const char *start = luaL_checkstring(L, 1);
  DIR *threads = opendir("/proc/self/task");
  struct dirent *thread;
  int count = 0;
  if (!threads)
    return luaL_error(L, "this system does not list threads");
  while ((thread = readdir(threads)) != NULL) { /* NOLINT(*-mt-unsafe) */
    if (thread->d_name[0] != '.' && has_name(thread->d_name, start))
      count++;
  }
  closedir(threads);
  lua_pushinteger(L, count);
  return 1;
}

/* The thread takes no signals from now on. */
static int threads_block_signals(lua_State *L)
{
  sigset_t all;
  (void)L;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  return 0;
}

int luaopen_threads(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"run", threads_run},
      {"cores", threads_cores},
      {"clock", threads_clock},
      {"sleep", threads_sleep},
      {"sleep_until", threads_sleep_until},
      {"meet", threads_meet},
      {"count", threads_count},
      {"block_signals", threads_block_signals},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
