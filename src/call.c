/*
** call.c - running the callback of a state
**
** Two Lua states take part: `from`, the caller's, and `to`, the one that is
** called, which the thread holds.  Each has its own chain of protected calls,
** so an error that one of them raises must be caught in that same one:
**
** 1. What needs memory of `to` runs in a protected call of `to`.
** 2. What needs memory of `from` while `to` is held runs in a protected call
**    of `from`.
** 3. Plain values need no memory: they are copied without either.
** 4. Texts of errors are composed in plain memory and become Lua strings when
**    `to` has been left.
**
** A nested call runs on the Lua thread of `to` that is running at that
** moment, above whatever is on its stack.
**
** Takes no locks beyond the call lock of the state.
*/
#include "call.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "interrupt.h"
#include "protect.h"

/* How far a protected call has got: what an error means depends on it. */
typedef enum Stage { STARTING, GROWING, COPYING, RUNNING } Stage;

/* A call in progress. */
typedef struct Call {
  mts_State *state;
  lua_State *to;
  lua_State *outer;           /* what the call around this one is on */
  int base;                   /* top of `to` before the call */
  int first;                  /* first result in `to` */
  mts_Values results;         /* those that are copied, */
  int pushed;                 /* and how many the caller's stack has got */
  const mts_Values *args;     /* what to call it with: one of these two, */
  const mts_Message *message; /* or neither */
  Stage stage;
  mts_Buffer *error_text;
} Call;

/* Stack slots that a call needs besides those of arguments or results. */
#define SLOTS 6

static Call begin(mts_State *s, mts_Buffer *error_text)
{
  lua_State *to = atomic_load_explicit(&s->running, memory_order_relaxed);
  Call call = {.state = s,
               .to = to,
               .outer = s->innermost,
               .base = lua_gettop(to),
               .stage = STARTING,
               .error_text = error_text};
  s->innermost = to;
  mts_interrupt_check(s);
  return call;
}

/* Composes the text for the error value on top of L. */
static mts_Status report(const Call *call, mts_Error error, lua_State *L)
{
  static const char no_string[] = "(error object is not a string)";
  size_t length = sizeof(no_string) - 1;
  const char *text = no_string;
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tolstring(L, -1, &length);
  return mts_error_compose(call->error_text, error, call->state, text, length);
}

/*
** A function that runs in a protected call of L sees other stack indices than
** its caller.  So if the values to be copied are on the stack of L itself,
** because a state calls itself, they are pushed as further arguments of that
** function.  Returns how many.
*/
static int push_if_own(lua_State *L, const mts_Values *values)
{
  int i;
  if (values->L != L)
    return 0;
  for (i = 0; i < values->count; i++)
    lua_pushvalue(L, values->first + i);
  return values->count;
}

/* Runs in the protected call: makes room for count values. */
static void grow(Call *call, lua_State *L, size_t count)
{
  call->stage = GROWING;
  luaL_checkstack(L, (int)count + SLOTS, "too many values");
  call->stage = COPYING;
}

/* Whether that call failed because there was no memory for the values. */
static bool had_no_room(const Call *call, int result)
{
  return call->stage == GROWING ||
         (result == LUA_ERRMEM && call->stage != RUNNING);
}

/*
** Runs in the protected call: copies the values.  If they were on the stack of
** L, they are now the arguments from the index own on.
*/
static void push_copies(Call *call, lua_State *L, const mts_Values *values,
                        int own)
{
  mts_Values seen = *values;
  if (seen.L == L)
    seen.first = own;
  grow(call, L, (size_t)seen.count);
  mts_transfer_push(L, &seen);
}

/* ======================================================================= */
/* Arguments                                                               */
/* ======================================================================= */

/* Runs in `to`: [1] the callback. */
static int push_args_and_call(lua_State *to, void *data)
{
  Call *call = data;
  int base = lua_gettop(to);
  lua_pushvalue(to, 1);
  if (call->args)
    push_copies(call, to, call->args, 2);
  else {
    grow(call, to, call->message->count);
    mts_message_push(to, call->message);
  }
  call->stage = RUNNING;
  lua_call(to, lua_gettop(to) - base - 1, LUA_MULTRET);
  return lua_gettop(to) - base;
}

