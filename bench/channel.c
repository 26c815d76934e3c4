/*
** channel.c - what threads need at least to ask one another
**
** The module `channel` of the benchmarks: floors in bare C for requests.
**
** A partner is a thread that answers by waking who woke it, and knows of no
** values.  A looker does the same, but both sides look for a while before they
** sleep, so that nobody has to be woken if the other one is fast.  A channel
** is a ring of messages with a mutex and two conditions, and a thread that
** calls a Lua function with each of them.  Messages have a fixed size and are
** an integer, a float and a short string, nothing else.
**
** Both threads stay on the core that is asked for, and live until the process
** ends.
*/
#define _GNU_SOURCE /* pthread_attr_setaffinity_np, syscall */

#include "luaapi/compat.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int luaopen_channel(lua_State *L);

/* A thread that is not there would be waited for for ever. */
static void start(void *(*function)(void *), void *data, int core)
{
  pthread_t thread;
  pthread_attr_t attributes;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (pthread_attr_init(&attributes) != 0 ||
      pthread_attr_setaffinity_np(&attributes, sizeof(cores), &cores) != 0 ||
      pthread_create(&thread, &attributes, function, data) != 0) {
    perror("cannot start a thread");
    abort();
  }
  pthread_detach(thread);
  pthread_attr_destroy(&attributes);
}

/* Makes an object: a pointer to data, with the metatable of the closure. */
static void push_object(lua_State *L, void *data)
{
  void **object = lua_newuserdatauv(L, sizeof(*object), 0);
  *object = data;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
}

static void *check_object(lua_State *L)
{
  void **object = lua_touserdata(L, 1);
  if (!object || !lua_getmetatable(L, 1) ||
      !lua_rawequal(L, -1, lua_upvalueindex(1)))
    luaL_typeerror(L, 1, "object");
  lua_pop(L, 1);
  return *object;
}

static void *check_memory(lua_State *L, void *memory)
{
  if (!memory)
    luaL_error(L, "not enough memory");
  return memory;
}

/* ======================================================================= */
/* Partners                                                                */
/* ======================================================================= */

typedef struct Partner {
  _Alignas(128) atomic_uint questions; /* in cache lines of their own */
  _Alignas(128) atomic_uint answers;
} Partner;

