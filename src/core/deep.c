/*
** deep.c - messages of deep values in and out of the calls of a service
**
** Arguments have been encoded before the state was entered, and are decoded in
** the protected call that runs the callback.  Results are encoded while the
** state is held and decoded when it has been left, so no state waits while
** code of another one runs: __transfer, __receive, require, finalizers.  Only
** further results of a setup are decoded at once: nobody else knows the state
** yet, and if they cannot be, there will not be one.
**
** Takes no locks: the calling thread may use both Lua states.
*/
#include "core/deep.h"

#include <stdio.h>
#include <string.h>

#include "value/decode.h"
#include "value/encode.h"

/*
** A table in the Lua registry: texts for error values that are not strings,
** from when they are raised until they are reported.  Errors of other calls
** can happen in between.
*/
#define TEXTS_KEY "mtstates.errortexts"

/* On the stack of who gets copies, besides its arguments, at most. */
#define USED_SLOTS 10

/*
** Composes the text for what the decoder does not know.  skipped: as in
** mts_Source.
*/
static mts_Status report_unknown(const mts_Decoder *d, int skipped,
                                 const mts_State *s, mts_Buffer *text)
{
  const bool is_argument = d->style == MTS_WAY_OF_ARGUMENT;
  char details[sizeof(d->way) + sizeof(d->unknown) + 40];
  int length =
      snprintf(details, sizeof(details), "%s #%d%s%s: %s %s",
               is_argument ? "argument" : "result", d->number + skipped,
               is_argument && *d->way != '\0' ? ", " : "", d->way, d->unknown,
               is_argument ? "there" : "here");
  return mts_error_compose(text, MTS_ERROR_UNKNOWN_CLASS, s, details,
                           (size_t)length);
}

mts_Status mts_deep_report_unknown(const mts_Decoder *d, const mts_Call *call)
{
  return report_unknown(d, call->source.skipped, call->state,
                        &call->failure->text);
}

/* ======================================================================= */
/* Arguments                                                               */
/* ======================================================================= */

typedef struct Run {
  mts_Call *call;
  mts_Decoder decoder;
} Run;

/* Runs in `callee`: [1] the callback, or nil if it is in the message. */
static int decode_and_call(lua_State *callee, void *data)
{
  Run *run = data;
  const mts_Source *source = &run->call->source;
  const int count = (int)source->message->count;
  int base;
  mts_decode_push(&run->decoder, callee, source->message,
                  source->has_callback ? 0 : 1);
  base = lua_gettop(callee) - count - (source->has_callback ? 0 : 1);
  run->call->is_running = true;
  lua_call(callee, source->has_callback ? count - 1 : count, LUA_MULTRET);
  return lua_gettop(callee) - base;
}

int mts_deep_run(mts_Call *call, int handler, mts_Status *status)
{
  Run run;
  int result;
  run.call = call;
  call->is_running = false;
  mts_decode_open(&run.decoder, MTS_WAY_OF_ARGUMENT);
  result = mts_protect(call->callee, decode_and_call, &run, 1, LUA_MULTRET,
                       handler);
  mts_decode_close(&run.decoder);
  if (result == LUA_OK)
    return result;
  if (!call->is_running &&
      (result == LUA_ERRMEM || run.decoder.is_out_of_memory))
    *status = MTS_NO_MEMORY;
  else if (!call->is_running && run.decoder.has_unknown)
    *status = mts_deep_report_unknown(&run.decoder, call);
  else
    *status = mts_deep_report(call);
  return result;
}

/* ======================================================================= */
/* Results                                                                 */
/* ======================================================================= */

/* Composes the text for a result that cannot cross. */
static mts_Status report_deep_misfit(const mts_Call *call,
                                     const mts_Misfit *misfit, int number)
{
  char text[sizeof(misfit->way) + sizeof(misfit->what) + 60];
  int length = snprintf(
      text, sizeof(text), "result #%d%s is %s %s, which cannot be transferred",
      number, misfit->way,
      *misfit->what != '\0' && strchr("aeio", *misfit->what) ? "an" : "a",
      misfit->what);
  return mts_error_compose(&call->failure->text, MTS_ERROR_STATE_RESULT,
                           call->state, text, (size_t)length);
}

mts_Status mts_deep_deliver(mts_Call *call, int first)
{
  mts_Message own = {0};
  mts_Message *message = call->sink.message ? call->sink.message : &own;
  const mts_Encodable results = {.L = call->callee,
                                 .first = first,
                                 .count = call->top - first + 1,
                                 .handler = call->handler,
                                 .style = MTS_WAY_OF_RESULT};
  mts_Misfit misfit;
  mts_Encoding encoding;
  mts_Status status = MTS_NO_MEMORY;
  if (message->bytes.is_fixed)
    *message = (mts_Message){0};
  encoding = mts_encode(&results, message, &misfit);
  if (encoding == MTS_ENCODED) {
    if (message != &own)
      return MTS_OK;
    status = mts_deep_push_results(call->sink.L, message, call->state,
                                   call->failure);
    call->sink.pushed = status == MTS_OK ? results.count : 0;
    return status;
  }
  mts_codec_free(message);
  if (encoding == MTS_ENCODING_RAISED)
    status = mts_deep_report(call);
  else if (encoding == MTS_ENCODING_MISFIT)
    status =
        report_deep_misfit(call, &misfit, misfit.number + first - call->first);
  return status;
}

