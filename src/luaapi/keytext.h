/*
** keytext.h - keys of tables as texts of errors show them
*/
#ifndef MTS_KEYTEXT_H
#define MTS_KEYTEXT_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Pushes the text for the key at index: 'name' for a string, [1], [1.5] and
** [true] for what is written like that, nil, and of others the type, [table].
** Runs no Lua code.
** Returns: the text.
** Stack: [-0, +1, m]
*/
const char *mts_keytext_push(lua_State *L, int index);

MTS_END_HIDDEN

#endif
