/*
** sweephost: what spec/sweep needs in C.
**
** For the driver: a Lua state of its own for the scenario, run step by step
** with an allocator that fails (see failmalloc.c), and processes to do it in.
**
** For the scenario: one native thread at a time that notifies a state object
** or sends to it. When it is armed, the thread that has started it is not
** until it has joined: so allocations are numbered in one order always. The
** callbacks that such a thread runs can tell that they are entered, and hold
** their state until the other thread sleeps.
**
** Threads that the module has started are armed, too, for some steps. What
** they do has come to its end when they all sleep.
*/
#define _GNU_SOURCE

#include "mtstates/notify_capi.h"
#include "mtstates/receiver_capi.h"
#include "failmalloc.h"
#include "support.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

SUPPORT_EXPORT int luaopen_sweephost(lua_State *L);

#define SCENARIO "spec.scenario"
#define NO_MEMORY 6 /* of the Receiver C API */

/* -------------------------------------------------------- the gate -- */

/* Where a request can be held; guarded by its mutex. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int is_open, has_visitor;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 1, 0};

static void set_gate(int is_open)
{
  pthread_mutex_lock(&gate.lock);
  gate.is_open = is_open;
  gate.has_visitor = 0;
  pthread_cond_broadcast(&gate.changed);
  pthread_mutex_unlock(&gate.lock);
}

/* sweephost.shut(), sweephost.open(): the end of a step opens it, too. */
static int shut_gate(lua_State *L)
{
  (void)L;
  set_gate(0);
  return 0;
}

static int open_gate(lua_State *L)
{
  (void)L;
  set_gate(1);
  return 0;
}

/* sweephost.pass(): waits until the gate is open. */
static int pass(lua_State *L)
{
  (void)L;
  pthread_mutex_lock(&gate.lock);
  gate.has_visitor = 1;
  while (!gate.is_open) {
    pthread_cond_wait(&gate.changed, &gate.lock);
  }
  pthread_mutex_unlock(&gate.lock);
  return 0;
}

/* sweephost.has_visitor(): waits a moment, then whether one is there. */
static int has_visitor(lua_State *L)
{
  const struct timespec pause = {0, 200000};
  nanosleep(&pause, NULL);
  pthread_mutex_lock(&gate.lock);
  lua_pushboolean(L, gate.has_visitor);
  pthread_mutex_unlock(&gate.lock);
  return 1;
}

/* ---------------------------------------------------------- stderr -- */

static int captured = -1, real_stderr = -1;

/* sweephost.capture(): what is written to stderr from now on is kept. */
static int capture(lua_State *L)
{
  if (captured < 0) {
    captured = memfd_create("stderr", MFD_CLOEXEC);
    real_stderr = dup(STDERR_FILENO);
    if (captured < 0 || real_stderr < 0 || dup2(captured, STDERR_FILENO) < 0) {
      return luaL_error(L, "cannot capture stderr");
    }
  }
  return 0;
}

static void end_capture(void)
{
  if (captured >= 0) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(captured);
    captured = real_stderr = -1;
  }
}

/* sweephost.captured(): that text; from now on it is written again. */
static int push_captured(lua_State *L)
{
  char text[20000];
  ssize_t length = captured >= 0 ? pread(captured, text, sizeof(text), 0) : 0;
  end_capture();
  lua_pushlstring(L, text, length > 0 ? (size_t)length : 0);
  return 1;
}

/* ---------------------------------------------------- the scenario -- */

static lua_State **check_scenario(lua_State *L)
{
  lua_State **scenario = luaL_checkudata(L, 1, SCENARIO);
  luaL_argcheck(L, *scenario != NULL, 1, "closed");
  return scenario;
}

/* Pushes what the top of the scenario's stack says onto L. */
static void push_text(lua_State *L, lua_State *scenario)
{
  if (lua_type(scenario, -1) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(scenario, -1, &length);
    lua_pushlstring(L, text, length);
  }
  else {
    lua_pushfstring(L, "(a %s)", luaL_typename(scenario, -1));
  }
}

