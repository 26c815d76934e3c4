/*
** setupread.c - what makes a state, as arguments: [options,] setup, ...
**
** The setup of a classic state crosses as code: a string as it is, a function
** as bytecode.  A function would lose the values of its upvalues on the way,
** so it must have none.  The function of a service is a message, with its
** arguments.  All stays on the creator's stack until the new state has it;
** there is no other memory, so errors can be raised at any point.
**
** Takes no locks.
*/
#include "lua/setupread.h"

#include <string.h>

#include "lua/arguments.h"
#include "lua/numbers.h"
#include "lua/options.h"
#include "lua/userdata.h"

/* ======================================================================= */
/* Code                                                                    */
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

/* Reads the setup at index and the arguments behind it. */
static void read_classic(lua_State *L, int index, mts_Setup *setup)
{
  const bool is_function = lua_isfunction(L, index);
  if (is_function)
    check_upvalues(L, index);
  mts_transfer_scan(&setup->args, L, index + 1);
  mts_transfer_check_args(&setup->args, luaL_argerror);
  if (is_function)
    push_bytecode(L, index, setup);
  else
    setup->code = lua_tolstring(L, index, &setup->length);
}

/* What crosses to a service is a message: count values, from first on. */
static void encode_setup(lua_State *L, int first, int count, mts_Setup *setup)
{
  mts_Message *message = mts_arguments_push(L);
  mts_arguments_encode(L, first, count, message);
  mts_transfer_scan_range(&setup->args, L, first, 0);
  setup->message = message;
  setup->skipped = first - 1;
}

/* The same for a service: all but source code crosses as a message. */
static void read_service(lua_State *L, int index, mts_Setup *setup)
{
  const int first = lua_isfunction(L, index) ? index : index + 1;
  encode_setup(L, first, lua_gettop(L) - first + 1, setup);
  if (first > index)
    setup->code = lua_tolstring(L, index, &setup->length);
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

/* Where the new state finds modules, as its creator does, and this one. */
static void read_paths(lua_State *L, mts_Setup *setup)
{
  setup->open_module = mts_userdata_context(L)->open_module;
  setup->path = push_package_field(L, "path");
  setup->cpath = push_package_field(L, "cpath");
}

/* ======================================================================= */
/* Arguments of the functions that make states                             */
/* ======================================================================= */

/*
** Returns: the index behind the argument at index, if that is a table of
** options, or of that other type in their place, or nil; or else index.
*/
static int skip_options(lua_State *L, int index, int other)
{
  const int type = lua_type(L, index);
  const bool is_given = type == LUA_TTABLE || type == other ||
                        (type == LUA_TNIL && lua_gettop(L) > index);
  return is_given ? index + 1 : index;
}

int mts_setupread_state(lua_State *L, int first, mts_Setup *setup)
{
  const int index = skip_options(L, first, LUA_TBOOLEAN);
  mts_options_set_defaults(setup);
  setup->is_service = lua_istable(L, first);
  if (setup->is_service)
    mts_options_read(L, first, MTS_OPTIONS_STATE, setup);
  else if (lua_isboolean(L, first))
    setup->with_libs = lua_toboolean(L, first);
  check_code(L, index);
  if (setup->is_service)
    read_service(L, index, setup);
  else
    read_classic(L, index, setup);
  read_paths(L, setup);
  return index;
}

int mts_setupread_pool(lua_State *L, int first, mts_Setup *setup)
{
  const int index = skip_options(L, first, LUA_TNUMBER);
  mts_options_set_defaults(setup);
  setup->is_service = true;
  if (lua_istable(L, first))
    mts_options_read(L, first, MTS_OPTIONS_POOL, setup);
  else if (lua_type(L, first) == LUA_TNUMBER &&
           !mts_options_read_members(L, first, &setup->members))
    luaL_argerror(L, first,
                  lua_pushfstring(L, "positive integer expected, got %s",
                                  mts_numbers_push_got(L, first)));
  check_code(L, index);
  read_service(L, index, setup);
  read_paths(L, setup);
  return index;
}

void mts_setupread_callback(lua_State *L, int index, mts_Setup *setup)
{
  static const char code[] = "return ...";
  mts_options_set_defaults(setup);
  setup->is_service = true;
  setup->code = code;
  setup->length = sizeof(code) - 1;
  encode_setup(L, index, 1, setup);
  read_paths(L, setup);
}

/* The name takes the place of the options, as these can change. */
static void keep_name(lua_State *L, mts_Setup *setup)
{
  lua_pushliteral(L, "name");
  lua_rawget(L, 1);
  lua_replace(L, 1);
  setup->name = lua_tolstring(L, 1, &setup->name_length);
}

int mts_setupread_thread(lua_State *L, mts_Setup *setup, int *count)
{
  static const char code[] = "-- mtstates.thread\n"
                             "return function(f, ...) return f(...) end";
  const int index = skip_options(L, 1, LUA_TTABLE);
  mts_options_set_defaults(setup);
  setup->is_service = setup->has_own_thread = true;
  if (lua_istable(L, 1)) {
    mts_options_read(L, 1, MTS_OPTIONS_THREAD, setup);
    keep_name(L, setup);
  }
  luaL_argcheck(L, setup->has_own_thread, 1,
                "option 'own_thread': true expected, got false");
  if (lua_type(L, index) == LUA_TSTRING)
    compile_code(L, index);
  else if (!lua_isfunction(L, index))
    luaL_typeerror(L, index, "function or code");
  setup->code = code;
  setup->length = sizeof(code) - 1;
  mts_transfer_scan_range(&setup->args, L, index, 0);
  *count = lua_gettop(L) - index + 1;
  read_paths(L, setup);
  return index;
}
