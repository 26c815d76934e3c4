/*
** capidriver: drives the Notify and Receiver C APIs of state objects the way
** foreign native code does: it looks the APIs up in metatables and uses them
** from pthreads that have no Lua state.
**
**   n = notifier(object)     retained; n:notify(), n:start(), n:storm(...)
**   r = receiver(object)     retained; r:send(w), r:start(w), r:storm(...)
**   w = writer(capacity, grow)   w:boolean(b) ... w:array(type, t)
**   j = n:start() or r:start(w)  a running native thread; j:join() gives the
**                            result code and the error message, or nil;
**                            j:cancel() asks it to end
**
** The binary layout of the API structs is checked at compile time against
** tables of our own. forge() and look_up() make and search metatables of
** any shape.
*/
#define _GNU_SOURCE

#include "mtstates/carray_capi.h"
#include "mtstates/notify_capi.h"
#include "mtstates/receiver_capi.h"
#include "support.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

SUPPORT_EXPORT int luaopen_capidriver(lua_State *L);

#define NOTIFIER "spec.notifier"
#define RECEIVER "spec.receiver"
#define WRITER "spec.writer"
#define JOB "spec.job"
#define CODES 16

/* ---------------------------------------------------------- layouts -- */

typedef struct Layout {
  int major, minor, patch;
  void *next;
  void (*functions[13])(void);
} Layout;

