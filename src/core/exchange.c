/*
** exchange.c - what goes into a call and what it gives back
**
** The fast half is in exchange.h: values that need nothing.  Here are those
** that need memory, or an examination, which may raise errors: arguments are
** copied in a protected call of the callee; results in one of the caller,
** while the callee is still held.
**
** Short results do without that: they are kept as bytes and become Lua values
** when the callee has been left.
**
** Takes no locks: the calling thread may use both Lua states.
*/
#include "core/exchange.h"

#include <stdio.h>

#include "core/deep.h"
#include "value/decode.h"
#include "value/handle.h"

/*
** Runs in the protected call: makes room for count values.  Each C function
** has room for LUA_MINSTACK of them without asking.
*/
static void make_room(mts_Call *call, lua_State *L, size_t count)
{
  if (count > LUA_MINSTACK - MTS_CALL_SLOTS) {
    call->is_growing = true;
    luaL_checkstack(L, (int)count + MTS_CALL_SLOTS, "too many values");
    call->is_growing = false;
  }
}

/*
** Runs in the protected call: copies the values.  If they were on the stack of
** L, they are now its arguments from the index own on.  Returns how many.
*/
static int push_copies(mts_Call *call, lua_State *L, const mts_Values *values,
                       int own)
{
  mts_Values seen;
  if (values->L == L) {
    seen = *values;
    seen.first = own;
    values = &seen;
  }
  make_room(call, L, (size_t)values->count);
  mts_transfer_push(L, values);
  return values->count;
}

int mts_exchange_push_args(mts_Call *call, lua_State *callee, int own)
{
  const mts_Message *message = call->source.message;
  if (call->source.values)
    return push_copies(call, callee, call->source.values, own);
  make_room(call, callee, message->count);
  mts_decode_push_plain(callee, message);
  return (int)message->count;
}

mts_Status mts_exchange_report(const mts_Call *call, mts_Error error,
                               lua_State *L)
{
  static const char no_string[] = "(error object is not a string)";
  size_t length = sizeof(no_string) - 1;
  const char *text = no_string;
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tolstring(L, -1, &length);
  return mts_error_compose(&call->failure->text, error, call->state, text,
                           length);
}

/* ======================================================================= */
/* Results                                                                 */
/* ======================================================================= */

/* Results that are being copied. */
typedef struct Delivery {
  mts_Call *call;
  mts_Values results;
} Delivery;

/*
** Runs in `callee`: [1] the results.  Returns which result cannot cross, or 0,
** and what has to stay on the stack.
*/
static int find_arrays(lua_State *callee, void *data)
{
  mts_Values *results = data;
  mts_Values seen;
  mts_transfer_scan(&seen, callee, 1);
  lua_pushinteger(callee, mts_transfer_examine(&seen));
  results->arrays = seen.arrays;
  results->misfit_is_state = seen.misfit_is_state;
  lua_insert(callee, -2);
  return 2;
}

/* Composes the text for the result at index, which cannot cross. */
static mts_Status report_misfit(const mts_Call *call, int index, bool is_state)
{
  lua_State *callee = call->callee;
  const char *type = is_state ? "state" : luaL_typename(callee, index);
  const char *hint = is_state                     ? "; return its id"
                     : lua_istable(callee, index) ? "; return its values"
                                                  : "";
  char text[100];
  int length = snprintf(text, sizeof(text),
                        "result #%d is a %s, which cannot be transferred%s",
                        index - call->first + 1, type, hint);
  return mts_error_compose(&call->failure->text, MTS_ERROR_STATE_RESULT,
                           call->state, text, (size_t)length);
}

