/*
** options.c - the options of new states
**
** One table has them all, with the functions of the module that take them.  A
** table of options is read raw, so that no code of its metatable runs.
**
** Takes no locks.
*/
#include "lua/options.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lua/numbers.h"
#include "luaapi/interpreter.h"
#include "luaapi/keytext.h"
#include "state.h"

void mts_options_set_defaults(mts_Setup *setup)
{
  *setup = (mts_Setup){.with_libs = true,
                       .queue_limit = MTS_STATE_QUEUE_LIMIT,
                       .task_limit = MTS_STATE_NO_LIMIT,
                       .memory_limit = MTS_HEAP_NO_LIMIT};
}

/* ======================================================================= */
/* Values                                                                  */
/* ======================================================================= */

/*
** Stores the value at index, which has the right type, in a field of the
** setup.  Returns whether it can be the value of that option.
*/
typedef bool (*OptionReader)(lua_State *L, int index, void *field);

static bool read_boolean(lua_State *L, int index, void *field)
{
  *(bool *)field = lua_toboolean(L, index);
  return true;
}

/* What is more than a size_t can count is no limit. */
static bool read_limit(lua_State *L, int index, void *field)
{
  const lua_Number limit = lua_tonumber(L, index);
  size_t *count = field;
  if (limit >= (lua_Number)(SIZE_MAX / 2))
    *count = MTS_STATE_NO_LIMIT;
  else if (limit >= 1)
    *count = (size_t)limit;
  else
    *count = 1;
  return limit > 0;
}

/* Seconds; whoever has more of them has no limit, which is a time of 0. */
#define MOST_TIME 1e9

static bool read_time(lua_State *L, int index, void *field)
{
  const lua_Number seconds = lua_tonumber(L, index);
  *(double *)field = seconds < (lua_Number)MOST_TIME ? (double)seconds : 0;
  return seconds > 0;
}

bool mts_options_read_members(lua_State *L, int index, void *field)
{
  const lua_Number count = lua_tonumber(L, index);
  if (!(count >= 1 && count <= MTS_OPTIONS_MOST_MEMBERS) ||
      count != (lua_Number)(size_t)count)
    return false;
  *(size_t *)field = (size_t)count;
  return true;
}

/* A string is not stored: the table can be changed. */
static bool read_string(lua_State *L, int index, void *field)
{
  (void)L;
  (void)index;
  (void)field;
  return true;
}

/* ======================================================================= */
/* Options                                                                 */
/* ======================================================================= */

#define OF_STATES (MTS_OPTIONS_STATE | MTS_OPTIONS_POOL | MTS_OPTIONS_THREAD)
#define OF_ALL (OF_STATES | MTS_OPTIONS_HERE)

typedef struct Option {
  const char *name;
  const char *expected; /* in errors */
  OptionReader read;
  size_t field; /* where that is in mts_Setup */
  int type;
  unsigned takers;
} Option;

#define FIELD(name) offsetof(mts_Setup, name)
#define BOOLEAN(name) "boolean", read_boolean, FIELD(name), LUA_TBOOLEAN
#define NUMBER(name, expected, read) expected, read, FIELD(name), LUA_TNUMBER
#define LIMIT(name) NUMBER(name, "positive number", read_limit)
#define SECONDS(name) NUMBER(name, "positive number", read_time)
#define MEMBERS(name)                                                         \
  NUMBER(name, "positive integer", mts_options_read_members)
#define STRING(name) "string", read_string, FIELD(name), LUA_TSTRING

/* The name is an option only of what has no argument for it. */
static const Option known_options[] = {
    {"libs", BOOLEAN(with_libs), OF_STATES},
    {"memory", LIMIT(memory_limit), OF_STATES},
    {"n", MEMBERS(members), MTS_OPTIONS_POOL},
    {"name", STRING(name), MTS_OPTIONS_THREAD},
    {"own_thread", BOOLEAN(has_own_thread), OF_STATES},
    {"queue", LIMIT(queue_limit), OF_ALL},
    {"tasks", LIMIT(task_limit), OF_ALL},
    {"time", SECONDS(time), OF_STATES}};

#define KNOWN_OPTIONS (sizeof(known_options) / sizeof(*known_options))

/* The option whose name is at index, or NULL: that taker knows none. */
static const Option *find_option(lua_State *L, int index,
                                 mts_OptionTaker taker)
{
  size_t length, i;
  const char *name;
  if (lua_type(L, index) != LUA_TSTRING)
    return NULL;
  name = lua_tolstring(L, index, &length);
  for (i = 0; i < KNOWN_OPTIONS; i++) {
    const Option *option = &known_options[i];
    if ((option->takers & taker) && strlen(option->name) == length &&
        memcmp(option->name, name, length) == 0)
      return option;
  }
  return NULL;
}

static void refuse_value(lua_State *L, int table, const Option *option,
                         const char *got)
{
  lua_pushfstring(L, "option '%s': %s expected, got %s", option->name,
                  option->expected, got);
  luaL_argerror(L, table, lua_tostring(L, -1));
}

/* Reads the option whose key and value are on top of the stack. */
static void read_option(lua_State *L, int table, mts_OptionTaker taker,
                        mts_Setup *setup)
{
  const Option *option = find_option(L, -2, taker);
  if (!option) {
    lua_pushfstring(L, "option %s is unknown", mts_keytext_push(L, -2));
    luaL_argerror(L, table, lua_tostring(L, -1));
  }
  else if (lua_type(L, -1) != option->type)
    refuse_value(L, table, option, luaL_typename(L, -1));
  else if (!option->read(L, -1, (char *)setup + option->field))
    refuse_value(L, table, option, mts_numbers_push_got(L, -1));
}

void mts_options_read(lua_State *L, int index, mts_OptionTaker taker,
                      mts_Setup *setup)
{
  lua_pushnil(L);
  while (lua_next(L, index)) {
    read_option(L, index, taker, setup);
    lua_pop(L, 1);
  }
  luaL_argcheck(L,
                setup->memory_limit == MTS_HEAP_NO_LIMIT ||
                    mts_interpreter_takes_allocator(),
                index, "option 'memory': this LuaJIT, without GC64, has none");
}