#define SAME_PLACE(type, member, n)                                           \
  _Static_assert(offsetof(type, member) == offsetof(Layout, functions[n]),    \
                 #member " has moved")
#define SAME_HEAD(type)                                                       \
  _Static_assert(                                                             \
      offsetof(type, version_major) == offsetof(Layout, major) &&             \
          offsetof(type, version_minor) == offsetof(Layout, minor) &&         \
          offsetof(type, version_patch) == offsetof(Layout, patch) &&         \
          offsetof(type, next_capi) == offsetof(Layout, next),                \
      #type " has another head")

SAME_HEAD(notify_capi);
SAME_PLACE(notify_capi, toNotifier, 0);
SAME_PLACE(notify_capi, retainNotifier, 1);
SAME_PLACE(notify_capi, releaseNotifier, 2);
SAME_PLACE(notify_capi, notify, 3);

SAME_HEAD(receiver_capi);
SAME_PLACE(receiver_capi, toReceiver, 0);
SAME_PLACE(receiver_capi, retainReceiver, 1);
SAME_PLACE(receiver_capi, releaseReceiver, 2);
SAME_PLACE(receiver_capi, newWriter, 3);
SAME_PLACE(receiver_capi, freeWriter, 4);
SAME_PLACE(receiver_capi, msgToReceiver, 5);
SAME_PLACE(receiver_capi, clearWriter, 6);
SAME_PLACE(receiver_capi, addBooleanToWriter, 7);
SAME_PLACE(receiver_capi, addIntegerToWriter, 8);
SAME_PLACE(receiver_capi, addNumberToWriter, 9);
SAME_PLACE(receiver_capi, addStringToWriter, 10);
SAME_PLACE(receiver_capi, addBytesToWriter, 11);
SAME_PLACE(receiver_capi, addArrayToWriter, 12);

SAME_HEAD(carray_capi);
SAME_PLACE(carray_capi, newCarray, 0);
SAME_PLACE(carray_capi, newCarrayRef, 1);
SAME_PLACE(carray_capi, toReadableCarray, 2);
SAME_PLACE(carray_capi, toWritableCarray, 3);
SAME_PLACE(carray_capi, retainCarray, 4);
SAME_PLACE(carray_capi, releaseCarray, 5);
SAME_PLACE(carray_capi, getWritableElementPtr, 6);
SAME_PLACE(carray_capi, getReadableElementPtr, 7);
SAME_PLACE(carray_capi, resizeCarray, 8);
SAME_PLACE(carray_capi, insertElements, 9);
SAME_PLACE(carray_capi, removeElements, 10);

_Static_assert(RECEIVER_UCHAR == 1 && RECEIVER_SCHAR == 2 &&
                   RECEIVER_SHORT == 3 && RECEIVER_USHORT == 4 &&
                   RECEIVER_INT == 5 && RECEIVER_UINT == 6 &&
                   RECEIVER_LONG == 7 && RECEIVER_ULONG == 8 &&
                   RECEIVER_FLOAT == 9 && RECEIVER_DOUBLE == 10 &&
                   RECEIVER_LLONG == 11 && RECEIVER_ULLONG == 12,
               "receiver types");
_Static_assert(CARRAY_UCHAR == 1 && CARRAY_SCHAR == 2 && CARRAY_SHORT == 3 &&
                   CARRAY_USHORT == 4 && CARRAY_INT == 5 && CARRAY_UINT == 6 &&
                   CARRAY_LONG == 7 && CARRAY_ULONG == 8 &&
                   CARRAY_FLOAT == 9 && CARRAY_DOUBLE == 10 &&
                   CARRAY_LLONG == 11 && CARRAY_ULLONG == 12,
               "carray types");
_Static_assert(CARRAY_DEFAULT == 0 && CARRAY_READONLY == 1, "carray attrs");

/* ----------------------------------------------------- error messages -- */

typedef struct Report {
  char *text;
  size_t length;
  int calls;
} Report;

static void keep_report(void *ehdata, const char *msg, size_t msglen)
{
  Report *report = ehdata;
  assert(msg[msglen] == '\0');
  report->calls++;
  free(report->text);
  report->text = malloc(msglen + 1);
  report->length = report->text != NULL ? msglen : 0;
  if (report->text != NULL) {
    memcpy(report->text, msg, msglen);
  }
}

/* Pushes code, message or nil, how often the handler was called. */
static int push_outcome(lua_State *L, int code, Report *report)
{
  lua_pushinteger(L, code);
  if (report->text != NULL) {
    lua_pushlstring(L, report->text, report->length);
  }
  else {
    lua_pushnil(L);
  }
  lua_pushinteger(L, report->calls);
  free(report->text);
  report->text = NULL;
  return 3;
}

/* --------------------------------------------------- native threads -- */

typedef struct Notifier {
  const notify_capi *api;
  notify_notifier *object; /* NULL when released */
} Notifier;

typedef struct Receiver {
  const receiver_capi *api;
  receiver_object *object; /* NULL when released */
} Receiver;

typedef struct Writer {
  const receiver_capi *api;
  receiver_writer *object; /* NULL when freed */
} Writer;

typedef struct Job {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t started;
  long tid;         /* guarded by lock, as are the next two */
  int is_over;      /* the thread is done; and */
  int is_forgotten; /* nobody joins it: who comes second frees the job */
  Notifier notifier;
  Receiver receiver;
  Writer writer;
  int writer_ref; /* in the Lua registry, until the job is joined */
  int nonblock;
  long times;
  lua_Integer number;
  int is_storm;
  int code;
  Report report;
  long codes[CODES];
} Job;

static void count_code(Job *job, int code)
{
  job->codes[code >= 0 && code < CODES ? code : CODES - 1]++;
}

static void run_notifier(Job *job)
{
  const notify_capi *api = job->notifier.api;
  for (long i = 0; i < job->times; i++) {
    job->code = api->notify(job->notifier.object, keep_report, &job->report);
    count_code(job, job->code);
  }
  api->releaseNotifier(job->notifier.object);
}

/* A storm's threads write numbers of their own; others send what they got. */
static void run_receiver(Job *job)
{
  const receiver_capi *api = job->receiver.api;
  receiver_writer *writer = job->writer.object;
  if (job->is_storm) {
    writer = api->newWriter(64, 2);
  }
  for (long i = 0; i < job->times; i++) {
    if (job->is_storm) {
      api->addIntegerToWriter(writer, job->number);
      api->addIntegerToWriter(writer, (lua_Integer)i);
    }
    job->code = api->msgToReceiver(job->receiver.object, writer, 0,
                                   job->nonblock, keep_report, &job->report);
    count_code(job, job->code);
  }
  if (job->is_storm) {
    api->freeWriter(writer);
  }
  api->releaseReceiver(job->receiver.object);
}

static void free_job(Job *job)
{
  pthread_cond_destroy(&job->started);
  pthread_mutex_destroy(&job->lock);
  free(job->report.text);
  free(job);
}

static void *run_job(void *arg)
{
  Job *job = arg;
  pthread_mutex_lock(&job->lock);
  job->tid = syscall(SYS_gettid);
  pthread_cond_signal(&job->started);
  pthread_mutex_unlock(&job->lock);
  if (job->notifier.object != NULL) {
    run_notifier(job);
  }
  else {
    run_receiver(job);
  }
  pthread_mutex_lock(&job->lock);
  int is_forgotten = job->is_forgotten;
  job->is_over = 1;
  pthread_mutex_unlock(&job->lock);
  if (is_forgotten) {
    free_job(job);
  }
  return NULL;
}

/* A job that is not started yet; it retains what it is to use. */
static Job *new_job(const Notifier *notifier, const Receiver *receiver,
                    long times)
{
  Job *job = calloc(1, sizeof *job);
  if (job == NULL) {
    abort();
  }
  pthread_mutex_init(&job->lock, NULL);
  pthread_cond_init(&job->started, NULL);
  job->times = times;
  job->writer_ref = LUA_NOREF;
  if (notifier != NULL) {
    job->notifier = *notifier;
    notifier->api->retainNotifier(notifier->object);
  }
  else {
    job->receiver = *receiver;
    receiver->api->retainReceiver(receiver->object);
  }
  return job;
}

static void start_job(Job *job)
{
  if (pthread_create(&job->thread, NULL, run_job, job) != 0) {
    abort();
  }
}

static int push_job(lua_State *L, Job *job)
{
  Job **slot = support_newuserdata(L, sizeof *slot);
  *slot = job;
  luaL_getmetatable(L, JOB);
  lua_setmetatable(L, -2);
  start_job(job);
  return 1;
}

/* job:tid(): the kernel's number of the thread. */
static int job_tid(lua_State *L)
{
  Job **slot = luaL_checkudata(L, 1, JOB);
  luaL_argcheck(L, *slot != NULL, 1, "joined");
  pthread_mutex_lock(&(*slot)->lock);
  while ((*slot)->tid == 0) {
    pthread_cond_wait(&(*slot)->started, &(*slot)->lock);
  }
  long tid = (*slot)->tid;
  pthread_mutex_unlock(&(*slot)->lock);
  lua_pushnumber(L, (lua_Number)tid);
  return 1;
}

/* job:cancel(): asks the thread to end. */
static int job_cancel(lua_State *L)
{
  Job **slot = luaL_checkudata(L, 1, JOB);
  luaL_argcheck(L, *slot != NULL, 1, "joined");
  pthread_cancel((*slot)->thread);
  return 0;
}

/* job:join(): code, message or nil, calls of the error handler. */
static int job_join(lua_State *L)
{
  Job **slot = luaL_checkudata(L, 1, JOB);
  luaL_argcheck(L, *slot != NULL, 1, "joined");
  Job *job = *slot;
  pthread_join(job->thread, NULL);
  *slot = NULL;
  luaL_unref(L, LUA_REGISTRYINDEX, job->writer_ref);
  push_outcome(L, job->code, &job->report);
  free_job(job);
  return 3;
}

/* The thread of a job that nobody joins may still run. */
static int job_gc(lua_State *L)
{
  Job **slot = luaL_checkudata(L, 1, JOB);
  Job *job = *slot;
  if (job != NULL) {
    pthread_detach(job->thread);
    pthread_mutex_lock(&job->lock);
    int is_over = job->is_over;
    job->is_forgotten = 1;
    pthread_mutex_unlock(&job->lock);
    if (is_over) {
      free_job(job);
    }
    *slot = NULL;
  }
  return 0;
}

/* Runs all jobs at once; pushes a table: code -> how often. */
static int run_storm(lua_State *L, Job **jobs, int count)
{
  long codes[CODES] = {0};
  for (int i = 0; i < count; i++) {
    start_job(jobs[i]);
  }
  for (int i = 0; i < count; i++) {
    pthread_join(jobs[i]->thread, NULL);
    for (int code = 0; code < CODES; code++) {
      codes[code] += jobs[i]->codes[code];
    }
    free_job(jobs[i]);
  }
  free(jobs);
  lua_newtable(L);
  for (int code = 0; code < CODES; code++) {
    if (codes[code] != 0) {
      lua_pushinteger(L, (lua_Integer)codes[code]);
      lua_rawseti(L, -2, code);
    }
  }
  return 1;
}

static int start_storm(lua_State *L, const Notifier *notifier,
                       const Receiver *receiver)
{
  int count = (int)luaL_checknumber(L, 2);
  long times = (long)luaL_checknumber(L, 3);
  int nonblock = lua_toboolean(L, 4);
  Job **jobs = calloc((size_t)count, sizeof *jobs);
  if (jobs == NULL) {
    abort();
  }
  for (int i = 0; i < count; i++) {
    jobs[i] = new_job(notifier, receiver, times);
    jobs[i]->is_storm = 1;
    jobs[i]->nonblock = nonblock;
    jobs[i]->number = i + 1;
  }
  return run_storm(L, jobs, count);
}

/* --------------------------------------------------------- notifier -- */

static Notifier *check_notifier(lua_State *L)
{
  Notifier *n = luaL_checkudata(L, 1, NOTIFIER);
  luaL_argcheck(L, n->object != NULL, 1, "released");
  return n;
}

/* capidriver.notifier(object): retained; or nil and the reason. */
static int notifier(lua_State *L)
{
  int reason = 0;
  const notify_capi *api = notify_get_capi(L, 1, &reason);
  if (api == NULL) {
    lua_pushnil(L);
    lua_pushinteger(L, reason);
    return 2;
  }
  Notifier *n = support_newuserdata(L, sizeof *n);
  n->api = api;
  n->object = NULL;
  luaL_getmetatable(L, NOTIFIER);
  lua_setmetatable(L, -2);
  n->object = api->toNotifier(L, 1);
  if (n->object == NULL) {
    lua_pushnil(L);
    lua_pushliteral(L, "no notifier");
    return 2;
  }
  api->retainNotifier(n->object);
  return 1;
}

static int notifier_release(lua_State *L)
{
  Notifier *n = luaL_checkudata(L, 1, NOTIFIER);
  if (n->object != NULL) {
    n->api->releaseNotifier(n->object);
    n->object = NULL;
  }
  return 0;
}

/* n:notify() on this thread: code, message, handler calls. */
static int notifier_notify(lua_State *L)
{
  Notifier *n = check_notifier(L);
  Report report = {NULL, 0, 0};
  int code = n->api->notify(n->object, keep_report, &report);
  return push_outcome(L, code, &report);
}

/* n:notify_quietly(): without an error handler; code. */
static int notifier_notify_quietly(lua_State *L)
{
  Notifier *n = check_notifier(L);
  lua_pushinteger(L, n->api->notify(n->object, NULL, NULL));
  return 1;
}

/*
** n:notify_bare(): with nothing on the stack; code, and how many values are
** there afterwards.
*/
static int notifier_notify_bare(lua_State *L)
{
  Notifier *n = check_notifier(L);
  int code, count;
  lua_settop(L, 0);
  code = n->api->notify(n->object, NULL, NULL);
  count = lua_gettop(L);
  lua_pushinteger(L, code);
  lua_pushinteger(L, count);
  return 2;
}

/* n:start(): notifies once from a thread of its own. */
static int notifier_start(lua_State *L)
{
  return push_job(L, new_job(check_notifier(L), NULL, 1));
}

/* n:storm(threads, times) -> {[code] = count} */
static int notifier_storm(lua_State *L)
{
  return start_storm(L, check_notifier(L), NULL);
}

/* ----------------------------------------------------------- writer -- */

static Writer *check_writer(lua_State *L, int index)
{
  Writer *w = luaL_checkudata(L, index, WRITER);
  luaL_argcheck(L, w->object != NULL, index, "freed");
  return w;
}

static int writer_free(lua_State *L)
{
  Writer *w = luaL_checkudata(L, 1, WRITER);
  w->api->freeWriter(w->object); /* can be NULL */
  w->object = NULL;
  return 0;
}

static int writer_clear(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  w->api->clearWriter(w->object);
  return 0;
}

static int writer_boolean(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  int b = lua_toboolean(L, 2);
  lua_pushinteger(L, w->api->addBooleanToWriter(w->object, b));
  return 1;
}

static int writer_integer(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  lua_Integer i = luaL_checkinteger(L, 2);
  lua_pushinteger(L, w->api->addIntegerToWriter(w->object, i));
  return 1;
}

static int writer_number(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  lua_Number n = luaL_checknumber(L, 2);
  lua_pushinteger(L, w->api->addNumberToWriter(w->object, n));
  return 1;
}

static int writer_string(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  size_t length;
  const char *s = luaL_checklstring(L, 2, &length);
  lua_pushinteger(L, w->api->addStringToWriter(w->object, s, length));
  return 1;
}

static int writer_bytes(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  size_t length;
  const char *s = luaL_checklstring(L, 2, &length);
  lua_pushinteger(L, w->api->addBytesToWriter(
                         w->object, (const unsigned char *)s, length));
  return 1;
}

static receiver_array_type check_array_type(lua_State *L, int index)
{
  static const char *const names[] = {
      "?",    "uchar", "schar", "short",  "ushort", "int",   "uint",
      "long", "ulong", "float", "double", "llong",  "ullong"};
  const char *name = luaL_checkstring(L, index);
  for (int i = RECEIVER_UCHAR; i <= RECEIVER_ULLONG; i++) {
    if (strcmp(name, names[i]) == 0) {
      return (receiver_array_type)i;
    }
  }
  luaL_argerror(L, index, "unknown element type");
  return RECEIVER_UCHAR;
}

static size_t element_size(receiver_array_type type)
{
  static const size_t sizes[] = {0,
                                 sizeof(char),
                                 sizeof(char),
                                 sizeof(short),
                                 sizeof(short),
                                 sizeof(int),
                                 sizeof(int),
                                 sizeof(long),
                                 sizeof(long),
                                 sizeof(float),
                                 sizeof(double),
                                 sizeof(long long),
                                 sizeof(long long)};
  return sizes[type];
}

/* The target may stand at any address: the elements are copied bytewise. */
static void put_element(void *target, size_t i, receiver_array_type type,
                        lua_Number n)
{
  size_t size = element_size(type);
  unsigned char *where = (unsigned char *)target + i * size;
  long long whole = (long long)n; /* little endian: its first bytes count */
  float single = (float)n;
  double full = (double)n;
  const void *source = &whole;
  if (type == RECEIVER_FLOAT) {
    source = &single;
  }
  else if (type == RECEIVER_DOUBLE) {
    source = &full;
  }
  memcpy(where, source, size);
}

/* w:array(type, {numbers}): 0, or nil if there is no room. */
static int writer_array(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  receiver_array_type type = check_array_type(L, 2);
  size_t count = lua_rawlen(L, 3);
  void *data = w->api->addArrayToWriter(w->object, type, count);
  if (data == NULL) {
    lua_pushnil(L);
    return 1;
  }
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 3, (int)i + 1);
    put_element(data, i, type, lua_tonumber(L, -1));
    lua_pop(L, 1);
  }
  lua_pushinteger(L, 0);
  return 1;
}

