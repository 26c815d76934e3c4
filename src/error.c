/*
** error.c - the errors of this module, as strings and as objects
**
** An error is a string "mtstates.error.NAME: details", optionally followed
** by "\nstack traceback:\n..." where it came out of another state.  Errors
** that crossed several states contain each other.  The text is all there is:
** an error object is the same text taken apart.
**
** Takes no locks.
*/
#include "error.h"

#include <stdarg.h>
#include <string.h>

#include "protect.h"

#define PREFIX MTS_ERROR_CLASS "."
#define TRACEBACK "\nstack traceback:"

static const char *const names[] = {
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

#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

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
  lua_pushstring(L, names[error]);
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
  if (mts_buffer_append_text(message, names[error]) &&
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

/* ======================================================================= */
/* Error objects                                                           */
/* ======================================================================= */

typedef struct ErrorObject {
  mts_Error error;
  size_t details;   /* where the details start in text, */
  size_t traceback; /* the line break before the traceback, */
  size_t length;    /* the end; each is the next if that part is missing */
  char text[];
} ErrorObject;

static const char *find(const char *text, size_t length, const char *part)
{
  size_t size = strlen(part);
  const char *end = text + length;
  while ((size_t)(end - text) >= size) {
    if (memcmp(text, part, size) == 0)
      return text;
    text++;
  }
  return NULL;
}

/*
** Looks for a name at the start of text, followed by ':', line break or end.
** Returns NAME_COUNT if there is none.
*/
static size_t find_name(const char *text, size_t length)
{
  size_t i;
  for (i = 0; i < NAME_COUNT; i++) {
    size_t size = strlen(names[i]);
    if (length >= size && memcmp(text, names[i], size) == 0 &&
        (length == size || text[size] == ':' || text[size] == '\n'))
      return i;
  }
  return NAME_COUNT;
}

static ErrorObject *check_object(lua_State *L, int index)
{
  return luaL_checkudata(L, index, MTS_ERROR_CLASS);
}

/* mtstates.error(err): called as a table, which comes first. */
static int new_object(lua_State *L)
{
  const char *text, *traceback;
  size_t length, name;
  ErrorObject *object;
  lua_remove(L, 1);
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  if (luaL_testudata(L, 1, MTS_ERROR_CLASS))
    return 1;
  text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : NULL;
  name = text ? find_name(text, length) : NAME_COUNT;
  if (name == NAME_COUNT) {
    lua_pushnil(L);
    return 1;
  }
  object = lua_newuserdatauv(L, sizeof(*object) + length + 1, 0);
  luaL_setmetatable(L, MTS_ERROR_CLASS);
  memcpy(object->text, text, length + 1);
  traceback = find(text, length, TRACEBACK);
  object->error = (mts_Error)name;
  object->length = length;
  object->traceback = traceback ? (size_t)(traceback - text) : length;
  object->details = strlen(names[name]);
  if (strncmp(text + object->details, ": ", 2) == 0)
    object->details += 2;
  return 1;
}

static int object_name(lua_State *L)
{
  lua_pushstring(L, names[check_object(L, 1)->error]);
  return 1;
}

static int object_details(lua_State *L)
{
  const ErrorObject *object = check_object(L, 1);
  lua_pushlstring(L, object->text + object->details,
                  object->traceback - object->details);
  return 1;
}

static int object_traceback(lua_State *L)
{
  const ErrorObject *object = check_object(L, 1);
  if (object->traceback == object->length)
    lua_pushnil(L);
  else /* without the line break */
    lua_pushlstring(L, object->text + object->traceback + 1,
                    object->length - object->traceback - 1);
  return 1;
}

static int object_message(lua_State *L)
{
  const ErrorObject *object = check_object(L, 1);
  lua_pushlstring(L, object->text, object->length);
  return 1;
}

static int object_eq(lua_State *L)
{
  const ErrorObject *a = luaL_testudata(L, 1, MTS_ERROR_CLASS);
  const ErrorObject *b = luaL_testudata(L, 2, MTS_ERROR_CLASS);
  lua_pushboolean(L, a && b && a->error == b->error);
  return 1;
}

static const luaL_Reg methods[] = {{"name", object_name},
                                   {"details", object_details},
                                   {"traceback", object_traceback},
                                   {"message", object_message},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__tostring", object_message}, {"__eq", object_eq}, {NULL, NULL}};

void mts_error_open(lua_State *L)
{
  size_t i;
  luaL_newmetatable(L, MTS_ERROR_CLASS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);

  lua_createtable(L, 0, (int)NAME_COUNT);
  for (i = 0; i < NAME_COUNT; i++) {
    lua_pushstring(L, names[i]);
    lua_setfield(L, -2, names[i] + strlen(PREFIX));
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, new_object);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
}
