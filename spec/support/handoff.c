/*
** handoff: how the threads of a spec wait for one another. Gates (counters
** that only the spec moves) and mailboxes (queues of plain values) live once
** in the process and are found by name from every Lua state, so that a spec
** orders its threads by hand-off and never by sleeping.
**
** Every wait ends with an error after PATIENCE seconds; for what cannot be
** waited for with a gate there is watchdog(), which ends the process.
** One mutex and one condition serve everything. No Lua function that can
** raise or call back is used while the mutex is held. The module pins itself:
** its gates have to outlive the Lua state that loaded it first.
*/
#define _GNU_SOURCE

#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 60.0
#define ASLEEP_SAMPLES 10
#define LOCKED_SAMPLES 2000

SUPPORT_EXPORT int luaopen_handoff(lua_State *L);

typedef struct Value {
  int type;
  int is_integer;
  int boolean;
  lua_Integer integer;
  lua_Number number;
  void *pointer;
  char *bytes;
  size_t length;
} Value;

typedef struct Message {
  struct Message *next;
  int count;
  Value values[];
} Message;

typedef struct Slot {
  struct Slot *next;
  double counter;
  Message *first;
  Message *last;
  int waiting; /* threads that keep a pointer to this slot */
  char name[];
} Slot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t changed; /* used with lock */
static Slot *slots;            /* guarded by lock */
static unsigned long serial;   /* guarded by lock */
static char watched[200];      /* read by the signal handler */

static void init_once(void)
{
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&changed, &attr);
  pthread_condattr_destroy(&attr);
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct timespec deadline_in(double seconds)
{
  struct timespec t;
  double whole = (double)(long)seconds;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += (time_t)whole;
  t.tv_nsec += (long)((seconds - whole) * 1e9);
  if (t.tv_nsec >= 1000000000L) {
    t.tv_nsec -= 1000000000L;
    t.tv_sec += 1;
  }
  return t;
}

/* The slot of this name, made when it is new; NULL if memory is out. */
static Slot *slot_locked(const char *name)
{
  Slot *s = slots;
  while (s != NULL && strcmp(s->name, name) != 0) {
    s = s->next;
  }
  if (s == NULL) {
    size_t size = strlen(name) + 1;
    s = calloc(1, sizeof *s + size);
    if (s != NULL) {
      memcpy(s->name, name, size);
      s->next = slots;
      slots = s;
    }
  }
  return s;
}

/* Waits for a change of the slots; what pthread_cond_timedwait gives. */
static int wait_locked(Slot *s, const struct timespec *deadline)
{
  int rc;
  s->waiting++;
  rc = pthread_cond_timedwait(&changed, &lock, deadline);
  s->waiting--;
  return rc;
}

/* Frees a slot that is as if it was new: most names are used only once. */
static void drop_if_new_locked(Slot *s)
{
  Slot **link = &slots;
  if (s->counter != 0 || s->first != NULL || s->waiting > 0) {
    return;
  }
  while (*link != s) {
    link = &(*link)->next;
  }
  *link = s->next;
  free(s);
}

/* ------------------------------------------------------------- gates -- */

/* handoff.set(name, n): moves the gate to n. */
static int set_gate(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  double value = (double)luaL_checknumber(L, 2);
  pthread_mutex_lock(&lock);
  Slot *s = slot_locked(name);
  if (s != NULL) {
    s->counter = value;
    pthread_cond_broadcast(&changed);
    drop_if_new_locked(s);
  }
  pthread_mutex_unlock(&lock);
  return s != NULL ? 0 : luaL_error(L, "handoff: no memory");
}

/* handoff.add(name [, n]): moves the gate on by n or 1; gives its value. */
static int add_gate(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  double step = (double)luaL_optnumber(L, 2, 1);
  double value = 0;
  pthread_mutex_lock(&lock);
  Slot *s = slot_locked(name);
  if (s != NULL) {
    value = s->counter += step;
    pthread_cond_broadcast(&changed);
  }
  pthread_mutex_unlock(&lock);
  lua_pushnumber(L, (lua_Number)value);
  return s != NULL ? 1 : luaL_error(L, "handoff: no memory");
}

