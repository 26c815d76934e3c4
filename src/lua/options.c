/*
** options.c - what makes a state: the arguments [libs or options,] setup, ...
**
** A table in the place of libs has options and makes the state a service.  It
** is read raw, so that no code of its metatable runs.
**
** The setup of a classic state crosses as code: a string as it is, a function
** as bytecode.  A function would lose the values of its upvalues on the way,
** so it must have none.  The function of a service is a message, with its
** arguments.  All stays on the creator's stack until the new state has it;
** there is no other memory, so errors can be raised at any point.
**
** Takes no locks.
*/
#include "lua/options.h"

#include <stdint.h>
#include <string.h>

#include "lua/arguments.h"
#include "lua/numbers.h"
#include "luaapi/interpreter.h"
#include "luaapi/keytext.h"
#include "state.h"

/* ======================================================================= */
/* Options                                                                 */
/* ======================================================================= */

/* Returns where the setup is.  index: of libs or options, if one is given. */
static int setup_index(lua_State *L, int index)
{
  bool is_given = lua_isboolean(L, index) || lua_istable(L, index) ||
                  (lua_isnil(L, index) && lua_gettop(L) > index);
  return is_given ? index + 1 : index;
}

/*
** Stores the value on top of the stack, which has the right type.  Returns
** whether it can be the value of that option.
*/
typedef bool (*OptionReader)(lua_State *L, mts_Setup *setup);

typedef struct Option {
  const char *name;
  int type;
  const char *expected; /* in errors */
  OptionReader read;
} Option;

static bool read_libs(lua_State *L, mts_Setup *setup)
{
  setup->with_libs = lua_toboolean(L, -1);
  return true;
}

/* What is more than a size_t can count is no limit. */
static bool read_limit(lua_State *L, size_t *count)
{
  const lua_Number limit = lua_tonumber(L, -1);
  if (limit >= (lua_Number)(SIZE_MAX / 2))
    *count = MTS_STATE_NO_LIMIT;
  else if (limit >= 1)
    *count = (size_t)limit;
  else
    *count = 1;
  return limit > 0;
}

static bool read_queue(lua_State *L, mts_Setup *setup)
{
  return read_limit(L, &setup->queue_limit);
}

static bool read_tasks(lua_State *L, mts_Setup *setup)
{
  return read_limit(L, &setup->task_limit);
}

static bool read_memory(lua_State *L, mts_Setup *setup)
{
  return read_limit(L, &setup->memory_limit);
}

static bool read_own_thread(lua_State *L, mts_Setup *setup)
{
  setup->has_own_thread = lua_toboolean(L, -1);
  return true;
}

/* Seconds; whoever has more of them has no limit, which is a time of 0. */
#define MOST_TIME 1e9

static bool read_time(lua_State *L, mts_Setup *setup)
{
  const lua_Number seconds = lua_tonumber(L, -1);
  setup->time = seconds < (lua_Number)MOST_TIME ? (double)seconds : 0;
  return seconds > 0;
}

static bool read_members(lua_State *L, mts_Setup *setup)
{
  const lua_Number count = lua_tonumber(L, -1);
  if (!(count >= 1 && count <= MTS_OPTIONS_MOST_MEMBERS) ||
      count != (lua_Number)(size_t)count)
    return false;
  setup->members = (size_t)count;
  return true;
}

static bool read_state_name(lua_State *L, mts_Setup *setup)
{
  (void)L;
  (void)setup; /* see keep_name */
  return true;
}

/* Those of pools. */
static const Option pool_options[] = {
    {"n", LUA_TNUMBER, "positive integer", read_members},
    {"libs", LUA_TBOOLEAN, "boolean", read_libs},
    {"memory", LUA_TNUMBER, "positive number", read_memory},
    {"own_thread", LUA_TBOOLEAN, "boolean", read_own_thread},
    {"queue", LUA_TNUMBER, "positive number", read_queue},
    {"tasks", LUA_TNUMBER, "positive number", read_tasks},
    {"time", LUA_TNUMBER, "positive number", read_time},
    {NULL, LUA_TNONE, NULL, NULL}};