/* Adds one and wakes the thread that waits for it. */
static void advance(atomic_uint *counter)
{
  atomic_fetch_add(counter, 1);
  syscall(SYS_futex, counter, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void sleep_while(atomic_uint *counter, unsigned value)
{
  while (atomic_load(counter) == value)
    syscall(SYS_futex, counter, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void *answer_all(void *data)
{
  Partner *partner = data;
  unsigned answered;
  for (answered = 0;; answered++) {
    sleep_while(&partner->questions, answered);
    advance(&partner->answers);
  }
  return NULL;
}

/* partner(core) */
static int channel_partner(lua_State *L)
{
  int core = (int)luaL_checkinteger(L, 1);
  Partner *partner =
      check_memory(L, aligned_alloc(_Alignof(Partner), sizeof(Partner)));
  atomic_init(&partner->questions, 0);
  atomic_init(&partner->answers, 0);
  start(answer_all, partner, core);
  push_object(L, partner);
  return 1;
}

/* partner:wake(n): n times there and back. */
static int partner_wake(lua_State *L)
{
  Partner *partner = check_object(L);
  lua_Integer n;
  for (n = luaL_checkinteger(L, 2); n > 0; n--) {
    unsigned answers = atomic_load(&partner->answers);
    advance(&partner->questions);
    sleep_while(&partner->answers, answers);
  }
  return 0;
}

/* ======================================================================= */
/* Lookers                                                                 */
/* ======================================================================= */

enum { LOOKS = 20000 }; /* some 50 microseconds, as own threads have */

typedef struct Side {
  _Alignas(128) atomic_uint count; /* written by the other side */
  atomic_bool is_asleep;
} Side;

typedef struct Looker {
  Side asked, asking;
} Looker;

static void tell(Side *side)
{
  atomic_fetch_add(&side->count, 1);
  if (atomic_load(&side->is_asleep))
    syscall(SYS_futex, &side->count, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void look_while(Side *side, unsigned value)
{
  int i;
  for (i = 0; i < LOOKS; i++) {
    if (atomic_load(&side->count) != value)
      return;
  }
  atomic_store(&side->is_asleep, true);
  sleep_while(&side->count, value);
  atomic_store(&side->is_asleep, false);
}

static void *look_for_all(void *data)
{
  Looker *looker = data;
  unsigned answered;
  for (answered = 0;; answered++) {
    look_while(&looker->asked, answered);
    tell(&looker->asking);
  }
  return NULL;
}

/* looker(core) */
static int channel_looker(lua_State *L)
{
  int core = (int)luaL_checkinteger(L, 1);
  Looker *looker =
      check_memory(L, aligned_alloc(_Alignof(Looker), sizeof(Looker)));
  memset(looker, 0, sizeof(*looker));
  start(look_for_all, looker, core);
  push_object(L, looker);
  return 1;
}

/* looker:ask(n): n times there and back. */
static int looker_ask(lua_State *L)
{
  Looker *looker = check_object(L);
  lua_Integer n;
  for (n = luaL_checkinteger(L, 2); n > 0; n--) {
    unsigned answers = atomic_load(&looker->asking.count);
    tell(&looker->asked);
    look_while(&looker->asking, answers);
  }
  return 0;
}

/* ======================================================================= */
/* Channels                                                                */
/* ======================================================================= */

enum { LIMIT = 1000, BATCH = 64 }; /* messages: as requests have them */
enum { YIELDS = 100 };             /* before the receiver sleeps */

typedef struct Message {
  lua_Integer integer;
  lua_Number number;
  size_t length;
  char text[40];
} Message;

typedef struct Channel {
  lua_State *L; /* of the receiver; the function is at index 1 */
  pthread_mutex_t mutex;
  pthread_cond_t has_messages;
  pthread_cond_t has_room; /* half of them have been taken; or all are done */
  int first;
  atomic_int count; /* written with the mutex only */
  bool is_busy;     /* the receiver has messages that it took */
  Message messages[LIMIT];
} Channel;

/* Looks for messages, so that senders don't have to wake this thread. */
static void search(Channel *channel)
{
  int i;
  for (i = 0; i < YIELDS && atomic_load(&channel->count) == 0; i++)
    sched_yield();
}

/* Returns: how many, at least 1. */
static int take(Channel *channel, Message *batch)
{
  int taken = 0;
  pthread_mutex_lock(&channel->mutex);
  channel->is_busy = false;
  while (channel->count == 0) {
    pthread_cond_signal(&channel->has_room);
    pthread_cond_wait(&channel->has_messages, &channel->mutex);
  }
  channel->is_busy = true;
  while (taken < BATCH && channel->count > 0) {
    batch[taken++] = channel->messages[channel->first];
    channel->first = (channel->first + 1) % LIMIT;
    if (--channel->count == LIMIT / 2)
      pthread_cond_signal(&channel->has_room);
  }
  pthread_mutex_unlock(&channel->mutex);
  return taken;
}

static void *receive_all(void *data)
{
  Channel *channel = data;
  lua_State *L = channel->L;
  Message batch[BATCH];
  for (;;) {
    int count, i;
    search(channel);
    count = take(channel, batch);
    for (i = 0; i < count; i++) {
      lua_pushvalue(L, 1);
      lua_pushinteger(L, batch[i].integer);
      lua_pushnumber(L, batch[i].number);
      lua_pushlstring(L, batch[i].text, batch[i].length);
      if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
        fprintf(stderr, "channel: %s\n", lua_tostring(L, -1));
        abort();
      }
    }
  }
  return NULL;
}

/* channel(core, code): the code returns the function. */
static int channel_channel(lua_State *L)
{
  int core = (int)luaL_checkinteger(L, 1);
  const char *code = luaL_checkstring(L, 2);
  Channel *channel = check_memory(L, calloc(1, sizeof(*channel)));
  pthread_mutex_init(&channel->mutex, NULL);
  pthread_cond_init(&channel->has_messages, NULL);
  pthread_cond_init(&channel->has_room, NULL);
  channel->L = check_memory(L, luaL_newstate());
  luaL_openlibs(channel->L);
  if (luaL_dostring(channel->L, code))
    return luaL_error(L, "%s", lua_tostring(channel->L, -1));
  lua_settop(channel->L, 1);
  start(receive_all, channel, core);
  push_object(L, channel);
  return 1;
}

/* channel:send(integer, number, string) */
static int channel_send(lua_State *L)
{
  Channel *channel = check_object(L);
  Message message = {.integer = luaL_checkinteger(L, 2),
                     .number = luaL_checknumber(L, 3)};
  const char *text = luaL_checklstring(L, 4, &message.length);
  luaL_argcheck(L, message.length <= sizeof(message.text), 4, "too long");
  memcpy(message.text, text, message.length);
  pthread_mutex_lock(&channel->mutex);
  if (channel->count == LIMIT) {
    do
      pthread_cond_wait(&channel->has_room, &channel->mutex);
    while (channel->count > LIMIT / 2);
  }
  channel->messages[(channel->first + channel->count) % LIMIT] = message;
  if (channel->count++ == 0)
    pthread_cond_signal(&channel->has_messages);
  pthread_mutex_unlock(&channel->mutex);
  return 0;
}

/* channel:drain(): waits until the function has returned from all. */
static int channel_drain(lua_State *L)
{
  Channel *channel = check_object(L);
  pthread_mutex_lock(&channel->mutex);
  while (channel->count > 0 || channel->is_busy)
    pthread_cond_wait(&channel->has_room, &channel->mutex);
  pthread_mutex_unlock(&channel->mutex);
  return 0;
}

/* Adds a method to the metatable on top, which is its upvalue. */
static void add_method(lua_State *L, const char *name, lua_CFunction method)
{
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, method, 1);
  lua_setfield(L, -2, name);
}

/* Adds the maker of objects to the table below their metatable; pops that. */
static void add_maker(lua_State *L, const char *name, lua_CFunction maker)
{
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushcclosure(L, maker, 1);
  lua_setfield(L, -2, name);
}

int luaopen_channel(lua_State *L)
{
  lua_newtable(L);
  lua_newtable(L);
  add_method(L, "wake", partner_wake);
  add_maker(L, "partner", channel_partner);
  lua_newtable(L);
  add_method(L, "ask", looker_ask);
  add_maker(L, "looker", channel_looker);
  lua_newtable(L);
  add_method(L, "send", channel_send);
  add_method(L, "drain", channel_drain);
  add_maker(L, "channel", channel_channel);
  return 1;
}
