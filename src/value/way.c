/*
** way.c - where in the values something is, as text
**
** Takes no locks.
*/
#include "value/way.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

/* The beginning and the end of a long text stay. */
#define GAP "..."
#define HEAD 98
#define TAIL (MTS_WAY_LENGTH - HEAD - (sizeof(GAP) - 1))

/* A text that is being written.  The tail is a ring. */
typedef struct Way {
  char head[MTS_WAY_LENGTH]; /* all of the text, as long as it is short */
  char tail[TAIL];
  size_t length;
  bool is_bare; /* the fields of a result */
  enum { AT_START, IN_FIELD, BEHIND_PART } place;
} Way;

static void append_text(Way *way, const char *text)
{
  for (; *text != '\0'; text++) {
    if (way->length < sizeof(way->head))
      way->head[way->length] = *text;
    way->tail[way->length % TAIL] = *text;
    way->length++;
  }
}

static bool is_identifier(const char *string, size_t length)
{
  size_t i;
  for (i = 0; i < length; i++)
    if (string[i] != '_' && !isalnum((unsigned char)string[i]))
      return false;
  return length > 0 && length < MTS_WAY_KEY_SIZE &&
         !isdigit((unsigned char)*string);
}

void mts_way_write_key(char text[MTS_WAY_KEY_SIZE], lua_State *L, int index)
{
  char quoted[MTS_QUOTED_SIZE];
  const char *string;
  size_t length;
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    string = lua_tolstring(L, index, &length);
    if (is_identifier(string, length))
      memcpy(text, string, length + 1);
    else {
      mts_util_quote(quoted, string, length);
      snprintf(text, MTS_WAY_KEY_SIZE, "[%s]", quoted);
    }
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index))
      snprintf(text, MTS_WAY_KEY_SIZE, "[%lld]",
               (long long)lua_tointeger(L, index));
    else
      snprintf(text, MTS_WAY_KEY_SIZE, "[%.14g]",
               (double)lua_tonumber(L, index));
    break;
  case LUA_TBOOLEAN:
    snprintf(text, MTS_WAY_KEY_SIZE, "[%s]",
             lua_toboolean(L, index) ? "true" : "false");
    break;
  default:
    snprintf(text, MTS_WAY_KEY_SIZE, "[%s]", luaL_typename(L, index));
  }
}

static void end_fields(Way *way)
{
  if (way->place == IN_FIELD && !way->is_bare)
    append_text(way, "'");
  if (way->place != AT_START)
    append_text(way, ", ");
  way->is_bare = false;
  way->place = BEHIND_PART;
}

/* Appends a key as mts_way_write_key writes it. */
static void append_key(Way *way, const char *key)
{
  bool is_first = way->place != IN_FIELD && !way->is_bare;
  if (is_first) {
    end_fields(way);
    append_text(way, "field '");
  }
  if (!is_first && *key != '[')
    append_text(way, ".");
  append_text(way, key);
  way->place = IN_FIELD;
}

/* Appends anything but a key. */
static void append_part(Way *way, const char *text)
{
  if (way->is_bare)
    way->place = IN_FIELD; /* what it is a part of stands in front */
  end_fields(way);
  append_text(way, text);
}

static void append_upvalue(Way *way, const mts_Walk *walk,
                           const mts_Frame *frame)
{
  lua_State *L = walk->L;
  const char *name;
  mts_walk_push_slot(walk, frame->slot);
  name = lua_getupvalue(L, -1, (int)frame->done);
  append_part(way, "upvalue '");
  append_text(way, name && *name != '\0' ? name : "(no name)");
  append_text(way, "'");
  lua_pop(L, name ? 2 : 1);
}

static void append_step(Way *way, const mts_Walk *walk, const mts_Frame *frame)
{
  char text[MTS_WAY_KEY_SIZE];
  switch (frame->step) {
  case MTS_STEP_RUN:
    snprintf(text, sizeof(text), "[%zu]", frame->done);
    append_key(way, text);
    break;
  case MTS_STEP_KEY:
    append_part(way, "a key");
    break;
  case MTS_STEP_VALUE:
    mts_walk_push_slot(walk, frame->slot + 1);
    mts_way_write_key(text, walk->L, -1);
    lua_pop(walk->L, 1);
    append_key(way, text);
    break;
  case MTS_STEP_ENV:
    append_part(way, "its environment");
    break;
  case MTS_STEP_UPVALUE:
    append_upvalue(way, walk, frame);
    break;
  case MTS_STEP_RESULT:
    snprintf(text, sizeof(text), "__transfer result #%zu", frame->done);
    append_part(way, text);
    break;
  }
}

void mts_way_write(char text[MTS_WAY_LENGTH + 1], const mts_Walk *walk,
                   mts_WayStyle style)
{
  Way way = {.is_bare = style == MTS_WAY_OF_RESULT};
  size_t i;
  for (i = 0; i < walk->depth; i++)
    append_step(&way, walk, &walk->frames[i]);
  if (way.place == IN_FIELD && !way.is_bare)
    append_text(&way, "'");
  if (style == MTS_WAY_OF_RESULT && !way.is_bare)
    append_text(&way, ",");
  if (way.length <= MTS_WAY_LENGTH) {
    memcpy(text, way.head, way.length);
    text[way.length] = '\0';
    return;
  }
  memcpy(text, way.head, HEAD);
  memcpy(text + HEAD, GAP, sizeof(GAP) - 1);
  for (i = 0; i < TAIL; i++)
    text[HEAD + sizeof(GAP) - 1 + i] =
        way.tail[(way.length - TAIL + i) % TAIL];
  text[MTS_WAY_LENGTH] = '\0';
}