/* Those of newstate and singleton begin at the second one. */
static const Option thread_options[] = {
    {"name", LUA_TSTRING, "string", read_state_name},
    {"libs", LUA_TBOOLEAN, "boolean", read_libs},
    {"memory", LUA_TNUMBER, "positive number", read_memory},
    {"own_thread", LUA_TBOOLEAN, "boolean", read_own_thread},
    {"time", LUA_TNUMBER, "positive number", read_time},
    {"queue", LUA_TNUMBER, "positive number", read_queue},
    {"tasks", LUA_TNUMBER, "positive number", read_tasks},
    {NULL, LUA_TNONE, NULL, NULL}};
static const Option *const known_options = thread_options + 1;

/* Those of here are the last two. */
static const Option *const here_options = thread_options + 5;

/* The option whose name is at index, or NULL. */
static const Option *find_option(lua_State *L, int index, const Option *option)
{
  size_t length;
  const char *name;
  if (lua_type(L, index) != LUA_TSTRING)
    return NULL;
  name = lua_tolstring(L, index, &length);
  while (option->name && (strlen(option->name) != length ||
                          memcmp(option->name, name, length) != 0))
    option++;
  return option->name ? option : NULL;
}

static void refuse_value(lua_State *L, int table, const Option *option,
                         const char *got)
{
  lua_pushfstring(L, "option '%s': %s expected, got %s", option->name,
                  option->expected, got);
  luaL_argerror(L, table, lua_tostring(L, -1));
}

/* Reads the option whose key and value are on top of the stack. */
static void read_option(lua_State *L, int table, const Option *options,
                        mts_Setup *setup)
{
  const Option *option = find_option(L, -2, options);
  if (!option) {
    lua_pushfstring(L, "option %s is unknown", mts_keytext_push(L, -2));
    luaL_argerror(L, table, lua_tostring(L, -1));
  }
  else if (lua_type(L, -1) != option->type)
    refuse_value(L, table, option, luaL_typename(L, -1));
  else if (!option->read(L, setup))
    refuse_value(L, table, option, mts_numbers_push_got(L, -1));
}

/* Stores what holds where no option says something else. */
static void set_defaults(mts_Setup *setup)
{
  setup->with_libs = true;
  setup->is_service = setup->has_own_thread = false;
  setup->queue_limit = MTS_STATE_QUEUE_LIMIT;
  setup->task_limit = MTS_STATE_NO_LIMIT;
  setup->memory_limit = MTS_HEAP_NO_LIMIT;
  setup->time = 0;
  setup->members = 0;
  setup->name = NULL;
  setup->name_length = 0;
}

/* Reads the table of options at index. */
static void read_table(lua_State *L, int index, const Option *options,
                       mts_Setup *setup)
{
  lua_pushnil(L);
  while (lua_next(L, index)) {
    read_option(L, index, options, setup);
    lua_pop(L, 1);
  }
  luaL_argcheck(L,
                setup->memory_limit == MTS_HEAP_NO_LIMIT ||
                    mts_interpreter_takes_allocator(),
                index, "option 'memory': this LuaJIT, without GC64, has none");
}

/* Reads libs, or the options, if one is at index. */
static void read_options(lua_State *L, int index, mts_Setup *setup)
{
  set_defaults(setup);
  setup->with_libs = !lua_isboolean(L, index) || lua_toboolean(L, index);
  setup->is_service = lua_istable(L, index);
  if (setup->is_service)
    read_table(L, index, known_options, setup);
}

/* ======================================================================= */
/* Setup                                                                   */
/* ======================================================================= */

static int count_upvalues(lua_State *L, int index)
{
  lua_Debug ar;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">u", &ar);
  return ar.nups;
}