/* Pushes message handler and callback; returns the index of the handler. */
static int push_callback(const Call *call)
{
  const mts_State *s = call->state;
  lua_State *to = call->to;
  if (s->depth == 1) { /* on the main Lua thread, at its base */
    lua_pushvalue(to, MTS_CALLBACK_SLOT);
    return MTS_HANDLER_SLOT;
  }
  lua_rawgeti(to, LUA_REGISTRYINDEX, s->handler_ref);
  lua_rawgeti(to, LUA_REGISTRYINDEX, s->callback_ref);
  return call->base + 1;
}

/*
** Calls the callback with count values.  On MTS_OK the results are on top of
** `to`, from call->first on.
*/
static mts_Status run(Call *call, size_t count, mts_Kind kind)
{
  lua_State *to = call->to;
  int handler, result;
  if (count > INT_MAX - SLOTS || !mts_protect_grow(to, (int)count + SLOTS))
    return MTS_NO_MEMORY;
  handler = push_callback(call);
  call->first = lua_gettop(to);
  if (kind == MTS_KIND_PLAIN) {
    if (call->args)
      mts_transfer_push_plain(to, call->args);
    call->stage = RUNNING;
    result = lua_pcall(to, (int)count, LUA_MULTRET, handler);
  }
  else {
    int own = call->args ? push_if_own(to, call->args) : 0;
    result = mts_protect(to, push_args_and_call, call, 1 + own, LUA_MULTRET,
                         handler);
  }
  if (had_no_room(call, result))
    return MTS_NO_MEMORY;
  if (result != LUA_OK)
    return report(call, MTS_ERROR_INVOKING_STATE, to);
  return MTS_OK;
}

/* ======================================================================= */
/* Results                                                                 */
/* ======================================================================= */

/*
** Runs in `to`: [1] the results.  Returns which result cannot cross, or 0, and
** what has to stay on the stack.
*/
static int examine(lua_State *to, void *data)
{
  mts_Values *results = data;
  mts_Values seen;
  mts_transfer_scan(&seen, to, 1);
  lua_pushinteger(to, mts_transfer_examine(&seen));
  results->arrays = seen.arrays;
  lua_insert(to, -2);
  return 2;
}

/*
** Has arrays found among the results.  Leaves two values on `to`; the second
** keeps the arrays alive.
*/
static mts_Status examine_results(const Call *call, mts_Values *results)
{
  lua_State *to = call->to;
  int i, bad, status;
  if (!mts_protect_grow(to, results->count + SLOTS))
    return MTS_NO_MEMORY;
  for (i = 0; i < results->count; i++)
    lua_pushvalue(to, results->first + i);
  status = mts_protect(to, examine, results, results->count, 2, 0);
  if (status == LUA_ERRMEM)
    return MTS_NO_MEMORY;
  if (status != LUA_OK)
    return report(call, MTS_ERROR_STATE_RESULT, to);
  bad = (int)lua_tointeger(to, -2);
  if (bad > 0) {
    int index = results->first + bad - 1;
    char text[80];
    int length = snprintf(text, sizeof(text),
                          "result #%d is a %s, which cannot be transferred",
                          index - call->first + 1, luaL_typename(to, index));
    return mts_error_compose(call->error_text, MTS_ERROR_STATE_RESULT,
                             call->state, text, (size_t)length);
  }
  return MTS_OK;
}

/* Runs in `from`. */
static int push_results(lua_State *from, void *data)
{
  Call *call = data;
  push_copies(call, from, &call->results, 1);
  return call->results.count;
}

