/*
** failure.c - why a call failed
**
** Takes no locks.
*/
#include "core/failure.h"

#include "error.h"
#include "value/decode.h"

void mts_failure_close(mts_Failure *failure)
{
  mts_buffer_free(&failure->text);
  if (failure->has_value)
    mts_codec_free(&failure->value);
  failure->has_value = false;
}

/*
** Pushes the error value.
** Returns: MTS_OK; MTS_NO_MEMORY; MTS_UNKNOWN if L cannot make it: then only
** the text is left.
*/
static mts_Status push_error_value(lua_State *L, const mts_Failure *failure)
{
  mts_Decoder decoder;
  const int result =
      mts_decode_protected(&decoder, MTS_WAY_OF_RESULT, L, &failure->value);
  if (result == LUA_OK)
    return MTS_OK;
  lua_pop(L, 1);
  return result == LUA_ERRMEM || decoder.is_out_of_memory ? MTS_NO_MEMORY
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
