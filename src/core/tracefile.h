/*
** tracefile.h - the file of a trace
*/
#ifndef MTS_TRACEFILE_H
#define MTS_TRACEFILE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;

typedef enum mts_TracePhase {
  MTS_TRACE_BEGIN,
  MTS_TRACE_END,
  MTS_TRACE_COUNT,
  MTS_TRACE_SUSPEND,
  MTS_TRACE_RESUME
} mts_TracePhase;

/* What a thread does, and then what threads and tasks wait for. */
typedef enum mts_TraceWhat {
  MTS_TRACE_CALL,
  MTS_TRACE_TASK,
  MTS_TRACE_SETUP,
  MTS_TRACE_CLOSE,
  MTS_TRACE_ENTER,   /* to get into a state */
  MTS_TRACE_ANSWER,  /* of a state, or promise */
  MTS_TRACE_ROOM,    /* in a queue */
  MTS_TRACE_TIME,    /* that passes */
  MTS_TRACE_STATE,   /* that there is one */
  MTS_TRACE_IDLE,    /* that a state has no requests any more, */
  MTS_TRACE_CLOSING, /* or is closed */
  MTS_TRACE_TURN     /* of the other tasks */
} mts_TraceWhat;

/* In which of these fields a phase has what, is in tracefile.c. */
typedef struct mts_TraceEvent {
  double time;   /* of the clock */
  int64_t state; /* its id, or 0 */
  int64_t other; /* the same */
  uint64_t value;
  uint8_t phase;
  uint8_t what;
} mts_TraceEvent;

/*
** All functions are for one thread at a time, and those that follow for a file
** that is open.
*/

/* Begins a file.  Owns: takes the stream. */
void mts_tracefile_open(FILE *stream, double start);

/* The names of a thread and of a state, before events that need them. */
void mts_tracefile_add_thread(unsigned thread, const char *name);
void mts_tracefile_add_state(const mts_State *s);

void mts_tracefile_add(unsigned thread, const mts_TraceEvent *event);

/* What has begun so, and ended then. */
void mts_tracefile_add_span(unsigned thread, const mts_TraceEvent *begin,
                            double end);

/*
** Writes what was added, and may be held back.
** Returns: 0, or the errno of what could not be written up to now.
*/
int mts_tracefile_flush(void);

/* The same; nothing follows. */
int mts_tracefile_close(void);

/* For the child of a fork: the file is that of the parent. */
void mts_tracefile_forget(void);

MTS_END_HIDDEN

#endif