/* w:absurd(): sizes no memory can have; true if each is refused. */
static int writer_absurd(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  receiver_writer *object = w->object;
  const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2,
                          SIZE_MAX / 8 + 1, SIZE_MAX / 16};
  int refused = 1;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    const unsigned char *bytes = (const unsigned char *)"";
    refused &= w->api->addStringToWriter(object, "", sizes[i]) != 0;
    refused &= w->api->addBytesToWriter(object, bytes, sizes[i]) != 0;
    refused &=
        w->api->addArrayToWriter(object, RECEIVER_DOUBLE, sizes[i]) == NULL;
  }
  lua_pushboolean(L, refused);
  return 1;
}

/* w:bad_array_type(n): an element type that does not exist; refused? */
static int writer_bad_array_type(lua_State *L)
{
  Writer *w = check_writer(L, 1);
  int type = (int)luaL_checknumber(L, 2);
  void *data =
      w->api->addArrayToWriter(w->object, (receiver_array_type)type, 1);
  lua_pushboolean(L, data == NULL);
  return 1;
}

/* --------------------------------------------------------- receiver -- */

static Receiver *check_receiver(lua_State *L)
{
  Receiver *r = luaL_checkudata(L, 1, RECEIVER);
  luaL_argcheck(L, r->object != NULL, 1, "released");
  return r;
}

