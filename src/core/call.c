/*
** call.c - running the callback of a state
**
** Two Lua states take part: `from`, the caller's, and `to`, the one that is
** called, which the thread holds.  Each has its own chain of protected calls,
** so an error that one of them raises must be caught in that same one:
**
** 1. Plain values need no memory: they are copied from stack to stack.
** 2. What needs memory of `to` runs in a protected call of `to`.
** 3. What needs memory of `from` while `to` is held runs in a protected call
**    of `from`.
** 4. Short results and texts of errors do without that: they are kept as bytes
**    and become Lua strings when `to` has been left.
**
** The way of a call without strings is mts_call, mts_state_enter, begin, run,
** fetch, end and mts_state_leave: one protected call, two atomic operations,
** no allocation.
**
** A nested call runs on the Lua thread of `to` that is running at that
** moment, above whatever is on its stack.
**
** Takes no locks beyond the call lock of the state.
*/
#include "core/call.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "core/interrupt.h"
#include "luaapi/protect.h"

/* How far a protected call has got: what an error means depends on it. */
typedef enum Stage { STARTING, GROWING, COPYING, RUNNING } Stage;

/* A call in progress. */
typedef struct Call {
  mts_State *state;
  lua_State *to;
  lua_State *outer;           /* what the call around this one is on */
  int base;                   /* top of `to` before the call */
  int count;                  /* arguments */
  int first;                  /* first result in `to`, */
  int top;                    /* and last one; 0: not known */
  int pushed;                 /* results that the caller's stack has got */
  int own;                    /* arguments that were on the stack of `to` */
  mts_Message *rest;          /* for other results; NULL: push all of them */
  const mts_Values *args;     /* what to call it with: one of these two, */
  const mts_Message *message; /* or neither */
  Stage stage;
  mts_Buffer *error_text;
} Call;

/*
** Stack slots that a call needs besides those of arguments or results, and
** that the caller may have used besides those of its own arguments.
*/
#define SLOTS 6

