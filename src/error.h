/*
** error.h - the errors of this module
*/
#ifndef MTS_ERROR_H
#define MTS_ERROR_H

#include "base/compiler.h"
#include "luaapi/compat.h"
#include "state.h"
#include "util.h"
#include "value/classes.h"

MTS_BEGIN_HIDDEN

/* In the order of the table in error.c. */
typedef enum mts_Error {
  MTS_ERROR_AMBIGUOUS_NAME,
  MTS_ERROR_CONCURRENT_ACCESS,
  MTS_ERROR_DEADLOCK,
  MTS_ERROR_INTERRUPTED,
  MTS_ERROR_INVOKING_STATE,
  MTS_ERROR_OBJECT_CLOSED,
  MTS_ERROR_OUT_OF_MEMORY,
  MTS_ERROR_STATE_RESULT,
  MTS_ERROR_UNKNOWN_OBJECT,
  MTS_ERROR_COUNT
} mts_Error;

/* With that prefix and a dot. */
extern const char *const mts_error_names[MTS_ERROR_COUNT];

/* The message when there is no memory for any other. */
extern const char mts_error_no_memory[];

/*
** Raises "NAME: details", details formatted as by lua_pushfstring.
** Stack: [-0, +1, v]; never returns.
*/
int mts_error_raise(lua_State *L, mts_Error error, const char *format, ...);

/*
** Raises what a function of a lower room reported: a status that comes without
** a message.  what: the object that it is about, as text.
*/
int mts_error_raise_status(lua_State *L, mts_Status status, const char *what);

/*
** Pushes the message and frees it.  False if there is no memory: then the
** error that says so is pushed.  Stack: [-0, +1, -]
*/
bool mts_error_push_message(lua_State *L, mts_Buffer *message);

/*
** Writes "NAME: state(...): text" into message, without Lua.
** Returns: MTS_RAISED, or MTS_NO_MEMORY (the message is empty then).
*/
mts_Status mts_error_compose(mts_Buffer *message, mts_Error error,
                             const mts_State *s, const char *text,
                             size_t length);

/* The same for a status that comes without a message. */
mts_Status mts_error_compose_status(mts_Buffer *message, mts_Status status,
                                    const mts_State *s);

/*
** The message handler for calls into states: makes a string of any error
** value and adds a traceback.  Stack: [-1, +1, e]
*/
int mts_error_handler(lua_State *L);

MTS_END_HIDDEN

#endif