/* Pushes the results from the index first on onto `from`. */
static mts_Status fetch(Call *call, int first, lua_State *from)
{
  mts_Values *results = &call->results;
  mts_Status status = MTS_OK;
  mts_transfer_scan(results, call->to, first);
  if (results->kind == MTS_KIND_OTHER)
    status = examine_results(call, results);
  if (status != MTS_OK)
    return status;
  if (!mts_protect_grow(from, results->count + SLOTS))
    return MTS_NO_MEMORY;
  call->pushed = results->count;
  if (results->kind == MTS_KIND_PLAIN)
    mts_transfer_push_plain(from, results);
  else {
    int own = push_if_own(from, results);
    int result;
    call->stage = STARTING;
    result = mts_protect(from, push_results, call, own, LUA_MULTRET, 0);
    if (had_no_room(call, result))
      status = MTS_NO_MEMORY;
    else if (result != LUA_OK)
      status = report(call, MTS_ERROR_STATE_RESULT, from);
    if (result != LUA_OK) {
      lua_pop(from, 1);
      call->pushed = 0;
    }
  }
  return status;
}

/* Clears the stack of `to`, which can be that of the caller. */
static void end(const Call *call, lua_State *from)
{
  lua_State *to = call->to;
  int kept = to == from ? call->pushed : 0;
  int first = lua_gettop(to) - kept + 1;
  int i;
  for (i = 0; i < kept; i++)
    lua_copy(to, first + i, call->base + 1 + i);
  lua_settop(to, call->base + kept);
  call->state->innermost = call->outer;
}

/* ======================================================================= */
/* The three ways to call                                                  */
/* ======================================================================= */

mts_Status mts_call(mts_State *s, const mts_Values *args, double timeout,
                    mts_Buffer *error_text)
{
  Call call;
  mts_Status status = mts_state_enter(s, timeout);
  if (status != MTS_OK)
    return status;
  call = begin(s, error_text);
  call.args = args;
  status = run(&call, (size_t)args->count, args->kind);
  if (status == MTS_OK)
    status = fetch(&call, call.first, args->L);
  end(&call, args->L);
  mts_state_leave(s);
  return status;
}

static mts_Status call_native(mts_State *s, const mts_Message *message,
                              double timeout, mts_Buffer *error_text)
{
  size_t count = message ? message->count : 0;
  Call call;
  mts_Status status = mts_state_enter(s, timeout);
  if (status != MTS_OK)
    return status;
  call = begin(s, error_text);
  call.message = message;
  status = run(&call, count, count > 0 ? MTS_KIND_OTHER : MTS_KIND_PLAIN);
  end(&call, NULL);
  mts_state_leave(s);
  return status;
}

mts_Status mts_call_native(mts_State *s, const mts_Message *message,
                           double timeout, mts_ErrorHandler handler,
                           void *data)
{
  mts_Buffer error_text = {0};
  mts_Status status = call_native(s, message, timeout, &error_text);
  bool has_failed =
      status != MTS_OK && status != MTS_CLOSED && status != MTS_BUSY;
  if (has_failed && handler) {
    if (status == MTS_RAISED ||
        mts_error_compose_status(&error_text, status, s) == MTS_RAISED)
      handler(data, error_text.data, error_text.length);
    else
      handler(data, mts_error_no_memory, strlen(mts_error_no_memory));
  }
  mts_buffer_free(&error_text);
  return status;
}

mts_Status mts_call_setup(mts_State *s, const mts_Values *args,
                          mts_Buffer *error_text)
{
  Call call = begin(s, error_text);
  mts_Status status;
  call.args = args;
  status = run(&call, (size_t)args->count, args->kind);
  if (status == MTS_OK && !lua_isfunction(call.to, call.first)) {
    char text[80];
    int length = snprintf(text, sizeof(text),
                          "result #1 of the setup is not a function but %s",
                          luaL_typename(call.to, call.first));
    status = mts_error_compose(error_text, MTS_ERROR_STATE_RESULT, s, text,
                               (size_t)length);
  }
  if (status == MTS_OK)
    status = fetch(&call, call.first + 1, args->L);
  if (status == MTS_OK) {
    lua_copy(call.to, call.first, MTS_CALLBACK_SLOT);
    lua_settop(call.to, call.first); /* the callback, on top */
    lua_rawseti(call.to, LUA_REGISTRYINDEX, s->callback_ref);
  }
  end(&call, args->L);
  return status;
}