/*
** sweephost.load(path): runs the file in a new Lua state with all libraries;
** what it returns stays at the base of its stack.
*/
static int load_scenario(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  lua_State **slot = support_newuserdata(L, sizeof(*slot));
  luaL_getmetatable(L, SCENARIO);
  lua_setmetatable(L, -2);
  failmalloc_role(FAILMALLOC_WATCHED);
  lua_State *scenario = luaL_newstate();
  luaL_openlibs(scenario);
  int result = luaL_loadfile(scenario, path);
  if (result == 0) {
    result = lua_pcall(scenario, 0, 1, 0);
  }
  failmalloc_role(FAILMALLOC_OTHERS);
  *slot = scenario;
  if (result != 0) {
    push_text(L, scenario);
    return lua_error(L);
  }
  return 1;
}

/* Calls the function with this name that the scenario has returned. */
static int call_function(lua_State *scenario, const char *name, int step,
                         int count)
{
  lua_getfield(scenario, 1, name);
  lua_insert(scenario, -count - 1);
  lua_pushinteger(scenario, step);
  lua_insert(scenario, -count - 1);
  return lua_pcall(scenario, count + 1, LUA_MULTRET, 0);
}

/* Whether all other threads of the process sleep. */
static int has_only_sleepers(void)
{
  DIR *tasks = opendir("/proc/self/task");
  const struct dirent *entry;
  const long own = syscall(SYS_gettid);
  int result = 1;
  if (!tasks)
    return 0;
  while (result && (entry = readdir(tasks)) != NULL) {
    const long tid = atol(entry->d_name);
    result = tid == 0 || tid == own || support_thread_status(tid) == 'S';
  }
  closedir(tasks);
  return result;
}

/* Seen several times in a row. */
static void wait_for_sleepers(void)
{
  const struct timespec pause = {0, 500000};
  int seen = 0;
  while (seen < 4) {
    nanosleep(&pause, NULL);
    seen = has_only_sleepers() ? seen + 1 : 0;
  }
}

/*
** scenario:run(step, everywhere [, kind, first, count]): runs the step, armed
** if there is a plan ("all" or "threads"), everywhere: and so are the threads
** that the module has started; then without failures the check of its results.
** True, or false and the error, then how many allocations have failed.
*/
static int run_step(lua_State *L)
{
  static const char *const kinds[] = {"all", "threads", NULL};
  lua_State *scenario = *check_scenario(L);
  int step = (int)luaL_checknumber(L, 2);
  int is_everywhere = lua_toboolean(L, 3);
  int kind = luaL_checkoption(L, 4, "all", kinds);
  long first = (long)luaL_optnumber(L, 5, 0);
  long count = (long)luaL_optnumber(L, 6, 0);
  const failmalloc_Role armed =
      first > 0 ? FAILMALLOC_ARMED : FAILMALLOC_WATCHED;
  failmalloc_role(FAILMALLOC_WATCHED);
  lua_settop(scenario, 1);
  lua_gc(scenario, LUA_GCCOLLECT, 0);
  lua_getfield(scenario, 1, "run");
  lua_pushinteger(scenario, step);
  failmalloc_plan((failmalloc_Kind)kind, first, count);
  failmalloc_role(armed);
  if (is_everywhere) {
    failmalloc_strangers(armed);
  }
  int result = lua_pcall(scenario, 1, LUA_MULTRET, 0);
  failmalloc_role(FAILMALLOC_WATCHED);
  set_gate(1);
  if (is_everywhere) {
    wait_for_sleepers();
    failmalloc_strangers(FAILMALLOC_WATCHED);
  }
  if (result == 0) {
    luaL_checkstack(scenario, LUA_MINSTACK, "results");
    result = call_function(scenario, "check", step, lua_gettop(scenario) - 1);
  }
  failmalloc_role(FAILMALLOC_OTHERS);
  lua_pushboolean(L, result == 0);
  if (result == 0) {
    lua_pushnil(L);
  }
  else {
    push_text(L, scenario);
  }
  lua_pushinteger(L, failmalloc_failed());
  return 3;
}

