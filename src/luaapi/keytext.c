/*
** keytext.c - keys of tables as texts of errors show them
**
** Takes no locks.
*/
#include "luaapi/keytext.h"

const char *mts_keytext_push(lua_State *L, int index)
{
  switch (lua_type(L, index)) {
  case LUA_TNONE:
  case LUA_TNIL:
    return lua_pushfstring(L, "nil");
  case LUA_TSTRING:
    return lua_pushfstring(L, "'%s'", lua_tostring(L, index));
  case LUA_TBOOLEAN:
    return lua_pushfstring(L, "[%s]",
                           lua_toboolean(L, index) ? "true" : "false");
  case LUA_TNUMBER:
    lua_pushvalue(L, index); /* which becomes a string */
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_replace(L, -2);
    return lua_tostring(L, -1);
  default:
    return lua_pushfstring(L, "[%s]", luaL_typename(L, index));
  }
}