/*
** Whether the upvalue whose value is on top is _ENV; the new state has one of
** its own.  Without debug information upvalues have no names; then _ENV is
** recognized by its value.
*/
static bool is_env(lua_State *L, int i, const char *name)
{
  bool is_globals;
  if (*name != '(') /* "(no name)" */
    return strcmp(name, "_ENV") == 0;
  lua_pushglobaltable(L);
  is_globals = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return i == 1 && is_globals;
}

/* Refuses all upvalues but _ENV. */
static void check_upvalues(lua_State *L, int index)
{
  int count = count_upvalues(L, index);
  int i;
  for (i = 1; i <= count; i++) {
    const char *name = lua_getupvalue(L, index, i);
    if (!name || *name == '\0') /* stripped; NULL before Lua 5.2 */
      name = "(no name)";
    if (!MTS_HAS_ENV || !is_env(L, i, name)) {
      lua_pushfstring(L,
                      "lua function without upvalues expected, "
                      "has upvalue #%d '%s'",
                      i, name);
      luaL_argerror(L, index, lua_tostring(L, -1));
    }
    lua_pop(L, 1);
  }
}

/* Counts bytes and, if there is a place for them, stores them. */
typedef struct Dump {
  char *place;
  size_t size;
} Dump;

static int write_dump(lua_State *L, const void *data, size_t size, void *ud)
{
  Dump *dump = ud;
  (void)L;
  if (dump->place && size > 0)
    memcpy(dump->place + dump->size, data, size);
  dump->size += size;
  return 0;
}

/*
** Pushes a userdata with the bytecode of the function at index.  The size is
** found in a first pass, since a writer cannot leave Lua values on the stack.
*/
static void push_bytecode(lua_State *L, int index, mts_Setup *setup)
{
  Dump dump = {NULL, 0};
  char *bytes;
  lua_pushvalue(L, index);
  lua_dump(L, write_dump, &dump, 0);
  bytes = lua_newuserdatauv(L, dump.size + 1, 0);
  lua_insert(L, -2); /* below the function */
  dump = (Dump){bytes, 0};
  lua_dump(L, write_dump, &dump, 0);
  lua_pop(L, 1);
  bytes[dump.size] = '\0'; /* the code is the chunk's name, too */
  setup->code = bytes;
  setup->length = dump.size;
}

/* Raises an argument error if there is no setup at index. */
static void check_code(lua_State *L, int index)
{
  if (lua_isnoneornil(L, index))
    luaL_typeerror(L, index, "lua function");
  if (lua_type(L, index) == LUA_TSTRING)
    return;
  luaL_argcheck(L, lua_isfunction(L, index) && !lua_iscfunction(L, index),
                index, "lua function expected");
}

/* Reads the setup at index and the arguments behind it. */
static void read_classic(lua_State *L, int index, mts_Setup *setup)
{
  const bool is_function = lua_isfunction(L, index);
  if (is_function)
    check_upvalues(L, index);
  mts_transfer_scan(&setup->args, L, index + 1);
  mts_transfer_check_args(&setup->args);
  if (is_function)
    push_bytecode(L, index, setup);
  else
    setup->code = lua_tolstring(L, index, &setup->length);
  setup->message = NULL;
}

/* The same for a service: all but source code crosses as a message. */
static void read_service(lua_State *L, int index, mts_Setup *setup)
{
  const int first = lua_isfunction(L, index) ? index : index + 1;
  const int count = lua_gettop(L) - first + 1;
  mts_Message *message = mts_arguments_push(L);
  mts_arguments_encode(L, first, count, message);
  mts_transfer_scan_range(&setup->args, L, first, 0);
  setup->message = message;
  setup->skipped = first - 1;
  setup->code =
      first == index ? NULL : lua_tolstring(L, index, &setup->length);
}

/*
** A field of the package library, NULL if that is not a string.
** Stack: [-0, +1, e]
*/
static const char *push_package_field(lua_State *L, const char *field)
{
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_LOADLIBNAME);
  if (lua_istable(L, -1))
    lua_getfield(L, -1, field);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* Where the new state finds modules: as its creator does. */