/* scenario:call(name): calls another of its functions: a string or nil. */
static int call_scenario(lua_State *L)
{
  lua_State *scenario = *check_scenario(L);
  const char *name = luaL_checkstring(L, 2);
  failmalloc_role(FAILMALLOC_WATCHED);
  lua_settop(scenario, 1);
  lua_gc(scenario, LUA_GCCOLLECT, 0);
  lua_gc(scenario, LUA_GCCOLLECT, 0);
  int result = call_function(scenario, name, 0, 0);
  failmalloc_role(FAILMALLOC_OTHERS);
  if (lua_gettop(scenario) == 1) {
    lua_pushnil(L);
    return 1;
  }
  push_text(L, scenario);
  return result == 0 ? 1 : lua_error(L);
}

/*
** scenario:close([expected]): how many blocks are left. The module's own
** thread can still have a state that was interrupted, for a moment. So it has
** up to a second to get down to what is expected; without that, until nothing
** has changed for a tenth of a second.
*/
static int close_scenario(lua_State *L)
{
  const struct timespec pause = {0, 5000000};
  lua_State **scenario = check_scenario(L);
  const long expected = (long)luaL_optnumber(L, 2, -1);
  long left;
  int seen = 0; /* how often it was the same in a row */
  int tries = 0;
  failmalloc_role(FAILMALLOC_WATCHED);
  lua_close(*scenario);
  failmalloc_role(FAILMALLOC_OTHERS);
  *scenario = NULL;
  left = failmalloc_alive();
  while (left > expected && tries++ < 200 && (expected >= 0 || seen < 20)) {
    const long before = left;
    nanosleep(&pause, NULL);
    left = failmalloc_alive();
    seen = left == before ? seen + 1 : 0;
  }
  lua_pushinteger(L, left);
  return 1;
}

/* sweephost.list(): writes to stderr which blocks these are. */
static int list_blocks(lua_State *L)
{
  (void)L;
  failmalloc_list();
  return 0;
}

/* ------------------------------------------------------- processes -- */

/* sweephost.complain(text): writes to stderr, the real one. */
static int complain(lua_State *L)
{
  end_capture();
  fprintf(stderr, "%s\n", luaL_checkstring(L, 1));
  return 0;
}

/* sweephost.fork(seconds): 0 in the child, which has that much time. */
static int fork_process(lua_State *L)
{
  unsigned seconds = (unsigned)luaL_checknumber(L, 1);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) {
    return luaL_error(L, "cannot fork");
  }
  if (pid == 0) {
    alarm(seconds);
  }
  lua_pushinteger(L, pid);
  return 1;
}

/*
** sweephost.wait(): a child that has ended; its exit code, or the signal that
** ended it as a negative number.
*/
static int wait_process(lua_State *L)
{
  int status;
  pid_t pid = wait(&status);
  if (pid < 0) {
    return luaL_error(L, "no child to wait for");
  }
  lua_pushinteger(L, pid);
  lua_pushinteger(L,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 2;
}

/* sweephost.exit(code): at once, with all states open. */
static int exit_process(lua_State *L)
{
  int code = (int)luaL_checknumber(L, 1);
  fflush(NULL);
  _exit(code);
}

/* ----------------------------------------------------- native thread -- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

typedef struct Job {
  int is_running;
  void (*function)(void);
  const notify_capi *notify;
  notify_notifier *notifier;
  const receiver_capi *receive;
  receiver_object *receiver;
  failmalloc_Role role, starter_role;
  pthread_t thread;
  long number;  /* the kernel's, of that thread */
  long starter; /* and of the one that has started it */
  int code;
  int code_again; /* of what failed, without failures */
  int calls;      /* of the error handler */
  size_t length;
  char text[8000];
} Job;

static Job job;

/* Guarded by lock. */
static int has_entered, has_ended, starter_waits;

static void keep_text(void *ehdata, const char *msg, size_t msglen)
{
  (void)ehdata;
  job.calls++;
  job.length = msglen < sizeof(job.text) ? msglen : sizeof(job.text);
  memcpy(job.text, msg, job.length);
}

static void notify(void)
{
  job.code = job.notify->notify(job.notifier, keep_text, NULL);
}