/* handoff.get(name): the gate's value. */
static int get_gate(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  pthread_mutex_lock(&lock);
  Slot *s = slot_locked(name);
  double value = s != NULL ? s->counter : 0;
  if (s != NULL) {
    drop_if_new_locked(s);
  }
  pthread_mutex_unlock(&lock);
  lua_pushnumber(L, (lua_Number)value);
  return 1;
}

/* Waits until the gate stands there; raises if it does not in time. */
static int wait_for_gate(lua_State *L, const char *entered, const char *name,
                         double value, double seconds)
{
  struct timespec deadline = deadline_in(seconds);
  int rc = 0;
  pthread_mutex_lock(&lock);
  Slot *s = slot_locked(name);
  Slot *own = entered != NULL ? slot_locked(entered) : NULL;
  if (own != NULL) {
    own->counter++;
    pthread_cond_broadcast(&changed);
  }
  while (s != NULL && s->counter < value && rc != ETIMEDOUT) {
    rc = wait_locked(s, &deadline);
  }
  double seen = s != NULL ? s->counter : 0;
  pthread_mutex_unlock(&lock);
  if (s == NULL || (entered != NULL && own == NULL)) {
    return luaL_error(L, "handoff: no memory");
  }
  if (seen < value) {
    return luaL_error(L, "handoff: gate '%s' stands at %f, not at %f", name,
                      (lua_Number)seen, (lua_Number)value);
  }
  return 0;
}

/* handoff.wait(name, n [, seconds]): until the gate stands at n or more. */
static int wait_gate(lua_State *L)
{
  return wait_for_gate(L, NULL, luaL_checkstring(L, 1),
                       (double)luaL_checknumber(L, 2),
                       (double)luaL_optnumber(L, 3, PATIENCE));
}

/*
** handoff.enter(entered, name, n [, seconds]): adds 1 to the gate `entered`
** and waits as handoff.wait does: who sees the one knows that the thread is in
** this function until the other moves, and cannot be interrupted in between.
*/
static int enter_gate(lua_State *L)
{
  return wait_for_gate(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2),
                       (double)luaL_checknumber(L, 3),
                       (double)luaL_optnumber(L, 4, PATIENCE));
}

/* --------------------------------------------------------- mailboxes -- */

static void free_message(Message *m)
{
  for (int i = 0; m != NULL && i < m->count; i++) {
    free(m->values[i].bytes);
  }
  free(m);
}

/* Copies one Lua value; gives what is wrong with it, or NULL. */
static const char *read_value(lua_State *L, int index, Value *v)
{
  const char *bytes;
  v->type = lua_type(L, index);
  switch (v->type) {
  case LUA_TNIL:
    return NULL;
  case LUA_TBOOLEAN:
    v->boolean = lua_toboolean(L, index);
    return NULL;
  case LUA_TNUMBER:
    v->is_integer = lua_isinteger(L, index);
    v->integer = v->is_integer ? lua_tointeger(L, index) : 0;
    v->number = lua_tonumber(L, index);
    return NULL;
  case LUA_TLIGHTUSERDATA:
    v->pointer = lua_touserdata(L, index);
    return NULL;
  case LUA_TSTRING:
    bytes = lua_tolstring(L, index, &v->length);
    v->bytes = malloc(v->length + 1);
    if (v->bytes == NULL) {
      return "memory";
    }
    memcpy(v->bytes, bytes, v->length);
    return NULL;
  default:
    return lua_typename(L, v->type);
  }
}

static void push_value(lua_State *L, const Value *v)
{
  switch (v->type) {
  case LUA_TBOOLEAN:
    lua_pushboolean(L, v->boolean);
    break;
  case LUA_TNUMBER:
    if (v->is_integer) {
      lua_pushinteger(L, v->integer);
    }
    else {
      lua_pushnumber(L, v->number);
    }
    break;
  case LUA_TLIGHTUSERDATA:
    lua_pushlightuserdata(L, v->pointer);
    break;
  case LUA_TSTRING:
    lua_pushlstring(L, v->bytes, v->length);
    break;
  default:
    lua_pushnil(L);
  }
}

