/*
** errorobject.c - errors taken apart
**
** The text of an error is all there is, so an error object is the same text
** and where its parts are.  An error that crossed states is
**
**   NAME: STATE: [POSITION: ...] NAME: ... message
**
** with a traceback behind the message for each of those states.  Positions are
** what coroutine.wrap or error, called with the text, have put in front.
**
** Takes no locks.
*/
#include "lua/errorobject.h"

#include <string.h>

#include "error.h"

#define TRACEBACK "\nstack traceback:"

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
** Returns MTS_ERROR_COUNT if there is none.
*/
static size_t find_name(const char *text, size_t length)
{
  size_t i;
  for (i = 0; i < MTS_ERROR_COUNT; i++) {
    size_t size = strlen(mts_error_names[i]);
    if (length >= size && memcmp(text, mts_error_names[i], size) == 0 &&
        (length == size || text[size] == ':' || text[size] == '\n'))
      return i;
  }
  return MTS_ERROR_COUNT;
}

/* ======================================================================= */
/* What is inside an error                                                 */
/* ======================================================================= */

/*
** Each returns where the text goes on behind that part; NULL if that is not
** there, or for NULL.  All of them end at a zero.
*/
static const char *skip(const char *text, const char *part)
{
  size_t size = strlen(part);
  return text && strncmp(text, part, size) == 0 ? text + size : NULL;
}

static const char *skip_digits(const char *text)
{
  size_t size = text ? strspn(text, "0123456789") : 0;
  return size > 0 ? text + size : NULL;
}

/* As mts_state_describe writes it, with the colon that follows. */
static const char *skip_state(const char *text)
{
  const char *name;
  text = skip(text, "state(");
  name = skip(text, "name=\"");
  if (name) {
    while (*name != '"' && *name != '\0')
      name += *name == '\\' && name[1] != '\0' ? 2 : 1;
    text = skip(name, "\",");
  }
  return skip(skip_digits(skip(text, "id=")), "): ");
}

/*
** As luaL_where writes it.  A chunk named by its code can have anything in its
** name; in the name of a file there is no colon with a space behind.
*/
static const char *skip_position(const char *text)
{
  const bool is_code = skip(text, "[string \"") != NULL;
  int i;
  for (i = 1; i < LUA_IDSIZE && text[i - 1] != '\0' && text[i - 1] != '\n';
       i++) {
    const char *end = skip(skip_digits(skip(text + i, ":")), ": ");
    if (end && (!is_code || strncmp(text + i - 2, "\"]", 2) == 0))
      return end;
    if (!is_code && skip(text + i, ": "))
      return NULL;
  }
  return NULL;
}

/* What the error came from, in the innermost state. */
typedef struct Origin {
  size_t error; /* MTS_ERROR_COUNT: it is not one of this module's */
  const char *text;
  size_t length;
} Origin;

static Origin find_origin(const ErrorObject *object)
{
  const char *end = object->text + object->length;
  Origin origin = {.error = object->error, .text = object->text};
  const char *next, *traceback;
  for (;;) {
    const char *inner;
    origin.text += strlen(mts_error_names[origin.error]);
    if ((next = skip(origin.text, ": ")) != NULL)
      origin.text = next;
    if ((next = skip_state(origin.text)) != NULL)
      origin.text = next;
    if (origin.error != MTS_ERROR_INVOKING_STATE)
      break;
    inner = origin.text;
    while ((origin.error = find_name(inner, (size_t)(end - inner))) ==
               MTS_ERROR_COUNT &&
           (next = skip_position(inner)) != NULL)
      inner = next;
    if (origin.error == MTS_ERROR_COUNT)
      break;
    origin.text = inner;
  }
  traceback = find(origin.text, (size_t)(end - origin.text), TRACEBACK);
  origin.length = (size_t)((traceback ? traceback : end) - origin.text);
  return origin;
}

/* ======================================================================= */
/* Objects                                                                 */
/* ======================================================================= */

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
  name = text ? find_name(text, length) : MTS_ERROR_COUNT;
  if (name == MTS_ERROR_COUNT) {
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
  object->details = strlen(mts_error_names[name]);
  if (strncmp(text + object->details, ": ", 2) == 0)
    object->details += 2;
  return 1;
}

static int object_name(lua_State *L)
{
  lua_pushstring(L, mts_error_names[check_object(L, 1)->error]);
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

static int object_cause(lua_State *L)
{
  Origin origin = find_origin(check_object(L, 1));
  if (origin.error == MTS_ERROR_COUNT)
    lua_pushnil(L);
  else
    lua_pushstring(L, mts_error_names[origin.error]);
  return 1;
}

static int object_text(lua_State *L)
{
  Origin origin = find_origin(check_object(L, 1));
  lua_pushlstring(L, origin.text, origin.length);
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
                                   {"cause", object_cause},
                                   {"text", object_text},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__tostring", object_message}, {"__eq", object_eq}, {NULL, NULL}};

void mts_errorobject_open(lua_State *L)
{
  size_t i;
  luaL_newmetatable(L, MTS_ERROR_CLASS);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);

  lua_createtable(L, 0, (int)MTS_ERROR_COUNT);
  for (i = 0; i < MTS_ERROR_COUNT; i++) {
    lua_pushstring(L, mts_error_names[i]);
    lua_setfield(L, -2, mts_error_names[i] + strlen(MTS_ERROR_CLASS "."));
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, new_object);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
}
