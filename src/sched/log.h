/*
** log.h - where errors go that nobody sees, and warnings
*/
#ifndef MTS_LOG_H
#define MTS_LOG_H

#include "base/compiler.h"

#include <stddef.h>

#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Reports an error or a warning about s (NULL: about no state) to the logger.
** Never waits, never fails: what the logger cannot take goes to stderr.
** Locks: no mutex may be held.
*/
void mts_log_error(const mts_State *s, const char *text, size_t length);
void mts_log_warning(const mts_State *s, const char *text, size_t length);

/*
** A warning about no state, for the watcher; only if stderr is the logger.
** Returns: whether that was so.
*/
bool mts_log_warn_at_once(const char *text);

/*
** Writes what the logger has not begun to stderr, at the end of the process.
** Nothing is logged from then on: what is interrupted would say so.
** Locks: takes the mutex of a queue.
*/
void mts_log_stop(void);

/*
** Makes the state the logger, which is owned until there is another one; NULL:
** stderr is.
** Locks: no mutex may be held.
** Returns: MTS_OK, MTS_CLOSED.
*/
mts_Status mts_log_set(mts_State *s);

MTS_END_HIDDEN

#endif