/* handoff.put(name, ...): posts one message of plain values. */
static int put_message(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  int count = lua_gettop(L) - 1;
  Message *m = calloc(1, sizeof *m + (size_t)count * sizeof m->values[0]);
  const char *wrong = m == NULL ? "memory" : NULL;
  for (int i = 0; i < count && wrong == NULL; i++) {
    m->count = i + 1;
    wrong = read_value(L, i + 2, &m->values[i]);
  }
  if (wrong == NULL) {
    pthread_mutex_lock(&lock);
    Slot *s = slot_locked(name);
    if (s == NULL) {
      wrong = "memory";
    }
    else {
      *(s->first == NULL ? &s->first : &s->last->next) = m;
      s->last = m;
      pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
  }
  if (wrong != NULL) {
    free_message(m);
    return luaL_error(L, "handoff: cannot post (%s)", wrong);
  }
  return 0;
}

/* handoff.take(name [, seconds]): the values of the oldest message. */
static int take_message(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  double seconds = (double)luaL_optnumber(L, 2, PATIENCE);
  struct timespec deadline = deadline_in(seconds);
  Message *m = NULL;
  int rc = 0;
  pthread_mutex_lock(&lock);
  Slot *s = slot_locked(name);
  while (s != NULL && s->first == NULL && rc != ETIMEDOUT) {
    rc = wait_locked(s, &deadline);
  }
  if (s != NULL && s->first != NULL) {
    m = s->first;
    s->first = m->next;
    drop_if_new_locked(s);
  }
  pthread_mutex_unlock(&lock);
  if (m == NULL) {
    return luaL_error(L, "handoff: nothing came to '%s'", name);
  }
  int count = m->count;
  luaL_checkstack(L, count, "message");
  for (int i = 0; i < count; i++) {
    push_value(L, &m->values[i]);
  }
  free_message(m);
  return count;
}

/* handoff.unique([prefix]): a name that nobody else in the process has. */
static int unique_name(lua_State *L)
{
  const char *prefix = luaL_optstring(L, 1, "spec");
  char number[32];
  pthread_mutex_lock(&lock);
  unsigned long n = ++serial;
  pthread_mutex_unlock(&lock);
  snprintf(number, sizeof number, "#%lu", n);
  lua_pushfstring(L, "%s%s", prefix, number);
  return 1;
}

/* ---------------------------------------------------- looking at the OS -- */

/* handoff.tid(): the kernel's number of the running thread. */
static int thread_id(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)syscall(SYS_gettid));
  return 1;
}

static void pause_ms(long milliseconds)
{
  struct timespec t = {0, milliseconds * 1000000L};
  nanosleep(&t, NULL);
}

/*
** Whether the thread sleeps until it gets a mutex, as in glibc: other waits
** for a futex have a bit set there.
*/
static int waits_for_mutex(long tid)
{
  char path[64];
  long number = -1;
  unsigned long address, operation = 1;
  snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", tid);
  FILE *f = fopen(path, "re");
  if (f != NULL) {
    if (fscanf(f, "%ld %lx %lx", &number, &address, &operation) != 3) {
      number = -1;
    }
    fclose(f);
  }
  return number == SYS_futex && (operation & FUTEX_CMD_MASK) == FUTEX_WAIT;
}

/*
** handoff.wait_asleep(tid [, n]): until that thread sleeps in the kernel, seen
** n times in a row, or several. The only way to know from outside that a
** thread waits inside a call. A mutex is no such wait, unless it takes long:
** who has it can be kept from running. False if the thread is gone.
*/
static int wait_asleep(lua_State *L)
{
  long tid = (long)luaL_checknumber(L, 1);
  int samples = (int)luaL_optnumber(L, 2, ASLEEP_SAMPLES);
  double end = now() + PATIENCE;
  int seen = 0;
  while (seen < samples || (seen < LOCKED_SAMPLES && waits_for_mutex(tid))) {
    char status = support_thread_status(tid);
    if (status == 0) {
      lua_pushboolean(L, 0);
      return 1;
    }
    seen = status == 'S' ? seen + 1 : 0;
    if (now() > end) {
      return luaL_error(L, "handoff: thread %f never sleeps", (lua_Number)tid);
    }
    pause_ms(1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* handoff.thread_count(): how many threads the process has. */
static int thread_count(lua_State *L)
{
  DIR *dir = opendir("/proc/self/task");
  int count = 0;
  if (dir == NULL) {
    return luaL_error(L, "handoff: no /proc");
  }
  for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    count += e->d_name[0] != '.';
  }
  closedir(dir);
  lua_pushnumber(L, count);
  return 1;
}

/* handoff.monotonic(): seconds. */
static int monotonic(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)now());
  return 1;
}

