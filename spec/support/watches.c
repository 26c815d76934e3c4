/*
** watches: the watcher thread of src/core/watch.c, which is linked into this
** module, too, as specs see it.  The module stays loaded, as the thread does
** not end.
*/
#define _GNU_SOURCE

#include "support.h"

#include <stdatomic.h>

#include "async_util.h"
#include "core/watch.h"

SUPPORT_EXPORT int luaopen_watches(lua_State *L);

/* What the watcher is to do, and what it has done. */
static struct {
  mts_Watch watch;
  atomic_int left; /* tries, until there is no next one */
  atomic_int tries;
  double seconds; /* until the next one */
  double last;    /* point of the clock of the last try */
  atomic_int early;
} watched;

static double try_watched(mts_Watch *watch)
{
  double now = mts_clock_now();
  double seconds = watched.seconds;
  (void)watch;
  if (now < watched.last + seconds)
    atomic_fetch_add(&watched.early, 1);
  watched.last = now;
  if (atomic_fetch_sub(&watched.left, 1) <= 1)
    seconds = 0;
  atomic_fetch_add(&watched.tries, 1); /* `plan` may follow */
  return seconds;
}

/*
** watches.plan(tries, seconds): what is to be done in future; while the watch
** is off or not due.
*/
static int plan(lua_State *L)
{
  atomic_store(&watched.left, (int)luaL_checknumber(L, 1));
  watched.seconds = luaL_checknumber(L, 2);
  watched.last = -HUGE_VAL;
  atomic_store(&watched.tries, 0);
  atomic_store(&watched.early, 0);
  return 0;
}

/* watches.start(seconds): whether the watch was off and is on now. */
static int start_watch(lua_State *L)
{
  lua_pushboolean(L,
                  mts_watch_start(&watched.watch, try_watched,
                                  mts_clock_now() + luaL_checknumber(L, 1)));
  return 1;
}

/* watches.tries(): how many there were, and how many of them too early. */
static int tries(lua_State *L)
{
  lua_pushinteger(L, atomic_load(&watched.tries));
  lua_pushinteger(L, atomic_load(&watched.early));
  return 2;
}

/* Many at once, each of which is to be tried once. */
#define MANY 150

typedef struct One {
  mts_Watch watch; /* the first part */
  atomic_int tries;
} One;

static One many[MANY];

static double try_one(mts_Watch *watch)
{
  atomic_fetch_add(&((One *)(void *)watch)->tries, 1);
  return 0;
}

/* Any order of them, that the factor says: it has no divisor in common. */
static mts_Watch *one_of_many(int i, int factor)
{
  return &many[i * factor % MANY].watch;
}

/*
** watches.start_many(): starts them with late points of the clock; then, for
** many but not all, ends that, or not, and starts them with an early one.
** Returns how many are early.
*/
static int start_many(lua_State *L)
{
  const double now = mts_clock_now();
  int i, count = 0;
  for (i = 0; i < MANY; i++) {
    atomic_store(&many[i].tries, 0);
    mts_watch_start(one_of_many(i, 7), try_one, now + 1e6 + i);
  }
  for (i = 0; i < MANY; i++) {
    mts_Watch *watch = one_of_many(i, 11);
    if (i % 3 == 0)
      mts_watch_stop(watch);
    if (i % 3 != 2) {
      mts_watch_start(watch, try_one, now + 1e-5 * (i * 13 % MANY));
      count++;
    }
  }
  lua_pushinteger(L, count);
  return 1;
}

/* watches.start_rest(): the others are early, too; how many there are. */
static int start_rest(lua_State *L)
{
  int i;
  for (i = 0; i < MANY; i++)
    if (i % 3 == 2)
      mts_watch_start(one_of_many(i, 11), try_one, mts_clock_now());
  lua_pushinteger(L, MANY);
  return 1;
}

/* watches.tried(): how many of them were tried once. */
static int tried(lua_State *L)
{
  int i, count = 0;
  for (i = 0; i < MANY; i++)
    count += atomic_load(&many[i].tries) == 1;
  lua_pushinteger(L, count);
  return 1;
}

static const luaL_Reg functions[] = {{"plan", plan},
                                     {"start", start_watch},
                                     {"tries", tries},
                                     {"start_many", start_many},
                                     {"start_rest", start_rest},
                                     {"tried", tried},
                                     {NULL, NULL}};

int luaopen_watches(lua_State *L)
{
  support_pin(L, &watched);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
