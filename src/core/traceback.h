/*
** traceback.h - where the code of a state is
*/
#ifndef MTS_TRACEBACK_H
#define MTS_TRACEBACK_H

#include "base/compiler.h"

#include "state.h"
#include "util.h"

MTS_BEGIN_HIDDEN

/* What became of a request. */
typedef enum mts_TracebackProgress {
  MTS_TRACEBACK_NOWHERE, /* no other thread knows it */
  MTS_TRACEBACK_PENDING, /* it is in the list of the state */
  MTS_TRACEBACK_TAKEN,   /* the thread that holds the state writes */
  MTS_TRACEBACK_DONE
} mts_TracebackProgress;

/* A request for a traceback; lives on the stack of the asking thread. */
typedef struct mts_Traceback {
  mts_State *state;
  atomic_int progress; /* guarded by the mutex of the lock, but for DONE */
  mts_Buffer text;
  bool lacks_memory;          /* for the text */
  double next_signal;         /* when to send another one, */
  double delay;               /* and how long after the last one */
  struct mts_Traceback *next; /* in the list of the state */
} mts_Traceback;

/*
** s: with a reference, which stays the caller's.  Between the two the request
** has to stay where it is; afterwards the text is the caller's.
** Locks: mts_traceback_close takes s->lock.mutex, and waits, not for long, for
** a thread that is just writing.
*/
void mts_traceback_open(mts_Traceback *request, mts_State *s);
void mts_traceback_close(mts_Traceback *request);

/*
** Tries to get the text.  L: where code of s runs, if that is the caller, or
** NULL.
** Locks: takes s->lock.mutex, and others as mts_signal_send does; those of
** queues afterwards.  No mutex may be held.
** Returns: MTS_OK: it is there; empty: nothing runs; MTS_BUSY: has to be tried
** again a little later; MTS_CLOSED, MTS_NO_MEMORY.
*/
mts_Status mts_traceback_try(mts_Traceback *request, lua_State *L);

/*
** For the thread that holds states, when it could run code of one of them, or
** of the last one: answers all requests to them.
** Locks: takes those of the locks of states, and of queues, one at a time.
*/
void mts_traceback_answer(void);

/*
** Appends the frames of the coroutine, and of those that wait with it.
** level: the first frame.
** Stack: [-0, +0, -]
*/
void mts_traceback_write_frames(mts_Traceback *request, lua_State *co,
                                int level);
void mts_traceback_write_text(mts_Traceback *request, const char *text);

MTS_END_HIDDEN

#endif
