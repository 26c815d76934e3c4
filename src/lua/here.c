/*
** here.c - the state of a Lua state that the module has not made
**
** A main program and the like get a state when they fork for the first time,
** or call mtstates.here, which makes it known to others; the context of the
** Lua state has it.  It is closed with the Lua state, by a finalizer.  If it
** is closed before, the next one takes its place; but its memory is kept as
** long as the Lua state, since a wait can still have it attached.  One that a
** finalizer makes while the Lua state is closed would have no finalizer called
** itself; so there is an object from the beginning, whose finalizer closes it.
**
** The Lua state itself counts as an owner, beside the objects that here gives.
**
** As in stateobject.c, nothing is held when an error is raised.
**
** Takes no locks of its own.
*/
#include "lua/here.h"

#include "core/dispatch.h"
#include "core/registry.h"
#include "error.h"
#include "lua/numbers.h"
#include "lua/options.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
#include "sched/host.h"
#include "sched/worker.h"

/* ======================================================================= */
/* The state                                                               */
/* ======================================================================= */

/* The Lua state is closed, or *kept was not filled. */
static void end_state(lua_State *L, mts_Context *context, mts_State **kept)
{
  mts_State *s = *kept;
  if (!s)
    return;
  *kept = NULL;
  context->has_ended = true;
  mts_host_close(s, L); /* its code finds it, so that it cannot wait */
  if (context->here_state == s)
    context->here_state = NULL;
}

static int collect_state(lua_State *L)
{
  mts_State **kept = lua_touserdata(L, 1);
  if (kept)
    end_state(L, lua_touserdata(L, lua_upvalueindex(1)), kept);
  return 0;
}

/* Runs after collect_state, unless a finalizer has made the state. */
static int end_context(lua_State *L)
{
  mts_Context *context = lua_touserdata(L, lua_upvalueindex(1));
  context->has_ended = true;
  if (context->here_state)
    end_state(L, context, context->here_kept);
  return 0;
}

/* Makes an object with that finalizer, which the Lua registry keeps. */
static mts_State **keep(lua_State *L, int context, lua_CFunction finalize)
{
  mts_State **kept = lua_newuserdatauv(L, sizeof(*kept), 0);
  *kept = NULL;
  lua_newtable(L);
  lua_pushvalue(L, context); /* is needed as long */
  lua_pushcclosure(L, finalize, 1);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
  return kept;
}

/* Makes the state of L. */
static mts_State *make_state(lua_State *L)
{
  mts_Context *context = mts_userdata_context(L);
  mts_State **kept = keep(L, MTS_CONTEXT, collect_state);
  mts_Status status = mts_host_new(L, kept);
  if (status != MTS_OK)
    mts_error_raise_status(L, status, "new state");
  context->here_state = *kept;
  context->here_kept = kept;
  return *kept;
}

void mts_here_open(lua_State *L)
{
  const mts_Context *context = lua_touserdata(L, -1);
  if (!context->host_state)
    (void)keep(L, lua_gettop(L), end_context);
}

/* Whether the state, which L has had, is closed, or has to be and is now. */
static bool is_closed(lua_State *L, mts_State *s)
{
  if (mts_host_is_inside(s))
    return false;
  if (mts_lock_lacks_closer(&s->lock) && mts_host_run(s, L) == MTS_DISTURBED)
    lua_error(L);
  return mts_lock_is_closed(&s->lock);
}

mts_State *mts_here_find(lua_State *L)
{
  mts_Context *context = mts_userdata_context(L);
  if (context->host_state)
    return context->host_state;
  if (context->has_ended)
    mts_error_raise_status(L, MTS_ENDING, "this Lua state");
  if (context->here_state && !is_closed(L, context->here_state))
    return context->here_state;
  if (context->here_state)
    mts_host_close_fd(context->here_state);
  return make_state(L);
}

/* ======================================================================= */
/* mtstates.here                                                           */
/* ======================================================================= */

/* The arguments; indices are 0 for those that are not given. */
typedef struct Arguments {
  int name, options, callback;
  mts_Setup setup;
} Arguments;

static void read_arguments(lua_State *L, Arguments *arguments)
{
  int index = 1;
  *arguments = (Arguments){.name = 0};
  if (lua_type(L, 1) == LUA_TSTRING)
    arguments->name = index++;
  else if (lua_isnil(L, 1) && lua_gettop(L) > 1)
    index++;
  if (lua_istable(L, index) && lua_gettop(L) > index)
    arguments->options = index++;
  else if (lua_isnil(L, index) && lua_gettop(L) > index)
    index++;
  if (!lua_isnoneornil(L, index))
    arguments->callback = index;
  if (arguments->callback && !lua_isfunction(L, index) &&
      !lua_istable(L, index))
    luaL_typeerror(L, index, "function or table");
  mts_options_set_defaults(&arguments->setup);
  if (arguments->options > 0)
    mts_options_read(L, arguments->options, MTS_OPTIONS_HERE,
                     &arguments->setup);
}

static int raise_no_callback(lua_State *L)
{
  return luaL_error(L, "this state has no callback");
}

/*
** Pushes what requests call, and the function that is to be called last, or
** nil.  index: of a function, or table of functions; 0: there is none.
*/
static void push_functions(lua_State *L, int index)
{
  if (index == 0)
    lua_pushcfunction(L, raise_no_callback);
  else if (lua_istable(L, index)) {
    mts_dispatch_push(L, index);
    lua_getfield(L, index, MTS_DISPATCH_CLOSE);
    return;
  }
  else
    lua_pushvalue(L, index);
  lua_pushnil(L);
}