/* capidriver.receiver(object): retained; or nil and the reason. */
static int receiver(lua_State *L)
{
  int reason = 0;
  const receiver_capi *api = receiver_get_capi(L, 1, &reason);
  if (api == NULL) {
    lua_pushnil(L);
    lua_pushinteger(L, reason);
    return 2;
  }
  Receiver *r = support_newuserdata(L, sizeof *r);
  r->api = api;
  r->object = NULL;
  luaL_getmetatable(L, RECEIVER);
  lua_setmetatable(L, -2);
  r->object = api->toReceiver(L, 1);
  if (r->object == NULL) {
    lua_pushnil(L);
    lua_pushliteral(L, "no receiver");
    return 2;
  }
  api->retainReceiver(r->object);
  return 1;
}

static int receiver_release(lua_State *L)
{
  Receiver *r = luaL_checkudata(L, 1, RECEIVER);
  if (r->object != NULL) {
    r->api->releaseReceiver(r->object);
    r->object = NULL;
  }
  return 0;
}

/* r:writer(capacity, grow) */
static int receiver_writer_(lua_State *L)
{
  Receiver *r = check_receiver(L);
  size_t capacity = (size_t)luaL_checknumber(L, 2);
  float grow = (float)luaL_checknumber(L, 3);
  Writer *w = support_newuserdata(L, sizeof *w);
  w->api = r->api;
  w->object = NULL;
  luaL_getmetatable(L, WRITER);
  lua_setmetatable(L, -2);
  w->object = r->api->newWriter(capacity, grow);
  return w->object != NULL ? 1 : luaL_error(L, "capidriver: no writer");
}

