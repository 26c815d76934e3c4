/*
** events: what threads do with the events of src/base/event.c, as counters
** and booleans for specs.
*/
#define _GNU_SOURCE

#include "support.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/event.c"

SUPPORT_EXPORT int luaopen_events(lua_State *L);

#define PATIENCE 60 /* seconds: nothing waits that long */

static void start(lua_State *L, pthread_t *thread, void *(*function)(void *),
                  void *data)
{
  if (pthread_create(thread, NULL, function, data) != 0) {
    luaL_error(L, "no thread");
  }
}

static void set_and_wake(mts_Event *event)
{
  if (mts_event_set(event)) {
    mts_event_wake(event);
  }
}

/* events.has_futex() */
static int has_futex(lua_State *L)
{
#if defined(MTS_HAS_FUTEX)
  lua_pushboolean(L, 1);
#else
  lua_pushboolean(L, 0);
#endif
  return 1;
}

/*
** events.alone(n): sets an event n times while nobody waits; whether it was to
** be waked for that, then what two waits give, the second one until now.
*/
static int alone(lua_State *L)
{
  int n = (int)luaL_checknumber(L, 1);
  int wakes = 0;
  mts_Event event;
  mts_event_init(&event);
  while (n-- > 0) {
    wakes |= mts_event_set(&event);
  }
  lua_pushboolean(L, wakes);
  lua_pushboolean(L, mts_event_wait(&event, -HUGE_VAL));
  lua_pushboolean(L, mts_event_wait(&event, mts_clock_now()));
  mts_event_destroy(&event);
  return 3;
}

/* events.expire(seconds): what a wait gives, and whether it was shorter. */
static int expire(lua_State *L)
{
  double deadline = mts_clock_now() + luaL_checknumber(L, 1);
  mts_Event event;
  mts_event_init(&event);
  lua_pushboolean(L, mts_event_wait(&event, deadline));
  lua_pushboolean(L, mts_clock_now() < deadline);
  mts_event_destroy(&event);
  return 2;
}

/* Two threads that take turns; `turn` has no other guard than the events. */
typedef struct Game {
  mts_Event ping, pong;
  int rounds;
  int turn;
} Game;

static void *answer(void *data)
{
  Game *game = data;
  int i;
  for (i = 0; i < game->rounds; i++) {
    (void)mts_event_wait(&game->ping, MTS_FOREVER);
    game->turn++;
    set_and_wake(&game->pong);
  }
  return NULL;
}

/* events.play(rounds): how many times the threads have had their turn. */
static int play(lua_State *L)
{
  Game game = {.rounds = (int)luaL_checknumber(L, 1)};
  pthread_t thread;
  int i;
  mts_event_init(&game.ping);
  mts_event_init(&game.pong);
  start(L, &thread, answer, &game);
  for (i = 0; i < game.rounds; i++) {
    game.turn++;
    set_and_wake(&game.ping);
    while (!mts_event_wait(&game.pong, mts_clock_now() + 1e-6 * (i % 100))) {
    }
  }
  pthread_join(thread, NULL);
  mts_event_destroy(&game.ping);
  mts_event_destroy(&game.pong);
  lua_pushinteger(L, game.turn);
  return 1;
}

/* Waits for the event in a page of its own, and unmaps that. */
static void *wait_and_unmap(void *data)
{
  int was_set = mts_event_wait(data, mts_clock_now() + PATIENCE);
  mts_event_destroy(data);
  munmap(data, sizeof(mts_Event));
  return was_set ? NULL : data;
}

/*
** events.unmap(n): n times an event that is gone when it has been set, waked
** all the same; how many waits found it set.
*/
static int unmap(lua_State *L)
{
  int n = (int)luaL_checknumber(L, 1);
  int found = 0;
  while (n-- > 0) {
    pthread_t thread;
    void *failure;
    mts_Event *event = mmap(NULL, sizeof(mts_Event), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (event == MAP_FAILED) {
      return luaL_error(L, "no page");
    }
    mts_event_init(event);
    start(L, &thread, wait_and_unmap, event);
    if (n % 2 == 0) {
      mts_clock_pause();
    }
    set_and_wake(event);
    pthread_join(thread, &failure);
    mts_event_wake(event);
    found += failure == NULL;
  }
  lua_pushinteger(L, found);
  return 1;
}

/* A thread that is cancelled while it waits. */
typedef struct Victim {
  mts_Event event;
  atomic_long id;
  int was_set;
} Victim;

static void *wait_cancelled(void *data)
{
  Victim *victim = data;
  atomic_store(&victim->id, (long)syscall(SYS_gettid));
  victim->was_set = mts_event_wait(&victim->event, MTS_FOREVER);
  pthread_testcancel();
  return NULL;
}

static int is_asleep(Victim *victim)
{
  long id = atomic_load(&victim->id);
  return id != 0 && support_thread_status(id) == 'S';
}

/*
** events.cancel(): cancels a thread that waits, then sets the event: whether
** the thread has found it set, and whether it was cancelled then.
*/
static int cancel(lua_State *L)
{
  Victim victim = {.was_set = 0};
  pthread_t thread;
  void *result;
  int seen = 0;
  mts_event_init(&victim.event);
  start(L, &thread, wait_cancelled, &victim);
  while (seen < 4) {
    mts_clock_pause();
    seen = is_asleep(&victim) ? seen + 1 : 0;
  }
  pthread_cancel(thread);
  set_and_wake(&victim.event);
  pthread_join(thread, &result);
  mts_event_destroy(&victim.event);
  lua_pushboolean(L, victim.was_set);
  lua_pushboolean(L, result == PTHREAD_CANCELED);
  return 2;
}

static const luaL_Reg functions[] = {{"has_futex", has_futex},
                                     {"alone", alone},
                                     {"expire", expire},
                                     {"play", play},
                                     {"unmap", unmap},
                                     {"cancel", cancel},
                                     {NULL, NULL}};

int luaopen_events(lua_State *L)
{
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