/* Stores them, which are on top of the stack, in the place of those before. */
static void keep_functions(lua_State *L, mts_State *s)
{
  const int last_ref =
      lua_isnil(L, -1) ? LUA_NOREF : luaL_ref(L, LUA_REGISTRYINDEX);
  if (last_ref == LUA_NOREF)
    lua_pop(L, 1);
  if (s->callback_ref == LUA_NOREF)
    s->callback_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  else
    lua_rawseti(L, LUA_REGISTRYINDEX, s->callback_ref);
  s->last_ref = last_ref;
}

/* The limits, which forks do not look at, can be set until it is known. */
static mts_Status set_limits(mts_State *s, const mts_Setup *setup)
{
  mts_Queue *queue = mts_queue_of(s);
  if (!queue)
    return MTS_NO_MEMORY;
  s->queue_limit = setup->queue_limit;
  s->task_limit = setup->task_limit;
  mts_mutex_lock(&queue->mutex);
  queue->limit = s->queue_limit;
  queue->tasks.limit = s->task_limit;
  mts_mutex_unlock(&queue->mutex);
  return MTS_OK;
}

/* Makes the state known. */
static void publish(lua_State *L, mts_State *s, const Arguments *arguments)
{
  mts_Status status = mts_worker_start_all();
  push_functions(L, arguments->callback);
  keep_functions(L, s);
  if (status == MTS_OK)
    status = set_limits(s, &arguments->setup);
  if (status == MTS_OK && arguments->name > 0) {
    size_t length;
    const char *name = lua_tolstring(L, arguments->name, &length);
    status = mts_state_set_name(s, name, length);
  }
  if (status != MTS_OK)
    mts_error_raise_status(L, status, "new state");
  mts_state_note_memory(s, L);
  atomic_store(&s->is_here, true);
  mts_registry_publish(s);
}

/* A state that is known keeps its name and options, and a callback. */
static void add_callback(lua_State *L, mts_State *s,
                         const Arguments *arguments)
{
  static const char text[] = "the state of this Lua state is there already";
  luaL_argcheck(L, arguments->name == 0, 1, text);
  if (arguments->options > 0)
    luaL_argerror(L, arguments->options, text);
  if (arguments->callback == 0)
    return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->callback_ref);
  if (lua_tocfunction(L, -1) != raise_no_callback)
    luaL_argerror(L, arguments->callback,
                  "the state of this Lua state has a callback already");
  push_functions(L, arguments->callback);
  keep_functions(L, s);
}

/* In a state of the module. */
static int push_reference(lua_State *L, mts_State *s)
{
  int index;
  for (index = 1; index <= lua_gettop(L); index++)
    luaL_argcheck(L, lua_isnil(L, index), index,
                  "a state of the module has what it was made with");
  mts_state_retain(s);
  mts_stateobject_push(L)->state = s;
  return 1;
}

int mts_here_here(lua_State *L)
{
  mts_State *s = mts_userdata_context(L)->host_state;
  mts_StateObject *object;
  mts_Status status;
  Arguments arguments;
  int top;
  if (s)
    return push_reference(L, s);
  read_arguments(L, &arguments);
  object = mts_stateobject_push(L);
  top = lua_gettop(L);
  s = mts_here_find(L);
  if (atomic_load(&s->is_here))
    add_callback(L, s, &arguments);
  else
    publish(L, s, &arguments);
  status = mts_registry_add_owner(s);
  if (status != MTS_OK)
    return mts_error_raise_about(L, status, s);
  mts_state_retain(s);
  object->state = s;
  object->is_owner = true;
  lua_settop(L, top);
  return 1;
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* The state of this Lua state, that the method is called for. */
static mts_State *check_here(lua_State *L)
{
  const mts_Context *context = mts_userdata_context(L);
  mts_State *s = mts_stateobject_check_live(L)->state;
  lua_pop(L, 1);
  if (!s->is_host || s != context->here_state) /* or it was, before */
    luaL_argerror(L, 1,
                  "state made by mtstates.here in this Lua state expected");
  if (mts_lock_is_closed(&s->lock))
    mts_error_raise_about(L, MTS_CLOSED, s);
  return s;
}

/* Waits for the first, if there is none. */
int mts_here_run(lua_State *L)
{
  mts_State *s = check_here(L);
  const lua_Number timeout =
      lua_isnoneornil(L, 2) ? 0 : mts_numbers_check_seconds(L, 2);
  mts_Waiting waiting;
  mts_Status status;
  int count;
  mts_waiting_open(L, &waiting, mts_numbers_deadline(timeout));
  waiting.patience.was_attached = true; /* all that is due runs first */
  for (;;) {
    status = mts_host_run_due(s, L, &count);
    if (status != MTS_OK || count > 0 || timeout <= 0 ||
        !waiting.patience.attach || mts_lock_is_closed(&s->lock))
      break;
    status = mts_worker_sleep(&waiting.patience);
    if (status != MTS_DISTURBED || !mts_waiting_obeys_hook(&waiting))
      break;
  }
  if (status != MTS_OK)
    return mts_waiting_raise(L, status, "run");
  lua_pushinteger(L, count);
  return 1;
}

int mts_here_fd(lua_State *L)
{
  mts_State *s = check_here(L);
  int fd;
  if (mts_worker_is_forked())
    return mts_error_raise_status(L, MTS_FORKED, "fd");
  fd = mts_host_fd(s);
  if (fd < 0)
    return mts_error_raise(L, MTS_ERROR_OUT_OF_MEMORY,
                           "not enough memory, or no file descriptor");
  lua_pushinteger(L, fd);
  return 1;
}