/* r:send(w [, "nonblock"]) on this thread: code, message, handler calls. */
static int receiver_send(lua_State *L)
{
  Receiver *r = check_receiver(L);
  Writer *w = check_writer(L, 2);
  Report report = {NULL, 0, 0};
  int code = r->api->msgToReceiver(r->object, w->object, 0,
                                   lua_toboolean(L, 3), keep_report, &report);
  return push_outcome(L, code, &report);
}

/* r:send_quietly(w): clear given, no error handler; code. */
static int receiver_send_quietly(lua_State *L)
{
  Receiver *r = check_receiver(L);
  Writer *w = check_writer(L, 2);
  lua_pushinteger(
      L, r->api->msgToReceiver(r->object, w->object, 1, 0, NULL, NULL));
  return 1;
}

/* r:start(w [, "nonblock"]): sends once from a thread of its own. The spec
** does not touch w until it has joined. */
static int receiver_start(lua_State *L)
{
  Receiver *r = check_receiver(L);
  Writer *w = check_writer(L, 2);
  int nonblock = lua_toboolean(L, 3);
  Job *job = new_job(NULL, r, 1);
  job->writer = *w;
  lua_pushvalue(L, 2);
  job->writer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  job->nonblock = nonblock;
  return push_job(L, job);
}

