/*
** looking.c - what the module and its states do, for Lua code
**
** Tables are made in protected calls, so that states and lists which are held
** meanwhile can be given back; finalizers that run there can do what they
** like.
**
** Takes no locks of its own.
*/
#include "lua/looking.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/registry.h"
#include "core/traceback.h"
#include "error.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/waiting.h"
#include "luaapi/protect.h"
#include "sched/queuelist.h"
#include "sched/statestats.h"
#include "sched/team.h"
#include "sched/timer.h"
#include "sched/worker.h"

/* ======================================================================= */
/* Stats                                                                   */
/* ======================================================================= */

static void set_count(lua_State *L, const char *name, size_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, double seconds)
{
  lua_pushnumber(L, seconds);
  lua_setfield(L, -2, name);
}

/* Pushes the table of s.  Stack: [-0, +1, m] */
static void push_figures(lua_State *L, const mts_State *s,
                         const mts_StateStats *stats)
{
  lua_createtable(L, 0, 14);
  set_count(L, "id", (size_t)s->id);
  if (atomic_load(&s->has_name)) {
    lua_pushlstring(L, s->name, s->name_length);
    lua_setfield(L, -2, "name");
  }
  set_count(L, "owners", stats->owners);
  set_count(L, "queue", stats->queue.waiting);
  set_count(L, "tasks", stats->queue.under_way);
  set_count(L, "calls", stats->calls);
  set_count(L, "errors", stats->errors);
  set_count(L, "waiting", stats->waiting);
  set_count(L, "memory", stats->memory);
  set_count(L, "peak", stats->peak);
  set_seconds(L, "time", stats->time);
  if (stats->is_busy)
    set_seconds(L, "busy", stats->busy);
  if (stats->is_busy && stats->thread != 0)
    set_count(L, "thread", (size_t)stats->thread);
}

/* What is shown, with references to states. */
typedef struct View {
  mts_State **states;
  size_t count;
  mts_State *member; /* the one that is being shown, or NULL */
} View;

/* Sets the tables of its members in the one of a pool, on top. */
static void set_members(lua_State *L, View *view, const mts_State *pool)
{
  mts_StateStats stats;
  size_t i;
  lua_newtable(L);
  for (i = 0; (view->member = mts_team_keep_member(pool, i)) != NULL; i++) {
    (void)mts_statestats_read(view->member, &stats);
    push_figures(L, view->member, &stats);
    lua_rawseti(L, -2, (int)i + 1);
    mts_state_release(view->member);
  }
  lua_setfield(L, -2, "members");
}

/* Pushes the table of s, unless it is closed.  Returns: whether it is not. */
static bool push_stats(lua_State *L, View *view, mts_State *s)
{
  mts_StateStats stats;
  if (mts_statestats_read(s, &stats) != MTS_OK)
    return false;
  push_figures(L, s, &stats);
  if (mts_state_is_pool(s))
    set_members(L, view, s);
  return true;
}

/* Calls the function as mts_protect does; it pushes what is to be shown. */
static bool show(lua_State *L, View *view, mts_Function function)
{
  bool is_shown;
  size_t i;
  view->member = NULL;
  mts_protect_push(L);
  is_shown = mts_protect(L, function, view, 0, 1, 0) == LUA_OK;
  for (i = 0; i < view->count; i++)
    mts_state_release(view->states[i]);
  if (view->member)
    mts_state_release(view->member);
  return is_shown;
}

static int show_state(lua_State *L, void *data)
{
  View *view = data;
  return push_stats(L, view, view->states[0]);
}

int mts_looking_stats(lua_State *L)
{
  mts_State *s = mts_stateobject_check_live(L)->state;
  View view = {&s, 1, NULL};
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_retain(s);
  mts_state_describe(s, description);
  if (!show(L, &view, show_state))
    return lua_error(L);
  if (lua_isnil(L, -1))
    return mts_error_raise_status(L, MTS_CLOSED, description);
  return 1;
}

static int compare_ids(const void *a, const void *b)
{
  const mts_State *one = *(mts_State *const *)a;
  const mts_State *other = *(mts_State *const *)b;
  return (one->id > other->id) - (one->id < other->id);
}

/* Members are shown with their pools. */
static int show_all(lua_State *L, void *data)
{
  View *view = data;
  size_t i;
  int shown = 0;
  lua_newtable(L);
  for (i = 0; i < view->count; i++) {
    mts_State *s = view->states[i];
    if ((!s->team || mts_state_is_pool(s)) && push_stats(L, view, s))
      lua_rawseti(L, -2, ++shown);
  }
  return 1;
}

int mts_looking_states(lua_State *L)
{
  View view;
  bool is_shown;
  if (mts_registry_list(&view.states, &view.count) != MTS_OK)
    return mts_error_raise_status(L, MTS_NO_MEMORY, "states");
  qsort(view.states, view.count, sizeof(mts_State *), compare_ids);
  is_shown = show(L, &view, show_all);
  free(view.states);
  return is_shown ? 1 : lua_error(L);
}

/* Bytes that all open states take.  Errors: out_of_memory.  Stack: [0, 0, e]
*/
static size_t sum_memory(lua_State *L)
{
  mts_State **states;
  size_t count, i, sum = 0;
  if (mts_registry_list(&states, &count) != MTS_OK)
    mts_error_raise_status(L, MTS_NO_MEMORY, "states");
  for (i = 0; i < count; i++) {
    sum += mts_heap_used(&states[i]->heap);
    mts_state_release(states[i]);
  }
  free(states);
  return sum;
}