static int add_value(receiver_writer *writer, int i)
{
  static const double numbers[] = {1, 2.5, 3};
  const receiver_capi *api = job.receive;
  char text[300];
  void *elements;
  switch (i) {
  case 0:
    return api->addBooleanToWriter(writer, 1);
  case 1:
    return api->addIntegerToWriter(writer, 42);
  case 2:
    return api->addNumberToWriter(writer, 0.5);
  case 3:
    memset(text, 's', sizeof(text));
    return api->addStringToWriter(writer, text, sizeof(text));
  case 4:
    return api->addBytesToWriter(writer, (const unsigned char *)"\1\377", 2);
  default:
    elements = api->addArrayToWriter(writer, RECEIVER_DOUBLE, 3);
    if (elements != NULL) {
      memcpy(elements, numbers, sizeof(numbers));
    }
    return elements == NULL;
  }
}

/* What fails is done once more without failures, with the same writer. */
static void send_values(void)
{
  const receiver_capi *api = job.receive;
  receiver_writer *writer = api->newWriter(8, 2);
  int has_failed = writer == NULL;
  if (has_failed) {
    failmalloc_role(FAILMALLOC_WATCHED);
    writer = api->newWriter(8, 2);
  }
  for (int i = 0; i < 6; i++) {
    if (add_value(writer, i) != 0) {
      has_failed = 1;
      failmalloc_role(FAILMALLOC_WATCHED);
      job.code_again |= add_value(writer, i);
    }
  }
  job.code = api->msgToReceiver(job.receiver, writer, 0, 0, keep_text, NULL);
  if (job.code != 0) {
    failmalloc_role(FAILMALLOC_WATCHED);
    job.code_again |=
        api->msgToReceiver(job.receiver, writer, 0, 0, NULL, NULL);
  }
  else if (has_failed) {
    job.code = NO_MEMORY;
  }
  api->freeWriter(writer);
}

/* Does not wait: code 3 if the state is not free. */
static void probe(void)
{
  receiver_writer *writer = job.receive->newWriter(64, 0);
  job.code =
      job.receive->msgToReceiver(job.receiver, writer, 0, 1, keep_text, NULL);
  job.receive->freeWriter(writer);
}

static void *run_job(void *arg)
{
  (void)arg;
  job.number = syscall(SYS_gettid);
  failmalloc_role(job.role);
  job.function();
  failmalloc_role(FAILMALLOC_OTHERS);
  pthread_mutex_lock(&lock);
  has_ended = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return NULL;
}

/*
** sweephost.start(object, "notify" | "send" | "probe", armed [, stack size]):
** armed: instead of the calling thread, if that is.
*/
static int start_job(lua_State *L)
{
  static const char *const names[] = {"notify", "send", "probe", NULL};
  static void (*const all[])(void) = {notify, send_values, probe};
  int function = luaL_checkoption(L, 2, NULL, names);
  size_t stack_size = (size_t)luaL_optnumber(L, 4, 1000000);
  pthread_attr_t attributes;
  luaL_argcheck(L, !job.is_running, 2, "another thread is still running");
  memset(&job, 0, sizeof(job));
  job.function = all[function];
  job.notify = notify_get_capi(L, 1, NULL);
  job.receive = receiver_get_capi(L, 1, NULL);
  luaL_argcheck(L, job.notify != NULL && job.receive != NULL, 1, "no API");
  job.notifier = job.notify->toNotifier(L, 1);
  job.receiver = job.receive->toReceiver(L, 1);
  job.notify->retainNotifier(job.notifier);
  job.starter = syscall(SYS_gettid);
  has_entered = has_ended = starter_waits = 0;
  job.starter_role = failmalloc_role(FAILMALLOC_OTHERS);
  job.role = FAILMALLOC_WATCHED;
  if (lua_toboolean(L, 3)) {
    job.role = job.starter_role;
  }
  if (pthread_attr_init(&attributes) != 0 ||
      pthread_attr_setstacksize(&attributes, stack_size) != 0 ||
      pthread_create(&job.thread, &attributes, run_job, NULL) != 0) {
    abort();
  }
  pthread_attr_destroy(&attributes);
  job.is_running = 1;
  failmalloc_role(job.role == FAILMALLOC_ARMED ? FAILMALLOC_WATCHED
                                               : job.starter_role);
  return 0;
}