static void read_paths(lua_State *L, mts_Setup *setup)
{
  setup->path = push_package_field(L, "path");
  setup->cpath = push_package_field(L, "cpath");
}

int mts_options_read(lua_State *L, int first, mts_Setup *setup)
{
  int index = setup_index(L, first);
  read_options(L, first, setup);
  check_code(L, index);
  if (setup->is_service)
    read_service(L, index, setup);
  else
    read_classic(L, index, setup);
  read_paths(L, setup);
  return index;
}

int mts_options_read_pool(lua_State *L, int first, mts_Setup *setup)
{
  const bool has_options = lua_istable(L, first);
  const bool has_count = lua_type(L, first) == LUA_TNUMBER;
  const bool is_given = has_options || has_count ||
                        (lua_isnil(L, first) && lua_gettop(L) > first);
  const int index = is_given ? first + 1 : first;
  set_defaults(setup);
  setup->is_service = true;
  if (has_options)
    read_table(L, first, pool_options, setup);
  if (has_count) {
    lua_pushvalue(L, first);
    if (!read_members(L, setup))
      luaL_argerror(L, first,
                    lua_pushfstring(L, "positive integer expected, got %s",
                                    mts_numbers_push_got(L, -1)));
    lua_pop(L, 1);
  }
  check_code(L, index);
  read_service(L, index, setup);
  read_paths(L, setup);
  return index;
}

void mts_options_read_callback(lua_State *L, int index, mts_Setup *setup)
{
  static const char code[] = "return ...";
  mts_Message *message = mts_arguments_push(L);
  mts_arguments_encode(L, index, 1, message);
  set_defaults(setup);
  mts_transfer_scan_range(&setup->args, L, index, 0);
  setup->code = code;
  setup->length = sizeof(code) - 1;
  setup->message = message;
  setup->skipped = index - 1;
  setup->is_service = true;
  read_paths(L, setup);
}

void mts_options_read_here(lua_State *L, int index, mts_Setup *setup)
{
  set_defaults(setup);
  if (index > 0)
    read_table(L, index, here_options, setup);
}

/* Replaces the code at index by the function that it is. */
static void compile_code(lua_State *L, int index)
{
  size_t length;
  const char *code = lua_tolstring(L, index, &length);
  const int result = luaL_loadbuffer(L, code, length, code);
  if (result == LUA_ERRSYNTAX)
    luaL_argerror(L, index, lua_tostring(L, -1));
  if (result != LUA_OK)
    lua_error(L);
  lua_replace(L, index);
}

/* The name takes the place of the options, as these can change. */
static void keep_name(lua_State *L, mts_Setup *setup)
{
  lua_pushliteral(L, "name");
  lua_rawget(L, 1);
  lua_replace(L, 1);
  setup->name_length = 0;
  setup->name = lua_tolstring(L, 1, &setup->name_length);
}

int mts_options_read_thread(lua_State *L, mts_Setup *setup, int *count)
{
  static const char code[] = "-- mtstates.thread\n"
                             "return function(f, ...) return f(...) end";
  const bool has_options =
      lua_istable(L, 1) || (lua_isnil(L, 1) && lua_gettop(L) > 1);
  const int index = has_options ? 2 : 1;
  set_defaults(setup);
  setup->has_own_thread = true;
  if (lua_istable(L, 1)) {
    read_table(L, 1, thread_options, setup);
    keep_name(L, setup);
  }
  luaL_argcheck(L, setup->has_own_thread, 1,
                "option 'own_thread': true expected, got false");
  if (lua_type(L, index) == LUA_TSTRING)
    compile_code(L, index);
  else if (!lua_isfunction(L, index))
    luaL_typeerror(L, index, "function or code");
  mts_transfer_scan_range(&setup->args, L, index, 0);
  setup->code = code;
  setup->length = sizeof(code) - 1;
  setup->message = NULL;
  setup->skipped = 0;
  setup->is_service = true;
  *count = lua_gettop(L) - index + 1;
  read_paths(L, setup);
  return index;
}
