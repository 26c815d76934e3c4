/*
** errortext.c - the text of an error taken apart
**
** Knows no Lua state.  Takes no locks.
*/
#include "lua/errortext.h"

#include <string.h>

#define TRACEBACK "\nstack traceback:"

static const char *find_part(const char *text, size_t length, const char *part)
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
static mts_Error read_name(const char *text, size_t length)
{
  int i;
  for (i = 0; i < MTS_ERROR_COUNT; i++) {
    size_t size = strlen(mts_error_names[i]);
    if (length >= size && memcmp(text, mts_error_names[i], size) == 0 &&
        (length == size || text[size] == ':' || text[size] == '\n'))
      break;
  }
  return (mts_Error)i;
}

bool mts_errortext_split(const char *text, size_t length,
                         mts_ErrorParts *parts)
{
  const char *traceback;
  parts->error = read_name(text, length);
  if (parts->error == MTS_ERROR_COUNT)
    return false;
  parts->details = strlen(mts_error_names[parts->error]);
  if (strncmp(text + parts->details, ": ", 2) == 0)
    parts->details += 2;
  traceback = find_part(text, length, TRACEBACK);
  parts->traceback = traceback ? (size_t)(traceback - text) : length;
  parts->length = length;
  return true;
}

/*
** Each of these returns where the text goes on behind that part; NULL if the
** part is not there, or for NULL.  They end at a zero.
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
** As luaL_where writes it.  A chunk that is named by its code can have
** anything in its name; the name of a file has no colon with a space behind.
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

/* Skips "NAME: STATE: " as far as it is there; the name is. */
static const char *skip_head(const char *text, mts_Error error)
{
  const char *name_end = text + strlen(mts_error_names[error]);
  const char *details = skip(name_end, ": ");
  const char *message = skip_state(details);
  return message ? message : details ? details : name_end;
}

/*
** Reads a name that follows at *text or behind positions there, and moves
** *text to it.
*/
static mts_Error read_inner_name(const char **text, const char *end)
{
  const char *inner;
  for (inner = *text; inner; inner = skip_position(inner)) {
    mts_Error error = read_name(inner, (size_t)(end - inner));
    if (error != MTS_ERROR_COUNT) {
      *text = inner;
      return error;
    }
  }
  return MTS_ERROR_COUNT;
}

mts_ErrorOrigin mts_errortext_find_origin(const char *text,
                                          const mts_ErrorParts *parts)
{
  const char *end = text + parts->length;
  mts_Error error = parts->error;
  const char *traceback;
  text = skip_head(text, error);
  while (error == MTS_ERROR_INVOKING_STATE) {
    error = read_inner_name(&text, end);
    if (error != MTS_ERROR_COUNT)
      text = skip_head(text, error);
  }
  traceback = find_part(text, (size_t)(end - text), TRACEBACK);
  return (mts_ErrorOrigin){error, text,
                           (size_t)((traceback ? traceback : end) - text)};
}
