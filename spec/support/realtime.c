/*
** realtime: notifies state objects like a real-time thread, which must not
** wait, and tells what it called meanwhile. Needs callcount.so, preloaded.
**
**   c = notify(object, times)  from a native thread of its own, which has the
**                              priority of a real-time thread if it may; gives
**                              a table: how often it was told 0 (accepted) and
**                              1 (closed), calls for memory, locks, wakes and
**                              others, and switches: how often it slept
**   c = control()              the same of a thread that does one of each
*/
#define _GNU_SOURCE

#include "callcount.h"
#include "mtstates/notify_capi.h"
#include "support.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

SUPPORT_EXPORT int luaopen_realtime(lua_State *L);

typedef struct Work {
  const notify_capi *api;
  notify_notifier *notifier;
  long times;
  long codes[2];
  callcount_Calls calls;
  long switches;
} Work;

static long count_switches(void)
{
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

static void *run_notify(void *data)
{
  Work *work = data;
  struct sched_param most = {.sched_priority = 1};
  pthread_setschedparam(pthread_self(), SCHED_FIFO, &most);
  long before = count_switches();
  callcount_begin();
  for (long i = 0; i < work->times; i++) {
    int code = work->api->notify(work->notifier, NULL, NULL);
    work->codes[code != 0]++;
  }
  work->calls = callcount_end();
  work->switches = count_switches() - before;
  return NULL;
}

static void *run_control(void *data)
{
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  Work *work = data;
  struct timespec moment = {0, 1000000};
  int word = 0;
  long before = count_switches();
  callcount_begin();
  void *volatile block = malloc(1); /* not to be optimized away */
  free(block);
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  nanosleep(&moment, NULL);
  work->calls = callcount_end();
  work->switches = count_switches() - before;
  return NULL;
}

static void set_count(lua_State *L, const char *name, long count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static int run(lua_State *L, void *(*function)(void *), Work *work)
{
  pthread_t thread;
  if (callcount_begin == NULL) {
    return luaL_error(L, "callcount.so is not preloaded");
  }
  if (pthread_create(&thread, NULL, function, work) != 0) {
    abort();
  }
  pthread_join(thread, NULL);
  lua_newtable(L);
  set_count(L, "accepted", work->codes[0]);
  set_count(L, "closed", work->codes[1]);
  set_count(L, "memory", work->calls.memory);
  set_count(L, "locks", work->calls.locks);
  set_count(L, "wakes", work->calls.wakes);
  set_count(L, "others", work->calls.others);
  set_count(L, "switches", work->switches);
  return 1;
}

static int realtime_notify(lua_State *L)
{
  Work work = {.times = (long)luaL_checknumber(L, 2)};
  work.api = notify_get_capi(L, 1, NULL);
  luaL_argcheck(L, work.api != NULL, 1, "a state object");
  work.notifier = work.api->toNotifier(L, 1);
  return run(L, run_notify, &work);
}

static int realtime_control(lua_State *L)
{
  Work work = {.times = 0};
  return run(L, run_control, &work);
}

static const luaL_Reg functions[] = {
    {"notify", realtime_notify}, {"control", realtime_control}, {NULL, NULL}};

int luaopen_realtime(lua_State *L)
{
  support_pin(L, (void *)(size_t)luaopen_realtime);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
