/*
** arguments.h - arguments for services as messages
*/
#ifndef MTS_ARGUMENTS_H
#define MTS_ARGUMENTS_H

#include "base/compiler.h"
#include "luaapi/compat.h"
#include "value/codec.h"
#include "value/encode.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/*
** Makes the class of messages that Lua code never sees.  The context is on top
** of the stack.
** Stack: [-0, +0, m]
*/
void mts_arguments_open(lua_State *L);

/*
** Pushes an empty message, which is freed when it is collected.
** Stack: [-0, +1, m]
*/
mts_Message *mts_arguments_push(lua_State *L);

/*
** Encodes the count arguments of the running function from the index first on
** into an empty message.  The stack has to stay as it is until that has been
** read: it keeps long strings.
** Owns: the caller frees the message; if an error is raised, it is free.
** Errors: argument errors; those of __transfer; out_of_memory.
** Stack: [-0, +n, v]
*/
void mts_arguments_encode(lua_State *L, int first, int count,
                          mts_Message *message);

/*
** The same in two steps, for a caller that holds something meanwhile: the
** first never raises, and the message has copies of all strings.  If it does
** not return MTS_ENCODED, the message is free, and the second raises why, by
** raise if it is an argument.
** Stack: [-0, +(0|1), -]
*/
mts_Encoding mts_arguments_try(lua_State *L, int first, int count,
                               mts_Message *message, mts_Misfit *misfit);

/*
** Returns: never.
** Stack: [-0, +n, v]
*/
int mts_arguments_raise(lua_State *L, int first, mts_Encoding encoding,
                        const mts_Misfit *misfit, mts_RaiseArgument raise);

/* Frees the message.  Runs in a function of the module. */
void mts_arguments_free(lua_State *L, mts_Message *message);

MTS_END_HIDDEN

#endif
