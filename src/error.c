/*
** error.c - the errors of this module
**
** An error is a string "mtstates.error.NAME: details", optionally followed
** by "\nstack traceback:\n..." where it came out of another state.  Errors
** that crossed several states contain each other.
**
** Takes no locks.
*/
#include "error.h"

#include <stdarg.h>
#include <string.h>

#include "luaapi/protect.h"

#define PREFIX MTS_ERROR_CLASS "."

const char *const mts_error_names[MTS_ERROR_COUNT] = {
    [MTS_ERROR_AMBIGUOUS_NAME] = PREFIX "ambiguous_name",
    [MTS_ERROR_CONCURRENT_ACCESS] = PREFIX "concurrent_access",
    [MTS_ERROR_DEADLOCK] = PREFIX "deadlock",
    [MTS_ERROR_INTERRUPTED] = PREFIX "interrupted",
    [MTS_ERROR_INVOKING_STATE] = PREFIX "invoking_state",
    [MTS_ERROR_OBJECT_CLOSED] = PREFIX "object_closed",
    [MTS_ERROR_OUT_OF_MEMORY] = PREFIX "out_of_memory",
    [MTS_ERROR_STATE_RESULT] = PREFIX "state_result",
    [MTS_ERROR_UNKNOWN_OBJECT] = PREFIX "unknown_object",
};

const char mts_error_no_memory[] = PREFIX "out_of_memory: not enough memory";

static const struct {
  mts_Error error;
  const char *text;
} by_status[] = {
    [MTS_BUSY] = {MTS_ERROR_CONCURRENT_ACCESS, "a call is in progress"},
    [MTS_CLOSED] = {MTS_ERROR_OBJECT_CLOSED, "the state is closed"},
    [MTS_DEADLOCK] = {MTS_ERROR_DEADLOCK, "waiting would never end"},
    [MTS_TOO_DEEP] = {MTS_ERROR_OUT_OF_MEMORY, "too many nested calls"},
    [MTS_NO_MEMORY] = {MTS_ERROR_OUT_OF_MEMORY, "not enough memory"},
    [MTS_UNKNOWN] = {MTS_ERROR_UNKNOWN_OBJECT, "no such open state"},
    [MTS_AMBIGUOUS] = {MTS_ERROR_AMBIGUOUS_NAME, "several open states"},
};

/* ======================================================================= */
/* Raise                                                                   */
/* ======================================================================= */

int mts_error_raise(lua_State *L, mts_Error error, const char *format, ...)
{
  va_list arguments;
  lua_pushstring(L, mts_error_names[error]);
  lua_pushliteral(L, ": ");
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 3);
  return lua_error(L);
}

int mts_error_raise_status(lua_State *L, mts_Status status, const char *what)
{
  return mts_error_raise(L, by_status[status].error, "%s: %s", what,
                         by_status[status].text);
}

static int push_message(lua_State *L, void *data)
{
  const mts_Buffer *message = data;
  lua_pushlstring(L, message->data, message->length);
  return 1;
}

bool mts_error_push_message(lua_State *L, mts_Buffer *message)
{
  int result;
  mts_protect_push(L);
  result = mts_protect(L, push_message, message, 0, 1, 0);
  mts_buffer_free(message);
  return result == LUA_OK;
}

mts_Status mts_error_compose(mts_Buffer *message, mts_Error error,
                             const mts_State *s, const char *text,
                             size_t length)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(s, description);
  if (mts_buffer_append_text(message, mts_error_names[error]) &&
      mts_buffer_append_text(message, ": ") &&
      mts_buffer_append_text(message, description) &&
      mts_buffer_append_text(message, ": ") &&
      mts_buffer_append(message, text, length))
    return MTS_RAISED;
  mts_buffer_free(message);
  return MTS_NO_MEMORY;
}

mts_Status mts_error_compose_status(mts_Buffer *message, mts_Status status,
                                    const mts_State *s)
{
  const char *text = by_status[status].text;
  return mts_error_compose(message, by_status[status].error, s, text,
                           strlen(text));
}

int mts_error_handler(lua_State *L)
{
  switch (lua_type(L, 1)) {
  case LUA_TSTRING:
    break;
  case LUA_TNUMBER: /* show it, but do not pretend that it was a string */
    if (lua_isinteger(L, 1))
      lua_pushfstring(L, "%I (error object is a number value)",
                      lua_tointeger(L, 1));
    else
      lua_pushfstring(L, "%f (error object is a number value)",
                      lua_tonumber(L, 1));
    lua_replace(L, 1);
    break;
  default:
    if (!luaL_callmeta(L, 1, "__tostring") || lua_type(L, -1) != LUA_TSTRING)
      lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    lua_replace(L, 1);
  }
  lua_settop(L, 1);
  lua_pushliteral(L, "\n");
  luaL_traceback(L, L, NULL, 1);
  lua_concat(L, 3);
  return 1;
}