mts_Status mts_deep_push_copies(lua_State *L, const mts_Message *message,
                                const mts_State *s, mts_Failure *failure)
{
  mts_Decoder decoder;
  mts_Status status = MTS_OK;
  int result;
  if (!message->needs_memory &&
      mts_protect_grow(L, USED_SLOTS, (int)message->count + 2)) {
    mts_decode_push_plain(L, message);
    return MTS_OK;
  }
  result = mts_decode_protected(&decoder, MTS_WAY_OF_RESULT, L, message);
  if (result == LUA_OK)
    return MTS_OK;
  if (result == LUA_ERRMEM || decoder.is_out_of_memory)
    status = MTS_NO_MEMORY;
  else if (decoder.has_unknown)
    status = report_unknown(&decoder, 0, s, &failure->text);
  else {
    failure->is_on_stack = true;
    return MTS_RAISED;
  }
  lua_pop(L, 1);
  return status;
}

mts_Status mts_deep_push_results(lua_State *L, mts_Message *message,
                                 const mts_State *s, mts_Failure *failure)
{
  mts_Status status = mts_deep_push_copies(L, message, s, failure);
  mts_codec_free(message);
  return status;
}

/* ======================================================================= */
/* Errors                                                                  */
/* ======================================================================= */

/*
** Pushes the key for the error value at index: nil and nan cannot be keys.
** Stack: [-0, +1, m]
*/
static void push_text_key(lua_State *L, int index)
{
  if (lua_isnil(L, index) || !lua_rawequal(L, index, index))
    lua_pushliteral(L, TEXTS_KEY);
  else
    lua_pushvalue(L, index);
}

/* Pushes the table of texts, or nil.  Stack: [-0, +1, m] */
static void push_texts(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, TEXTS_KEY);
}

/* Keeps the text, on top of the stack, for the error value below it. */
static void keep_text(lua_State *L)
{
  const int text = lua_gettop(L);
  push_texts(L);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, TEXTS_KEY);
  }
  push_text_key(L, text - 1);
  lua_pushvalue(L, text);
  lua_rawset(L, -3);
  lua_settop(L, text - 1);
}

int mts_deep_handler(lua_State *L)
{
  if (lua_type(L, 1) == LUA_TSTRING)
    return mts_error_handler(L);
  lua_settop(L, 1);
  mts_error_push_text(L, 1);
  keep_text(L);
  return 1;
}

void mts_deep_handle(lua_State *L, lua_State *L1, bool is_service)
{
  const int value = lua_gettop(L);
  mts_error_push_text_of(L, value, L1, 0);
  if (!is_service || lua_type(L, value) == LUA_TSTRING)
    lua_replace(L, value);
  else
    keep_text(L);
}

/* Runs in `callee`: [1] an error value.  Result: its text, or nil. */
static int take_text(lua_State *callee, void *data)
{
  (void)data;
  push_texts(callee);
  if (!lua_istable(callee, 2))
    return 0;
  push_text_key(callee, 1);
  lua_pushvalue(callee, 3);
  lua_rawget(callee, 2);
  lua_insert(callee, 3); /* below the key */
  lua_pushnil(callee);
  lua_rawset(callee, 2);
  return 1;
}

/*
** Pushes the text for the error value at index, or something else if it has
** none.
** Returns: MTS_OK, MTS_NO_MEMORY.
*/
static mts_Status push_error_text(lua_State *callee, int index)
{
  mts_protect_push(callee);
  lua_pushvalue(callee, index);
  if (mts_protect(callee, take_text, NULL, 1, 1, 0) == LUA_ERRMEM)
    return MTS_NO_MEMORY;
  return MTS_OK;
}

/*
** Stores the error value at index, if it crosses.
** Returns: MTS_OK, MTS_NO_MEMORY.
*/
static mts_Status store_error_value(const mts_Call *call, int index)
{
  const mts_Encodable value = {.L = call->callee,
                               .first = index,
                               .count = 1,
                               .style = MTS_WAY_OF_RESULT};
  mts_Failure *failure = call->failure;
  mts_Misfit misfit;
  mts_Encoding encoding;
  failure->value = (mts_Message){0};
  encoding = mts_encode(&value, &failure->value, &misfit);
  if (encoding == MTS_ENCODED) {
    failure->has_value = true;
    return MTS_OK;
  }
  mts_codec_free(&failure->value);
  if (encoding == MTS_ENCODING_RAISED)
    lua_pop(call->callee, 1);
  return encoding == MTS_ENCODING_NO_MEMORY ? MTS_NO_MEMORY : MTS_OK;
}

mts_Status mts_deep_report(const mts_Call *call)
{
  lua_State *callee = call->callee;
  const int value = lua_gettop(callee);
  mts_Status status = MTS_OK;
  if (lua_type(callee, value) != LUA_TSTRING) {
    status = push_error_text(callee, value);
    if (status == MTS_OK && !lua_isnil(callee, value) &&
        (call->sink.L || call->sink.message))
      status = store_error_value(call, value);
  }
  if (status == MTS_OK)
    status = mts_exchange_report(call, MTS_ERROR_INVOKING_STATE, callee);
  if (status == MTS_NO_MEMORY)
    mts_failure_close(call->failure);
  return status;
}
