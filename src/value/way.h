/*
** way.h - where in the values something is, as text
**
** Of an argument it is a list of parts, such as
**
**   field 'cfg.cb[3]', upvalue 'sock'
**
** and of a result the first fields stand behind it as in Lua code: ".cfg[3]".
** What is longer than MTS_WAY_LENGTH is shortened in the middle.
*/
#ifndef MTS_WAY_H
#define MTS_WAY_H

#include "base/compiler.h"

#include "value/walk.h"

MTS_BEGIN_HIDDEN

#define MTS_WAY_LENGTH 200

typedef enum mts_WayStyle {
  MTS_WAY_OF_ARGUMENT,
  MTS_WAY_OF_RESULT
} mts_WayStyle;

/*
** Writes where the walk is.
** Stack: [-0, +0, -]; uses up to two slots.
*/
void mts_way_write(char text[MTS_WAY_LENGTH + 1], const mts_Walk *walk,
                   mts_WayStyle style);

/*
** Writes the key at index as it stands behind a table in Lua code, without a
** dot: "name", "[3]", "["a b"]".
** Stack: [-0, +0, -]
*/
#define MTS_WAY_KEY_SIZE 130
void mts_way_write_key(char text[MTS_WAY_KEY_SIZE], lua_State *L, int index);

MTS_END_HIDDEN

#endif