/*
** sweephost.join(): code, message, the code of the second attempt, calls of
** the error handler. Nothing if there is no thread.
*/
static int join_job(lua_State *L)
{
  if (!job.is_running) {
    return 0;
  }
  failmalloc_role(FAILMALLOC_OTHERS);
  pthread_join(job.thread, NULL);
  job.is_running = 0;
  failmalloc_role(FAILMALLOC_WATCHED);
  job.notify->releaseNotifier(job.notifier);
  lua_pushinteger(L, job.code);
  lua_pushlstring(L, job.text, job.length);
  lua_pushinteger(L, job.code_again);
  lua_pushinteger(L, job.calls);
  failmalloc_role(job.starter_role);
  return 4;
}

static void enter_locked(void)
{
  has_entered = 1;
  pthread_cond_broadcast(&changed);
}

/* sweephost.enter(): the callback runs. */
static int enter(lua_State *L)
{
  (void)L;
  pthread_mutex_lock(&lock);
  enter_locked();
  pthread_mutex_unlock(&lock);
  return 0;
}

/* sweephost.wait_entered(): until then, or until the thread has ended. */
static int wait_entered(lua_State *L)
{
  (void)L;
  pthread_mutex_lock(&lock);
  starter_waits = 1;
  while (!has_entered && !has_ended) {
    pthread_cond_wait(&changed, &lock);
  }
  starter_waits = 0;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return 0;
}

/*
** sweephost.hold(): the thread that was started stays until its starter
** sleeps, in a call or in join; seen several times in a row. Other threads do
** not stay.
*/
static int hold(lua_State *L)
{
  const struct timespec pause = {0, 500000};
  int seen = 0;
  (void)L;
  if (syscall(SYS_gettid) != job.number) {
    return 0;
  }
  pthread_mutex_lock(&lock);
  enter_locked();
  while (starter_waits) {
    pthread_cond_wait(&changed, &lock);
  }
  pthread_mutex_unlock(&lock);
  while (seen < 4) {
    nanosleep(&pause, NULL);
    seen = support_thread_status(job.starter) == 'S' ? seen + 1 : 0;
  }
  return 0;
}

/*
** sweephost.collect(): all garbage, without failures: Lua drops a finalizer
** that it has no memory to call.
*/
static int collect(lua_State *L)
{
  failmalloc_Role role = failmalloc_role(FAILMALLOC_WATCHED);
  lua_gc(L, LUA_GCCOLLECT, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
  failmalloc_role(role);
  return 0;
}

/* sweephost.spare(f, ...): calls f without failures in this thread. */
static int spare(lua_State *L)
{
  failmalloc_Role role = failmalloc_role(FAILMALLOC_WATCHED);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  failmalloc_role(role);
  return lua_gettop(L);
}

/* sweephost.relent(): nothing fails any more in this step. */
static int relent(lua_State *L)
{
  (void)L;
  failmalloc_relent();
  return 0;
}

/* sweephost.pointer(): a light userdata, always the same. */
static int pointer(lua_State *L)
{
  lua_pushlightuserdata(L, (void *)0x1234);
  return 1;
}

static const luaL_Reg functions[] = {
    {"load", load_scenario}, {"list", list_blocks},
    {"complain", complain},  {"fork", fork_process},
    {"wait", wait_process},  {"exit", exit_process},
    {"start", start_job},    {"join", join_job},
    {"enter", enter},        {"wait_entered", wait_entered},
    {"hold", hold},          {"collect", collect},
    {"spare", spare},        {"relent", relent},
    {"shut", shut_gate},     {"open", open_gate},
    {"pass", pass},          {"has_visitor", has_visitor},
    {"capture", capture},    {"captured", push_captured},
    {"pointer", pointer},    {NULL, NULL}};

static const luaL_Reg scenario_methods[] = {{"run", run_step},
                                            {"call", call_scenario},
                                            {"close", close_scenario},
                                            {NULL, NULL}};

int luaopen_sweephost(lua_State *L)
{
  static int is_known;
  if (failmalloc_plan == NULL) {
    return luaL_error(L, "sweephost: failmalloc is not preloaded");
  }
  if (!is_known) { /* by the driver, before anybody else */
    failmalloc_role(FAILMALLOC_OTHERS);
    failmalloc_strangers(FAILMALLOC_WATCHED);
    is_known = 1;
  }
  support_pin(L, &lock);
  support_new_class(L, SCENARIO, scenario_methods);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
