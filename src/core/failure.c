/*
** failure.c - why a call failed
**
** Takes no locks.
*/
#include "core/failure.h"

#include "error.h"
#include "luaapi/protect.h"
#include "value/decode.h"

void mts_failure_close(mts_Failure *failure)
{
  mts_buffer_free(&failure->text);
  if (failure->has_value)
    mts_codec_free(&failure->value);
  failure->has_value = false;
}

typedef struct ErrorValue {
  const mts_Message *message;
  mts_Decoder decoder;
} ErrorValue;

static int push_decoded(lua_State *L, void *data)
{
  ErrorValue *value = data;
  mts_decode_push(&value->decoder, L, value->message, 0);
  return 1;
}

/*
** Pushes the error value.
** Returns: MTS_OK; MTS_NO_MEMORY; MTS_UNKNOWN if L cannot make it: then only
** the text is left.
*/
static mts_Status push_error_value(lua_State *L, const mts_Failure *failure)
{
  ErrorValue value;
  int result;
  value.message = &failure->value;
  mts_decode_open(&value.decoder, MTS_WAY_OF_RESULT);
  mts_protect_push(L);
  result = mts_protect(L, push_decoded, &value, 0, 1, 0);
  mts_decode_close(&value.decoder);
  if (result == LUA_OK)
    return MTS_OK;
  lua_pop(L, 1);
  return result == LUA_ERRMEM || value.decoder.is_out_of_memory ? MTS_NO_MEMORY
                                                                : MTS_UNKNOWN;
}

void mts_failure_push(lua_State *L, mts_Failure *failure)
{
  mts_Status status = MTS_UNKNOWN;
  if (failure->has_value)
    status = push_error_value(L, failure);
  if (status == MTS_NO_MEMORY) { /* the text that was there is longer */
    failure->text.length = 0;
    mts_buffer_append_text(&failure->text, mts_error_no_memory);
  }
  if (status != MTS_OK && !failure->is_on_stack)
    mts_error_push_message(L, &failure->text);
  mts_failure_close(failure);
}
