/*
** error.c - the errors of this module: their names and texts
**
** Takes no locks.
*/
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "luaapi/protect.h"

#define PREFIX MTS_ERROR_CLASS "."

#define FULL_NAME(constant, name) [constant] = PREFIX name,
const char *const mts_error_names[MTS_ERROR_COUNT] = {MTS_ERRORS(FULL_NAME)};

const char mts_error_no_memory[] = PREFIX "out_of_memory: not enough memory";

const char mts_error_forked[] =
    "mtstates: this process was made by fork and has no workers";

/* What is said of a status that has no message of its own. */
typedef struct Complaint {
  mts_Error error;
  const char *text;
} Complaint;

/* A new status that is missing here does not compile. */
#pragma GCC diagnostic error "-Wswitch"

static Complaint complaint_of(mts_Status status)
{
  switch (status) {
  case MTS_BUSY:
    return (Complaint){MTS_ERROR_CONCURRENT_ACCESS, "a call is in progress"};
  case MTS_CLOSED:
    return (Complaint){MTS_ERROR_OBJECT_CLOSED, "the state is closed"};
  case MTS_DEADLOCK:
    return (Complaint){MTS_ERROR_DEADLOCK, "waiting would never end"};
  case MTS_TOO_DEEP:
    return (Complaint){MTS_ERROR_OUT_OF_MEMORY, "too many nested calls"};
  case MTS_NO_MEMORY:
    return (Complaint){MTS_ERROR_OUT_OF_MEMORY, "not enough memory"};
  case MTS_UNKNOWN:
    return (Complaint){MTS_ERROR_UNKNOWN_OBJECT, "no such open state"};
  case MTS_AMBIGUOUS:
    return (Complaint){MTS_ERROR_AMBIGUOUS_NAME, "several open states"};
  case MTS_CANCELLED:
    return (Complaint){MTS_ERROR_CANCELLED, "the request was cancelled"};
  case MTS_ABANDONED:
    return (Complaint){MTS_ERROR_ABANDONED,
                       "nobody can answer the future any more"};
  case MTS_ENDING:
    return (Complaint){MTS_ERROR_OBJECT_CLOSED,
                       "code of a state that is being closed cannot wait"};
  case MTS_OK:
  case MTS_DISTURBED:
  case MTS_FORKED:
  case MTS_DEFERRED:
  case MTS_SYNTAX:
  case MTS_RAISED:
    break;
  }
  fprintf(stderr, "mtstates: %s:%d: status %d is no error without a message\n",
          __FILE__, __LINE__, (int)status);
  abort();
}

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
  Complaint complaint;
  if (status == MTS_FORKED)
    return luaL_error(L, "%s", mts_error_forked);
  complaint = complaint_of(status);
  return mts_error_raise(L, complaint.error, "%s: %s", what, complaint.text);
}

int mts_error_raise_about(lua_State *L, mts_Status status, const mts_State *s)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(s, description);
  return mts_error_raise_status(L, status, description);
}

/* ======================================================================= */
/* Messages                                                                */
/* ======================================================================= */

static int push_text(lua_State *L, void *data)
{
  const mts_Buffer *message = data;
  lua_pushlstring(L, message->data, message->length);
  return 1;
}

bool mts_error_push_copy(lua_State *L, const mts_Buffer *message)
{
  mts_protect_push(L);
  return mts_protect(L, push_text, (void *)message, 0, 1, 0) == LUA_OK;
}

bool mts_error_push_message(lua_State *L, mts_Buffer *message)
{
  const bool is_pushed = mts_error_push_copy(L, message);
  mts_buffer_free(message);
  return is_pushed;
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
  Complaint complaint;
  if (status == MTS_FORKED)
    return mts_buffer_append_text(message, mts_error_forked) ? MTS_RAISED
                                                             : MTS_NO_MEMORY;
  complaint = complaint_of(status);
  return mts_error_compose(message, complaint.error, s, complaint.text,
                           strlen(complaint.text));
}

/*
** The length of what Lua puts in front of an error to tell the position, as
** coroutine.wrap does: "chunk:line: ", perhaps more than once.
*/
static size_t position_length(const char *text, size_t length)
{
  size_t i, end = 0;
  for (i = 0; i < length && text[i] != '\n'; i++) {
    size_t behind = i + 1;
    if (text[i] != ':')
      continue;
    while (behind < length && text[behind] >= '0' && text[behind] <= '9')
      behind++;
    if (behind > i + 1 && behind + 1 < length && text[behind] == ':' &&
        text[behind + 1] == ' ')
      end = behind + 2;
  }
  return end;
}

bool mts_error_is_raised_by(const mts_Buffer *text, const mts_State *s,
                            mts_Status status)
{
  char before[MTS_DESCRIPTION_SIZE + 60], expected[MTS_DESCRIPTION_SIZE + 60];
  char description[MTS_DESCRIPTION_SIZE];
  const size_t length = text->length;
  size_t skipped, expected_length;
  mts_state_describe(s, description);
  skipped = (size_t)snprintf(
      before, sizeof(before),
      "%s: %s: ", mts_error_names[MTS_ERROR_INVOKING_STATE], description);
  expected_length = (size_t)snprintf(
      expected, sizeof(expected),
      "%s: %s: ", mts_error_names[complaint_of(status).error], description);
  if (length < skipped || memcmp(text->data, before, skipped) != 0)
    return false;
  skipped += position_length(text->data + skipped, length - skipped);
  return length - skipped >= expected_length &&
         memcmp(text->data + skipped, expected, expected_length) == 0;
}

/*
** Pushes what __tostring of the value at index gives.
** Returns: false, with nothing pushed, if there is none or it fails.
** Errors: for want of memory.
*/
static bool push_tostring(lua_State *L, int index)
{
  int result;
  if (!luaL_getmetafield(L, index, "__tostring"))
    return false;
  lua_pushvalue(L, index);
  result = lua_pcall(L, 1, 1, 0);
  if (result == LUA_ERRMEM)
    lua_error(L);
  if (result == LUA_OK && lua_type(L, -1) == LUA_TSTRING)
    return true;
  lua_pop(L, 1);
  return false;
}

/* Pushes the error value at index as text. */
static void push_value_text(lua_State *L, int index)
{
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    lua_pushvalue(L, index);
    break;
  case LUA_TNUMBER: /* show it, but do not pretend that it was a string */
    if (lua_isinteger(L, index))
      lua_pushfstring(L, "%I (error object is a number value)",
                      lua_tointeger(L, index));
    else
      lua_pushfstring(L, "%f (error object is a number value)",
                      lua_tonumber(L, index));
    break;
  default:
    if (!push_tostring(L, index))
      lua_pushfstring(L, "(error object is a %s value)",
                      luaL_typename(L, index));
  }
}

const char *mts_error_push_value(lua_State *L, int index, size_t *length)
{
  push_value_text(L, index);
  return lua_tolstring(L, -1, length);
}

void mts_error_push_text_of(lua_State *L, int index, lua_State *L1, int level)
{
  push_value_text(L, index);
  lua_pushliteral(L, "\n");
  luaL_traceback(L, L1, NULL, level);
  lua_concat(L, 3);
}

void mts_error_push_text(lua_State *L, int index)
{
  mts_error_push_text_of(L, index, L, 1);
}

int mts_error_handler(lua_State *L)
{
  mts_error_push_text(L, 1);
  return 1;
}
