/*
** dispatch.c - a table of functions as the callback of a service
**
** The callback is a C function with the table as upvalue.  It looks its choice
** up at each call, as Lua code would: the table can change, and __index of its
** metatable is honoured.  What it says of an unknown choice is made only then.
**
** A task, which may yield, has the choice made before it begins: in some
** versions of Lua a C function below it would keep it from yielding.
**
** Takes no locks: the calling thread holds the service.
*/
#include "core/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "luaapi/keytext.h"

#define FUNCTIONS lua_upvalueindex(1)

/* What runs when the service is closed; nobody can choose it. */
#define CLOSE_KEY lua_upvalueindex(2)

/* A third upvalue of the callback: a function that only chooses. */
#define CHOOSER 3

static bool is_callable(lua_State *L, int index)
{
  if (lua_isfunction(L, index))
    return true;
  if (!luaL_getmetafield(L, index, "__call"))
    return false;
  lua_pop(L, 1);
  return true;
}

/* ======================================================================= */
/* Unknown choice                                                          */
/* ======================================================================= */

/* So many tables are searched one behind the other, as by Lua itself. */
#define LONGEST_CHAIN 2000

/*
** Notes for each name in the table on top of the stack, unless it is noted
** already, whether its value can be called.
*/
static void note_names(lua_State *L, int noted)
{
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool is_function = is_callable(L, -1);
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING || lua_rawequal(L, -1, CLOSE_KEY))
      continue;
    lua_pushvalue(L, -1);
    lua_rawget(L, noted);
    if (lua_isnil(L, -1)) {
      lua_pushvalue(L, -2);
      lua_pushboolean(L, is_function);
      lua_rawset(L, noted);
    }
    lua_pop(L, 1);
  }
}

/*
** Pushes a table with the names in the functions, and in the tables that they
** inherit from, as keys: true if the name can be chosen.
*/
static void push_names(lua_State *L)
{
  int noted, chain = 0;
  lua_newtable(L);
  noted = lua_gettop(L);
  lua_pushvalue(L, FUNCTIONS);
  do {
    note_names(L, noted);
    if (!luaL_getmetafield(L, -1, "__index"))
      lua_pushnil(L);
    lua_replace(L, -2);
  } while (lua_istable(L, -1) && ++chain < LONGEST_CHAIN);
  lua_pop(L, 1);
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/*
** Pushes a block with the names that can be chosen, sorted.  They are keys of
** the table on top of the stack.  Returns how many there are.
*/
static size_t push_sorted(lua_State *L, const char ***sorted)
{
  const int noted = lua_gettop(L);
  size_t count = 0;
  lua_pushnil(L);
  for (; lua_next(L, noted); lua_pop(L, 1))
    count += (size_t)lua_toboolean(L, -1);
  *sorted = lua_newuserdatauv(L, (count + 1) * sizeof(**sorted), 0);
  count = 0;
  lua_pushnil(L);
  for (; lua_next(L, noted); lua_pop(L, 1))
    if (lua_toboolean(L, -1))
      (*sorted)[count++] = lua_tostring(L, -2);
  qsort(*sorted, count, sizeof(**sorted), compare_names);
  return count;
}

/* Raises the error for the choice in the first argument. */
static int raise_unknown(lua_State *L)
{
  const char *choice = mts_keytext_push(L, 1);
  const char **sorted;
  size_t count, i;
  luaL_Buffer text;
  push_names(L);
  count = push_sorted(L, &sorted);
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "there is no function ");
  luaL_addstring(&text, choice);
  if (count == 0)
    luaL_addstring(&text, ", nor any other");
  for (i = 0; i < count; i++) {
    const char *first = count == 1 ? "; there is '" : "; there are '";
    luaL_addstring(&text, i == 0 ? first : ", '");
    luaL_addstring(&text, sorted[i]);
    luaL_addchar(&text, '\'');
  }
  luaL_pushresult(&text);
  return lua_error(L);
}

/* ======================================================================= */
/* Callback                                                                */
/* ======================================================================= */

/* What the first argument chooses takes the place of that. */
static int choose(lua_State *L)
{
  if (lua_gettop(L) == 0)
    lua_pushnil(L);
  lua_pushvalue(L, 1);
  lua_gettable(L, FUNCTIONS);
  if (!is_callable(L, -1) || lua_rawequal(L, 1, CLOSE_KEY))
    return raise_unknown(L);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* The callback. */
static int dispatch(lua_State *L)
{
  return mts_compat_lastcall(L, choose(L) - 1);
}

void mts_dispatch_push(lua_State *L, int index)
{
  lua_pushvalue(L, index);
  lua_pushliteral(L, MTS_DISPATCH_CLOSE);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, choose, 2);
  lua_pushcclosure(L, dispatch, CHOOSER);
}

bool mts_dispatch_is(lua_State *L, int index)
{
  return lua_tocfunction(L, index) == dispatch;
}

int mts_dispatch_resolve(lua_State *L, int count)
{
  const int function = lua_gettop(L) - count;
  if (mts_dispatch_is(L, function)) {
    lua_getupvalue(L, function, CHOOSER);
    lua_replace(L, function);
    lua_call(L, count, LUA_MULTRET);
  }
  return lua_gettop(L) - function + 1;
}