/* r:storm(threads, times [, nonblock]): each sends its number, the round. */
static int receiver_storm(lua_State *L)
{
  return start_storm(L, NULL, check_receiver(L));
}

/* ---------------------------------------------------------- look-ups -- */

typedef struct Fake {
  Layout layouts[4];
} Fake;

/*
** capidriver.forge(key, text, size, {major, minor}, ...): an object whose
** metatable has, under key, a block of size bytes with this text and a chain
** of API structs with these versions.
*/
static int forge(lua_State *L)
{
  int count = lua_gettop(L) - 3;
  size_t length;
  const char *text = luaL_checklstring(L, 2, &length);
  size_t size = (size_t)luaL_checknumber(L, 3);
  Fake *fake = support_newuserdata(L, sizeof *fake);
  memset(fake, 0, sizeof *fake);
  luaL_argcheck(L, count >= 1 && count <= 4, 4, "one to four versions");
  for (int i = 0; i < count; i++) {
    Layout *layout = &fake->layouts[i];
    lua_rawgeti(L, 4 + i, 1);
    lua_rawgeti(L, 4 + i, 2);
    layout->major = (int)lua_tonumber(L, -2);
    layout->minor = (int)lua_tonumber(L, -1);
    layout->next = i + 1 < count ? layout + 1 : NULL;
    lua_pop(L, 2);
  }
  lua_newtable(L);
  lua_pushvalue(L, 1);
  char *block = support_newuserdata(L, size);
  char image[sizeof(void *) + 64] = {0};
  void *pointer = fake;
  luaL_argcheck(L, length < 64 && size <= sizeof image, 3, "too long");
  memcpy(image, &pointer, sizeof pointer);
  memcpy(image + sizeof pointer, text, length);
  memcpy(block, image, size);
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
  return 1;
}

