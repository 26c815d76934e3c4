/*
** failure.c - why a call has given no results
**
** Takes no locks.
*/
#include "core/failure.h"

#include <string.h>

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
static mts_Status push_error_value(lua_State *L, const mts_Message *value)
{
  mts_Decoder decoder;
  const int result =
      mts_decode_protected(&decoder, MTS_WAY_OF_RESULT, L, value);
  if (result == LUA_OK)
    return MTS_OK;
  lua_pop(L, 1);
  return result == LUA_ERRMEM || decoder.is_out_of_memory ? MTS_NO_MEMORY
                                                          : MTS_UNKNOWN;
}

void mts_failure_push_no_memory(lua_State *L)
{
  mts_Buffer no_memory;
  mts_buffer_borrow(&no_memory, (char *)mts_error_no_memory,
                    strlen(mts_error_no_memory));
  no_memory.length = no_memory.capacity;
  (void)mts_error_push_copy(L, &no_memory);
}

void mts_failure_push_copy(lua_State *L, const mts_Buffer *text,
                           const mts_Message *value)
{
  const mts_Status status = value ? push_error_value(L, value) : MTS_UNKNOWN;
  if (status == MTS_NO_MEMORY)
    mts_failure_push_no_memory(L);
  else if (status != MTS_OK)
    (void)mts_error_push_copy(L, text);
}

void mts_failure_push(lua_State *L, mts_Failure *failure)
{
  if (!failure->is_on_stack)
    mts_failure_push_copy(L, &failure->text,
                          failure->has_value ? &failure->value : NULL);
  mts_failure_close(failure);
}
