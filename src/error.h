/*
** error.h - the errors of this module: their names and texts
**
** An error is a string "mtstates.error.NAME: details", optionally followed by
** "\nstack traceback:\n..." if it was raised in another state.  An error that
** has crossed several states contains the one of each state.
*/
#ifndef MTS_ERROR_H
#define MTS_ERROR_H

#include "base/compiler.h"
#include "luaapi/compat.h"
#include "state.h"
#include "util.h"
#include "value/classes.h"

MTS_BEGIN_HIDDEN

/* All errors, in the order of their names: the constant and the name. */
#define MTS_ERRORS(X)                                                         \
  X(MTS_ERROR_ABANDONED, "abandoned")                                         \
  X(MTS_ERROR_AMBIGUOUS_NAME, "ambiguous_name")                               \
  X(MTS_ERROR_CANCELLED, "cancelled")                                         \
  X(MTS_ERROR_CONCURRENT_ACCESS, "concurrent_access")                         \
  X(MTS_ERROR_DEADLOCK, "deadlock")                                           \
  X(MTS_ERROR_INTERRUPTED, "interrupted")                                     \
  X(MTS_ERROR_INVOKING_STATE, "invoking_state")                               \
  X(MTS_ERROR_OBJECT_CLOSED, "object_closed")                                 \
  X(MTS_ERROR_OUT_OF_MEMORY, "out_of_memory")                                 \
  X(MTS_ERROR_STATE_RESULT, "state_result")                                   \
  X(MTS_ERROR_UNKNOWN_CLASS, "unknown_class")                                 \
  X(MTS_ERROR_UNKNOWN_OBJECT, "unknown_object")

#define MTS_ERROR_CONSTANT(constant, name) constant,
typedef enum mts_Error {
  MTS_ERRORS(MTS_ERROR_CONSTANT) /* and how many there are: */
  MTS_ERROR_COUNT
} mts_Error;
#undef MTS_ERROR_CONSTANT

/* With the class and a dot in front. */
extern const char *const mts_error_names[MTS_ERROR_COUNT];

/* The message when there is no memory for any other. */
extern const char mts_error_no_memory[];

/* The message of MTS_FORKED, which has no name. */
extern const char mts_error_forked[];

/*
** Raises "NAME: details", details formatted as by lua_pushfstring.
** Returns: never.
** Stack: [-0, +1, v]
*/
int mts_error_raise(lua_State *L, mts_Error error, const char *format, ...);

/*
** Raises what a lower layer reported: a status without a message of its own
** (MTS_SYNTAX and MTS_RAISED have one).  what: the object that it is about, as
** text.  MTS_FORKED, which has no name, is raised as luaL_error does that.
** Returns: never.
** Stack: [-0, +1, v]
*/
int mts_error_raise_status(lua_State *L, mts_Status status, const char *what);

/* The same; the object is the state s. */
int mts_error_raise_about(lua_State *L, mts_Status status, const mts_State *s);

/*
** Pushes the message.
** Returns: false if there is no memory; the error that says so is pushed then.
** Stack: [-0, +1, -]
*/
bool mts_error_push_copy(lua_State *L, const mts_Buffer *message);

/* The same, and frees the message. */
bool mts_error_push_message(lua_State *L, mts_Buffer *message);

/*
** Writes "NAME: state(...): text" into message, without Lua.
** Returns: MTS_RAISED, or MTS_NO_MEMORY (the message is empty then).
*/
mts_Status mts_error_compose(mts_Buffer *message, mts_Error error,
                             const mts_State *s, const char *text,
                             size_t length);

/* The same for a status as mts_error_raise_status takes. */
mts_Status mts_error_compose_status(mts_Buffer *message, mts_Status status,
                                    const mts_State *s);

/*
** Whether the text is that of an error which code of s has raised with that
** status about s itself, and has not caught: composed as
** MTS_ERROR_INVOKING_STATE by s.
*/
bool mts_error_is_raised_by(const mts_Buffer *text, const mts_State *s,
                            mts_Status status);

/*
** Pushes the error value at index as text.
** Returns: that.
** Stack: [-0, +1, e]
*/
const char *mts_error_push_value(lua_State *L, int index, size_t *length);

/*
** For message handlers: pushes the error value at index as text, with a
** traceback from the function that has raised it.
** Stack: [-0, +1, e]
*/
void mts_error_push_text(lua_State *L, int index);

/* The same with the traceback of L1, from that level on. */
void mts_error_push_text_of(lua_State *L, int index, lua_State *L1, int level);

/*
** The message handler for calls into classic states: makes a string of any
** error value and adds a traceback.
** Stack: [-1, +1, e]
*/
int mts_error_handler(lua_State *L);

MTS_END_HIDDEN

#endif
