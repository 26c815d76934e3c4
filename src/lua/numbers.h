/*
** numbers.h - numbers as arguments and options
*/
#ifndef MTS_NUMBERS_H
#define MTS_NUMBERS_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** The argument, a time in seconds: any number but nan.
** Stack: [-0, +0, v]
** Errors: an argument error.
*/
lua_Number mts_numbers_check_seconds(lua_State *L, int arg);

/* Returns: the point of the clock when the timeout ends; 0 if it is 0 or less.
 */
double mts_numbers_deadline(lua_Number timeout);

/*
** Pushes what an error says that the wrong value at index is: the number, or
** the type of what is none.
** Returns: the text.
** Stack: [-0, +1, m]
*/
const char *mts_numbers_push_got(lua_State *L, int index);

MTS_END_HIDDEN

#endif
