/*
** trace.h - what every thread does, as events in a file
*/
#ifndef MTS_TRACE_H
#define MTS_TRACE_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/tracefile.h"

MTS_BEGIN_HIDDEN

/*
** Of the trace that is being written: each has another number.  0: there is
** none, which is all that the functions below look at then.
*/
extern atomic_uint mts_trace_number;

static inline bool mts_trace_is_on(void)
{
  return __builtin_expect(
      atomic_load_explicit(&mts_trace_number, memory_order_relaxed) != 0, 0);
}

/* Parts of the functions below. */
void mts_trace_write_begin(mts_TraceWhat what, const mts_State *s);
void mts_trace_write_end(void);
void mts_trace_write_count(const mts_State *s, size_t count);
void mts_trace_write_resume(const mts_State *s, const void *task,
                            unsigned trace);

/*
** The calling thread begins to do something, and has ended what it has begun
** last.  s: the state that it is about, or NULL.
** Locks: as all functions that add an event, can take the mutex of the trace,
** and wait for the file.
*/
static inline void mts_trace_begin(mts_TraceWhat what, const mts_State *s)
{
  if (mts_trace_is_on())
    mts_trace_write_begin(what, s);
}

static inline void mts_trace_end(void)
{
  if (mts_trace_is_on())
    mts_trace_write_end();
}

/* So many requests wait in the queue of s, whose mutex the caller has. */
static inline void mts_trace_count(const mts_State *s, size_t count)
{
  if (mts_trace_is_on())
    mts_trace_write_count(s, count);
}

/*
** A task of s is suspended, to be called if there is a trace; and it goes on,
** or is closed.
** what: it waits for.  other: the state that it waits for, or NULL.
** trace: what mts_trace_suspend has returned.
** Locks: as above.
*/
unsigned mts_trace_suspend(mts_TraceWhat what, const mts_State *s,
                           const mts_State *other, const void *task);

static inline void mts_trace_resume(const mts_State *s, const void *task,
                                    unsigned trace)
{
  if (mts_trace_is_on())
    mts_trace_write_resume(s, task, trace);
}

/* To be called before other files want to be told of forks. */
void mts_trace_open(void);

/*
** Ends the trace, if there is one, and begins another one, in that file; NULL:
** begins none.
** Locks: no mutex may be held.
** Returns: 0, or the errno for which the file cannot be opened.
*/
int mts_trace_start(const char *path);

/*
** Whether a trace has ended since it could not be written, which is told once.
** *error: the errno.
*/
bool mts_trace_take_failure(int *error);

MTS_END_HIDDEN

#endif