static void version_of(const void *api, int *major, int *minor, int *patch)
{
  const Layout *layout = api;
  *major = layout->major;
  *minor = layout->minor;
  *patch = layout->patch;
}

/* capidriver.look_up(object, "notify" | "receiver" | "carray"): the version
** found, "major.minor.patch"; or nil and the reason. */
static int look_up(lua_State *L)
{
  const char *kind = luaL_checkstring(L, 2);
  const void *api;
  int major, minor, patch, reason = 0;
  if (strcmp(kind, "notify") == 0) {
    api = notify_get_capi(L, 1, &reason);
  }
  else if (strcmp(kind, "receiver") == 0) {
    api = receiver_get_capi(L, 1, &reason);
  }
  else {
    api = carray_get_capi(L, 1, &reason);
  }
  if (api == NULL) {
    lua_pushnil(L);
    lua_pushinteger(L, reason);
    return 2;
  }
  version_of(api, &major, &minor, &patch);
  lua_pushfstring(L, "%d.%d.%d", major, minor, patch);
  return 1;
}

/* capidriver.block(object, key): type, size and text of what stands under
** key in the object's metatable, read without any header of ours. */
static int block_of(lua_State *L)
{
  if (!lua_getmetatable(L, 1)) {
    return 0;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  lua_pushstring(L, luaL_typename(L, -1));
  if (lua_type(L, -2) != LUA_TUSERDATA) {
    return 1;
  }
  size_t size = lua_rawlen(L, -2);
  const char *block = lua_touserdata(L, -2);
  lua_pushinteger(L, (lua_Integer)size);
  if (size < sizeof(void *)) {
    return 2;
  }
  lua_pushlstring(L, block + sizeof(void *), size - sizeof(void *));
  return 3;
}

/* capidriver.to_other(state, other): what the APIs of state say about an
** object that is none: true if both are NULL. */
static int to_other(lua_State *L)
{
  const notify_capi *n = notify_get_capi(L, 1, NULL);
  const receiver_capi *r = receiver_get_capi(L, 1, NULL);
  luaL_argcheck(L, n != NULL && r != NULL, 1, "a state object");
  lua_pushboolean(L,
                  n->toNotifier(L, 2) == NULL && r->toReceiver(L, 2) == NULL);
  return 1;
}

static const luaL_Reg notifier_methods[] = {
    {"release", notifier_release},
    {"notify", notifier_notify},
    {"notify_quietly", notifier_notify_quietly},
    {"notify_bare", notifier_notify_bare},
    {"start", notifier_start},
    {"storm", notifier_storm},
    {"__gc", notifier_release},
    {NULL, NULL}};

static const luaL_Reg receiver_methods[] = {
    {"release", receiver_release}, {"writer", receiver_writer_},
    {"send", receiver_send},       {"send_quietly", receiver_send_quietly},
    {"start", receiver_start},     {"storm", receiver_storm},
    {"__gc", receiver_release},    {NULL, NULL}};

static const luaL_Reg writer_methods[] = {
    {"free", writer_free},       {"clear", writer_clear},
    {"boolean", writer_boolean}, {"integer", writer_integer},
    {"number", writer_number},   {"string", writer_string},
    {"bytes", writer_bytes},     {"array", writer_array},
    {"absurd", writer_absurd},   {"bad_array_type", writer_bad_array_type},
    {"__gc", writer_free},       {NULL, NULL}};

static const luaL_Reg job_methods[] = {{"tid", job_tid},
                                       {"cancel", job_cancel},
                                       {"join", job_join},
                                       {"__gc", job_gc},
                                       {NULL, NULL}};

static const luaL_Reg functions[] = {{"notifier", notifier},
                                     {"receiver", receiver},
                                     {"forge", forge},
                                     {"look_up", look_up},
                                     {"block", block_of},
                                     {"to_other", to_other},
                                     {NULL, NULL}};

int luaopen_capidriver(lua_State *L)
{
  support_pin(L, (void *)&functions);
  support_new_class(L, NOTIFIER, notifier_methods);
  support_new_class(L, RECEIVER, receiver_methods);
  support_new_class(L, WRITER, writer_methods);
  support_new_class(L, JOB, job_methods);
  lua_pop(L, 4);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