MTS_INLINE Call begin(mts_State *s, mts_Buffer *error_text)
{
  lua_State *to =
      atomic_load_explicit(&s->interrupt.running, memory_order_relaxed);
  Call call = {.state = s,
               .to = to,
               .outer = s->innermost,
               .base = s->depth == 1 ? MTS_CALLBACK_SLOT : lua_gettop(to),
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

/*
** Runs in the protected call: makes room for count values.  So many each C
** function has room for.
*/
static void grow(Call *call, lua_State *L, size_t count)
{
  call->stage = GROWING;
  if (count > LUA_MINSTACK - SLOTS)
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

/*
** Runs in `to`: [1] the callback, and if the arguments were on the stack of
** `to`, they.
*/
static int push_args_and_call(lua_State *to, void *data)
{
  Call *call = data;
  int base = 0;
  if (call->own > 0) {
    base = 1 + call->own;
    lua_pushvalue(to, 1);
  }
  if (call->args)
    push_copies(call, to, call->args, 2);
  else {
    grow(call, to, call->message->count);
    mts_message_push(to, call->message);
  }
  call->stage = RUNNING;
  lua_call(to, call->count, LUA_MULTRET);
  return lua_gettop(to) - base;
}

/*
** Between calls, message handler and callback lie at the base of the main Lua
** thread.
*/
static inline void push_callback(const Call *call)
{
  const mts_State *s = call->state;
  if (s->depth == 1)
    lua_pushvalue(call->to, MTS_CALLBACK_SLOT);
  else
    lua_rawgeti(call->to, LUA_REGISTRYINDEX, s->callback_ref);
}

/* Calls the callback with arguments that need memory of `to`. */
static int run_protected(Call *call, int handler)
{
  lua_State *to = call->to;
  mts_protect_push(to);
  push_callback(call);
  call->own = call->args ? push_if_own(to, call->args) : 0;
  return mts_protect(to, push_args_and_call, call, 1 + call->own, LUA_MULTRET,
                     handler);
}

/* Why the call failed. */
static mts_Status run_error(const Call *call, int result)
{
  if (had_no_room(call, result))
    return MTS_NO_MEMORY;
  return report(call, MTS_ERROR_INVOKING_STATE, call->to);
}

/*
** Calls the callback with count values.  On MTS_OK the results are on top of
** `to`, from call->first on.
*/
MTS_INLINE mts_Status run(Call *call, size_t count, mts_Kind kind)
{
  lua_State *to = call->to;
  int handler = MTS_HANDLER_SLOT, result;
  if (count > INT_MAX - SLOTS ||
      !mts_protect_grow(to, call->base, (int)count + SLOTS))
    return MTS_NO_MEMORY;
  call->count = (int)count;
  call->first = call->base + 1;
  if (call->state->depth > 1) {
    mts_protect_push_kept(to, MTS_HANDLER_KEY, mts_error_handler);
    handler = call->first++;
  }
  if (kind == MTS_KIND_PLAIN) {
    push_callback(call);
    if (call->args)
      mts_transfer_push_scanned(to, call->args);
    call->stage = RUNNING;
    result = lua_pcall(to, (int)count, LUA_MULTRET, handler);
  }
  else
    result = run_protected(call, handler);
  if (result != LUA_OK)
    return run_error(call, result);
  call->top = lua_gettop(to);
  return MTS_OK;
}

/* ======================================================================= */
/* Results                                                                 */
/* ======================================================================= */

/* Results that are being copied. */
typedef struct Fetch {
  Call *call;
  mts_Values results;
} Fetch;

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
  results->misfit_is_state = seen.misfit_is_state;
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
  if (!mts_protect_grow(to, lua_gettop(to), results->count + SLOTS))
    return MTS_NO_MEMORY;
  mts_protect_push(to);
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
    const char *type = luaL_typename(to, index);
    const char *hint = lua_istable(to, index) ? "; return its values" : "";
    char text[100];
    int length;
    if (results->misfit_is_state) {
      type = "state";
      hint = "; return its id";
    }
    length = snprintf(text, sizeof(text),
                      "result #%d is a %s, which cannot be transferred%s",
                      index - call->first + 1, type, hint);
    return mts_error_compose(call->error_text, MTS_ERROR_STATE_RESULT,
                             call->state, text, (size_t)length);
  }
  return MTS_OK;
}

/* Runs in `from`: [1] the results, if they were on the stack of `from`. */
static int push_results(lua_State *from, void *data)
{
  Fetch *fetch = data;
  push_copies(fetch->call, from, &fetch->results, 1);
  return fetch->results.count;
}

/* Pushes results of which some need memory. */
static mts_Status fetch_with_memory(Call *call, int first, lua_State *from)
{
  Fetch fetch = {.call = call};
  mts_Values *results = &fetch.results;
  mts_Status status = MTS_OK;
  int result;
  mts_transfer_scan(results, call->to, first);
  if (results->kind == MTS_KIND_OTHER)
    status = examine_results(call, results);
  if (status != MTS_OK)
    return status;
  call->stage = STARTING;
  mts_protect_push(from);
  result = mts_protect(from, push_results, &fetch, push_if_own(from, results),
                       LUA_MULTRET, 0);
  if (result == LUA_OK) {
    call->pushed = results->count;
    return MTS_OK;
  }
  if (had_no_room(call, result))
    status = MTS_NO_MEMORY;
  else
    status = report(call, MTS_ERROR_STATE_RESULT, from);
  lua_pop(from, 1);
  return status;
}

/*
** Stores the results from the index first on for the time when `to` has been
** left: then an error for want of memory may be raised.
*/
static bool store_rest(const Call *call, int first)
{
  int index;
  for (index = first; index <= call->top; index++)
    if (!mts_message_add_value(call->rest, call->to, index)) {
      mts_message_clear(call->rest);
      return false;
    }
  return true;
}

/* Pushes the results from the index first on onto `from`, or stores them. */
MTS_INLINE mts_Status fetch(Call *call, int first, lua_State *from)
{
  int count = call->top - first + 1;
  if (!mts_protect_grow(from, SLOTS, count + SLOTS))
    return MTS_NO_MEMORY;
  call->pushed = mts_transfer_push_plain(from, call->to, first, count);
  if (call->pushed == count ||
      (call->rest && store_rest(call, first + call->pushed)))
    return MTS_OK;
  lua_pop(from, call->pushed);
  call->pushed = 0;
  return fetch_with_memory(call, first, from);
}

/* Moves the results, which are on top of `to`, to where they belong. */
static void move_results(const Call *call)
{
  lua_State *to = call->to;
  int first = lua_gettop(to) - call->pushed + 1;
  int i;
  for (i = 0; i < call->pushed; i++)
    lua_copy(to, first + i, call->base + 1 + i);
  lua_settop(to, call->base + call->pushed);
}

/* Clears the stack of `to`, which can be that of the caller. */
MTS_INLINE void end(const Call *call, lua_State *from)
{
  if (call->to == from)
    move_results(call);
  else if (call->top != call->base)
    lua_settop(call->to, call->base);
  call->state->innermost = call->outer;
}

/* ======================================================================= */
/* The three ways to call                                                  */
/* ======================================================================= */

mts_Status mts_call(mts_State *s, const mts_Values *args, double timeout,
                    mts_Results *results, mts_Buffer *error_text)
{
  Call call;
  mts_Status status = mts_state_enter(s, timeout);
  if (status != MTS_OK)
    return status;
  call = begin(s, error_text);
  call.args = args;
  results->rest = (mts_Message){
      .bytes = {.data = results->bytes, .capacity = sizeof(results->bytes)},
      .limit = sizeof(results->bytes)};
  call.rest = &results->rest;
  status = run(&call, (size_t)args->count, args->kind);
  if (status == MTS_OK)
    status = fetch(&call, call.first, args->L);
  end(&call, args->L);
  mts_state_leave(s);
  results->pushed = call.pushed;
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
