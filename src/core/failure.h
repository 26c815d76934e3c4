/*
** failure.h - why a call has given no results
*/
#ifndef MTS_FAILURE_H
#define MTS_FAILURE_H

#include "base/compiler.h"

#include <stdbool.h>

#include "luaapi/compat.h"
#include "util.h"
#include "value/codec.h"

MTS_BEGIN_HIDDEN

/* What there is to say when a function reports MTS_RAISED. */
typedef struct mts_Failure {
  mts_Buffer text;  /* the message; empty if the error is on the stack */
  bool is_on_stack; /* an error of the caller's own code is on top there */
  bool has_value;   /* the error value of a service crosses: */
  mts_Message value;

  /*
  ** With MTS_DEFERRED: the future whose answer is that of the call, held as by
  ** a message (handle.h).
  */
  void *deferral;
} mts_Failure;

static inline void mts_failure_open(mts_Failure *failure)
{
  failure->text = (mts_Buffer){0};
  failure->is_on_stack = false;
  failure->has_value = false;
}

/*
** Frees what there is.
** Locks: no mutex may be held.
*/
void mts_failure_close(mts_Failure *failure);

/*
** Pushes the error, unless it is on the stack, and frees what there is.
** Locks: no mutex may be held.
** Stack: [-0, +(0|1), -]
*/
void mts_failure_push(lua_State *L, mts_Failure *failure);

/*
** Pushes an error, as often as one likes: a copy of its value, or, if there is
** none (NULL) or L cannot make it, of its text; or, without memory, the error
** that says so.
** Locks: no mutex may be held.
** Stack: [-0, +1, -]
*/
void mts_failure_push_copy(lua_State *L, const mts_Buffer *text,
                           const mts_Message *value);

/* Pushes the error that there is no memory.  Stack: [-0, +1, -] */
void mts_failure_push_no_memory(lua_State *L);

MTS_END_HIDDEN

#endif
