/*
** ticker.c - native code that notifies a Lua object from a thread of its own
**
** A stand-in for all native code that has something to tell at a time that
** Lua doesn't know: a driver, a sound card, a network library.  It needs no
** more than the header notify_capi.h, is not linked with mtstates, and works
** with every object that offers the Notify C API.
**
**   local ticker = require "ticker"
**   local t = ticker.new(state)
**   t:start(count)      a thread begins to notify the state count times
**   local done, result, message = t:wait()      waits for its end; result is
**                       "ok", "closed" or "failed" (then with a message)
**
** Build by hand (make does it, too):
**   cc -shared -fPIC -pthread -Iinclude -I/usr/include/lua5.4 \
**      -o build/5.4/examples/ticker.so examples/native/ticker.c
*/
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "mtstates/notify_capi.h"

#define TICKER_CLASS "examples.ticker"

typedef struct Ticker {
  const notify_capi *capi;
  notify_notifier *notifier; /* retained; NULL if there is none (any more) */
  pthread_t thread;
  int is_running; /* the thread has to be joined */

  /* For the thread alone while it runs. */
  lua_Integer count; /* notifications to send */
  lua_Integer done;  /* notifications that succeeded */
  int status;        /* what the last notification returned */
  char *message;     /* of a failed notification, or NULL */
} Ticker;

/* Called by notify when it fails.  The text is only lent, so copy it. */
static void keep_message(void *ehdata, const char *msg, size_t msglen)
{
  Ticker *ticker = (Ticker *)ehdata;
  ticker->message = (char *)malloc(msglen + 1);
  if (ticker->message) {
    memcpy(ticker->message, msg, msglen);
    ticker->message[msglen] = '\0';
  }
}

/* The thread.  It has no lua_State and doesn't know what Lua is. */
static void *run(void *arg)
{
  Ticker *ticker = (Ticker *)arg;
  while (ticker->done < ticker->count && ticker->status == 0) {
    ticker->status =
        ticker->capi->notify(ticker->notifier, keep_message, ticker);
    if (ticker->status == 0)
      ticker->done++;
  }
  return NULL;
}

static void join(Ticker *ticker)
{
  if (ticker->is_running) {
    pthread_join(ticker->thread, NULL);
    ticker->is_running = 0;
  }
}

static int ticker_new(lua_State *L)
{
  int reason = 0;
  const notify_capi *capi = notify_get_capi(L, 1, &reason);
  notify_notifier *notifier = capi ? capi->toNotifier(L, 1) : NULL;
  Ticker *ticker;
  if (!notifier)
    return luaL_argerror(L, 1,
                         reason == 1
                             ? "other version of the Notify C API"
                             : "object with the Notify C API expected");

  ticker = (Ticker *)lua_newuserdata(L, sizeof(Ticker));
  memset(ticker, 0, sizeof(Ticker));
  luaL_getmetatable(L, TICKER_CLASS);
  lua_setmetatable(L, -2);

  /* The Lua object may be collected before this one: hold on to what is
  ** behind it.  __gc lets it go. */
  capi->retainNotifier(notifier);
  ticker->capi = capi;
  ticker->notifier = notifier;
  return 1;
}

static int ticker_start(lua_State *L)
{
  Ticker *ticker = (Ticker *)luaL_checkudata(L, 1, TICKER_CLASS);
  lua_Integer count = luaL_checkinteger(L, 2);
  if (ticker->is_running || !ticker->notifier)
    return luaL_error(L, "ticker can't be started now");
  free(ticker->message);
  ticker->message = NULL;
  ticker->count = count;
  ticker->done = 0;
  ticker->status = 0;
  if (pthread_create(&ticker->thread, NULL, run, ticker) != 0)
    return luaL_error(L, "no more threads");
  ticker->is_running = 1;
  return 0;
}

static int ticker_wait(lua_State *L)
{
  Ticker *ticker = (Ticker *)luaL_checkudata(L, 1, TICKER_CLASS);
  join(ticker);
  lua_pushinteger(L, ticker->done);
  lua_pushstring(L, ticker->status == 0   ? "ok"
                    : ticker->status == 1 ? "closed"
                                          : "failed");
  lua_pushstring(L, ticker->message); /* NULL is pushed as nil */
  return 3;
}

static int ticker_gc(lua_State *L)
{
  Ticker *ticker = (Ticker *)luaL_checkudata(L, 1, TICKER_CLASS);
  join(ticker);
  if (ticker->notifier)
    ticker->capi->releaseNotifier(ticker->notifier);
  ticker->notifier = NULL;
  free(ticker->message);
  ticker->message = NULL;
  return 0;
}

static const luaL_Reg methods[] = {
    {"start", ticker_start},
    {"wait", ticker_wait},
    {"__gc", ticker_gc},
    {NULL, NULL},
};

int luaopen_ticker(lua_State *L);
int luaopen_ticker(lua_State *L)
{
  const luaL_Reg *method;
  luaL_newmetatable(L, TICKER_CLASS);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  for (method = methods; method->name; method++) {
    lua_pushcfunction(L, method->func);
    lua_setfield(L, -2, method->name);
  }
  lua_newtable(L);
  lua_pushcfunction(L, ticker_new);
  lua_setfield(L, -2, "new");
  return 1;
}
