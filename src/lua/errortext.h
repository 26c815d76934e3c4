/*
** errortext.h - the text of an error taken apart
**
** An error that has crossed states is
**
**   NAME: STATE: [POSITION: ...] NAME: ... message
**
** with a traceback behind the message for each of those states.  Positions are
** what coroutine.wrap or error, called with the text, have put in front.
*/
#ifndef MTS_ERRORTEXT_H
#define MTS_ERRORTEXT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

MTS_BEGIN_HIDDEN

/*
** Where the parts of a text start: name, details, traceback (with the line
** break before it) and end.  A part that is missing starts where the next
** does.
*/
typedef struct mts_ErrorParts {
  mts_Error error;
  size_t details;
  size_t traceback;
  size_t length;
} mts_ErrorParts;

/* What an error came from, in the innermost state. */
typedef struct mts_ErrorOrigin {
  mts_Error error;  /* MTS_ERROR_COUNT: it is not one of this module's */
  const char *text; /* the message as it was raised */
  size_t length;
} mts_ErrorOrigin;

/*
** Takes a zero-terminated text apart.
** Returns: false if it does not begin with the name of an error.
*/
bool mts_errortext_split(const char *text, size_t length,
                         mts_ErrorParts *parts);

/* Finds the origin of an error in its text, which has been taken apart. */
mts_ErrorOrigin mts_errortext_find_origin(const char *text,
                                          const mts_ErrorParts *parts);

MTS_END_HIDDEN

#endif
