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

static const luaL_Reg functions[] = {
    {"plan", plan}, {"start", start_watch}, {"tries", tries}, {NULL, NULL}};

int luaopen_watches(lua_State *L)
{
  support_pin(L, &watched);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