/* handoff.breathe(): a millisecond for loops that poll a condition. */
static int breathe(lua_State *L)
{
  (void)L;
  pause_ms(1);
  return 0;
}

/* handoff.heap_bytes(): what malloc has given out; 0 if it doesn't tell. */
static int heap_bytes(lua_State *L)
{
  struct mallinfo2 info = mallinfo2();
  lua_pushnumber(L, (lua_Number)info.uordblks + (lua_Number)info.hblkhd);
  return 1;
}

/* Size of the address space in use, or 0. */
static double mapped_bytes(void)
{
  double pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f != NULL) {
    if (fscanf(f, "%lf", &pages) != 1) {
      pages = 0;
    }
    fclose(f);
  }
  return pages * (double)sysconf(_SC_PAGESIZE);
}

/* handoff.limit_memory(n): n more bytes of address space; nil: no limit. */
static int limit_memory(lua_State *L)
{
  struct rlimit limit;
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (!lua_isnoneornil(L, 1)) {
    limit.rlim_cur = (rlim_t)(mapped_bytes() + luaL_checknumber(L, 1));
  }
  lua_pushboolean(L, setrlimit(RLIMIT_AS, &limit) == 0);
  return 1;
}

static void on_alarm(int signal_number)
{
  (void)signal_number;
  _exit(write(2, watched, strnlen(watched, sizeof watched)) < 0 ? 125 : 124);
}

/* handoff.watchdog(seconds, what): ends the process then; 0: never. */
static int watchdog(lua_State *L)
{
  unsigned seconds = (unsigned)luaL_checknumber(L, 1);
  const char *what = luaL_optstring(L, 2, "?");
  struct sigaction action;
  alarm(0);
  snprintf(watched, sizeof watched, "\nwatchdog: this took too long: %s\n",
           what);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  alarm(seconds);
  return 0;
}

/* ------------------------------------------------------------ values -- */

/* handoff.lightuserdata(n): the light userdata with this address. */
static int lightuserdata(lua_State *L)
{
  lua_pushlightuserdata(L, (void *)(uintptr_t)luaL_checknumber(L, 1));
  return 1;
}

/* handoff.userdata(): a full userdata without a metatable. */
static int userdata(lua_State *L)
{
  void *block = support_newuserdata(L, 64);
  memset(block, 0, 64);
  return 1;
}

/* handoff.results(n): n integers 1 to n, straight from C. */
static int results(lua_State *L)
{
  int count = (int)luaL_checknumber(L, 1);
  luaL_checkstack(L, count, "results");
  for (int i = 1; i <= count; i++) {
    lua_pushinteger(L, i);
  }
  return count;
}

static const luaL_Reg functions[] = {{"set", set_gate},
                                     {"add", add_gate},
                                     {"get", get_gate},
                                     {"wait", wait_gate},
                                     {"enter", enter_gate},
                                     {"put", put_message},
                                     {"take", take_message},
                                     {"unique", unique_name},
                                     {"tid", thread_id},
                                     {"wait_asleep", wait_asleep},
                                     {"thread_count", thread_count},
                                     {"monotonic", monotonic},
                                     {"breathe", breathe},
                                     {"heap_bytes", heap_bytes},
                                     {"limit_memory", limit_memory},
                                     {"watchdog", watchdog},
                                     {"lightuserdata", lightuserdata},
                                     {"userdata", userdata},
                                     {"results", results},
                                     {NULL, NULL}};

int luaopen_handoff(lua_State *L)
{
  pthread_once(&once, init_once);
  support_pin(L, &lock);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