int mts_looking_module_stats(lua_State *L)
{
  const size_t memory = sum_memory(L);
  const mts_WorkerStats workers = mts_worker_stats();
  const mts_RequestStats requests = mts_queuelist_stats();
  lua_createtable(L, 0, 7);
  set_count(L, "workers", workers.workers);
  set_count(L, "replacements", workers.replacements);
  set_count(L, "idle", workers.idle);
  set_count(L, "requests", requests.requests);
  set_count(L, "messages", requests.messages);
  set_count(L, "timers", mts_timer_count());
  set_count(L, "memory", memory);
  return 1;
}

/* ======================================================================= */
/* Tracebacks                                                              */
/* ======================================================================= */

#define DEFAULT_PATIENCE 1.0 /* seconds */

/* Between tries, in seconds. */
#define FIRST_PAUSE 20e-6
#define LONGEST_PAUSE 2e-3

/* The Lua thread that asks, and until when. */
typedef struct Asking {
  mts_Waiting waiting;
  double deadline;
  mts_State *caller; /* whose code asks, or NULL */
} Asking;

/*
** Tries until the traceback is there.
** Returns: as mts_traceback_try; MTS_BUSY: the time was not enough; what
** mts_worker_sleep returns.
*/
static mts_Status await_traceback(Asking *asking, mts_Traceback *request)
{
  mts_Waiting *waiting = &asking->waiting;
  lua_State *L = request->state == asking->caller ? waiting->L : NULL;
  double pause = FIRST_PAUSE;
  mts_Status status;
  while ((status = mts_traceback_try(request, L)) == MTS_BUSY) {
    const double now = mts_clock_now();
    if (now >= asking->deadline)
      break;
    waiting->patience.deadline =
        asking->deadline < now + pause ? asking->deadline : now + pause;
    status = mts_worker_sleep(&waiting->patience);
    if (status != MTS_OK && !mts_waiting_goes_on(waiting, status))
      break;
    pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE;
  }
  return status;
}

/* Appends the traceback of s, if there is one. */
static mts_Status append_traceback(Asking *asking, mts_State *s,
                                   mts_Buffer *text)
{
  mts_Traceback request;
  mts_Status status;
  mts_traceback_open(&request, s);
  status = await_traceback(asking, &request);
  mts_traceback_close(&request);
  if (status == MTS_OK && request.text.length > 0 &&
      !mts_buffer_append(text, request.text.data, request.text.length))
    status = MTS_NO_MEMORY;
  mts_buffer_free(&request.text);
  return status;
}

/* The same for a member of a pool, with a heading. */
static mts_Status append_member(Asking *asking, mts_State *s, mts_Buffer *text)
{
  const size_t before = text->length;
  char description[MTS_DESCRIPTION_SIZE];
  size_t headed;
  mts_Status status;
  mts_state_describe(s, description);
  if ((before > 0 && !mts_buffer_append_text(text, "\n\n")) ||
      !mts_buffer_append_text(text, description) ||
      !mts_buffer_append_text(text, "\n"))
    return MTS_NO_MEMORY;
  headed = text->length;
  status = append_traceback(asking, s, text);
  if (status == MTS_BUSY)
    status = mts_buffer_append_text(text, "no traceback in time")
                 ? MTS_OK
                 : MTS_NO_MEMORY;
  else if (text->length == headed)
    text->length = before;
  return status == MTS_CLOSED ? MTS_OK : status;
}

static mts_Status append_members(Asking *asking, const mts_State *pool,
                                 mts_Buffer *text)
{
  mts_Status status = mts_lock_is_closed(&pool->lock) ? MTS_CLOSED : MTS_OK;
  mts_State *s;
  size_t i;
  for (i = 0; status == MTS_OK && (s = mts_team_keep_member(pool, i)) != NULL;
       i++) {
    status = append_member(asking, s, text);
    mts_state_release(s);
  }
  return status;
}

static int push_traceback_text(lua_State *L, void *data)
{
  const mts_Buffer *text = data;
  lua_pushlstring(L, text->data, text->length);
  return 1;
}

/* Pushes the text, and frees it; nil for an empty one. */
static int push_traceback(lua_State *L, mts_Buffer *text)
{
  int result = LUA_OK;
  if (text->length == 0)
    lua_pushnil(L);
  else {
    mts_protect_push(L);
    result = mts_protect(L, push_traceback_text, text, 0, 1, 0);
  }
  mts_buffer_free(text);
  return result == LUA_OK ? 1 : lua_error(L);
}

int mts_looking_traceback(lua_State *L)
{
  double seconds = DEFAULT_PATIENCE;
  mts_Buffer text = {0};
  char description[MTS_DESCRIPTION_SIZE];
  Asking asking;
  mts_StateObject *object;
  mts_State *s;
  mts_Status status;
  lua_settop(L, 2);
  mts_stateobject_check_live(L);
  if (!lua_isnil(L, 2))
    seconds = mts_numbers_check_seconds(L, 2);
  asking.deadline = mts_numbers_deadline(seconds);
  mts_waiting_open(L, &asking.waiting, asking.deadline);
  object = mts_stateobject_check_live(L); /* a hook can have run */
  asking.caller = mts_stateobject_caller(L, object);
  s = object->state;
  mts_state_retain(s);
  mts_state_describe(s, description);
  status = mts_state_is_pool(s) ? append_members(&asking, s, &text)
                                : append_traceback(&asking, s, &text);
  mts_state_release(s);
  if (status == MTS_OK)
    return push_traceback(L, &text);
  mts_buffer_free(&text);
  if (status == MTS_BUSY)
    return luaL_error(L, "mtstates: %s: no traceback within %f seconds",
                      description, seconds);
  return mts_waiting_raise(L, status, description);
}