/*
** Finds the arrays among the results.  Leaves two values on `callee`; the
** second keeps the arrays alive.
*/
static mts_Status examine_results(const mts_Call *call, mts_Values *results)
{
  lua_State *callee = call->callee;
  int i, bad, result;
  if (!mts_protect_grow(callee, lua_gettop(callee),
                        results->count + MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  mts_protect_push(callee);
  for (i = 0; i < results->count; i++)
    lua_pushvalue(callee, results->first + i);
  result = mts_protect(callee, find_arrays, results, results->count, 2, 0);
  if (result == LUA_ERRMEM)
    return MTS_NO_MEMORY;
  if (result != LUA_OK)
    return mts_exchange_report(call, MTS_ERROR_STATE_RESULT, callee);
  bad = (int)lua_tointeger(callee, -2);
  if (bad > 0)
    return report_misfit(call, results->first + bad - 1,
                         results->misfit_is_state);
  return MTS_OK;
}

/* Runs in `caller`: [1] the results, if they were on the stack of `caller`. */
static int push_copied_results(lua_State *caller, void *data)
{
  Delivery *delivery = data;
  return push_copies(delivery->call, caller, &delivery->results, 1);
}

/* Pushes the results from the index first on. */
static mts_Status push_results(mts_Call *call, int first)
{
  lua_State *caller = call->sink.L;
  Delivery delivery = {.call = call};
  mts_Values *results = &delivery.results;
  int result;
  mts_transfer_scan_range(results, call->callee, first, call->top - first + 1);
  if (results->need == MTS_NEED_EXAMINATION) {
    mts_Status status;
    if (call->state->is_service)
      return mts_deep_deliver(call, first);
    status = examine_results(call, results);
    if (status != MTS_OK)
      return status;
  }
  mts_protect_push(caller);
  result = mts_protect(caller, push_copied_results, &delivery,
                       mts_exchange_push_own(caller, results), LUA_MULTRET, 0);
  if (result != LUA_OK) {
    mts_Status status = MTS_NO_MEMORY;
    if (!call->is_growing && result != LUA_ERRMEM)
      status = mts_exchange_report(call, MTS_ERROR_STATE_RESULT, caller);
    lua_pop(caller, 1);
    return status;
  }
  call->sink.pushed = results->count;
  return MTS_OK;
}

/*
** They are read when the callee has been left: then an error for want of
** memory may be raised.
*/
bool mts_exchange_store(const mts_Call *call, int first)
{
  lua_State *callee = call->callee;
  mts_Message *message = call->sink.message;
  const int top = call->top;
  int index;
  for (index = first; index <= top; index++) {
    if (!mts_codec_add_plain(message, callee, index)) {
      mts_codec_clear(message);
      return false;
    }
  }
  return true;
}

/* Runs in `callee`: [1] a userdata.  Result: whether it is a future. */
static int is_future(lua_State *callee, void *data)
{
  (void)data;
  lua_pushboolean(callee, luaL_testudata(callee, 1, MTS_FUTURE_CLASS) != NULL);
  return 1;
}

/*
** Whether the result, from the index first on, is one future: then its answer
** is that of the call.
** Returns: MTS_OK; MTS_DEFERRED; MTS_NO_MEMORY.
*/
static mts_Status find_deferral(const mts_Call *call, int first)
{
  const mts_HandleClass *class;
  lua_State *callee = call->callee;
  mts_Status status = MTS_OK;
  void *future = NULL;
  if (!call->may_defer || call->top != first ||
      lua_type(callee, first) != LUA_TUSERDATA)
    return MTS_OK;
  class = mts_handle_find_class(MTS_FUTURE_CLASS);
  if (!mts_protect_grow(callee, first, MTS_CALL_SLOTS))
    return MTS_NO_MEMORY;
  mts_protect_push(callee);
  lua_pushvalue(callee, first);
  if (mts_protect(callee, is_future, NULL, 1, 1, 0) != LUA_OK)
    status = MTS_NO_MEMORY;
  else if (lua_toboolean(callee, -1))
    future = class->find(lua_touserdata(callee, first));
  if (future) {
    (void)class->hold(future);
    call->failure->deferral = future;
    status = MTS_DEFERRED;
  }
  lua_pop(callee, 1);
  return status;
}

mts_Status mts_exchange_deliver_rest(mts_Call *call, int first)
{
  mts_Sink *sink = &call->sink;
  const mts_Status status = find_deferral(call, first);
  if (status != MTS_OK)
    return status;
  if (sink->message && mts_exchange_store(call, first + sink->pushed))
    return MTS_OK;
  lua_pop(sink->L, sink->pushed);
  sink->pushed = 0;
  return push_results(call, first);
}

mts_Status mts_exchange_deliver_message(mts_Call *call, int first)
{
  mts_Values results;
  mts_Status status;
  if (mts_exchange_store(call, first))
    return MTS_OK;
  status = find_deferral(call, first);
  if (status != MTS_OK)
    return status;
  if (!call->state->is_service) {
    mts_transfer_scan_range(&results, call->callee, first,
                            call->top - first + 1);
    status = examine_results(call, &results);
    if (status != MTS_OK)
      return status;
  }
  return mts_deep_deliver(call, first);
}
