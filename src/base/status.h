/*
** status.h - what the functions of lower layers report
*/
#ifndef MTS_STATUS_H
#define MTS_STATUS_H

/* Each function says which of these it returns. */
typedef enum mts_Status {
  MTS_OK,
  MTS_BUSY,      /* the state did not become free in time */
  MTS_CLOSED,    /* the state is closed, or will be before it is free */
  MTS_DEADLOCK,  /* waiting would never end */
  MTS_TOO_DEEP,  /* too many calls are nested on this thread */
  MTS_NO_MEMORY, /* memory cannot be had */
  MTS_UNKNOWN,   /* no open state with this id or name */
  MTS_AMBIGUOUS, /* several open states with this name */
  MTS_CANCELLED, /* the request was cancelled */
  MTS_ABANDONED, /* nobody can answer the future any more */
  MTS_ENDING,    /* the state whose code waits is closed, or will be */
  MTS_DISTURBED, /* the interpreter wants to run its hook */
  MTS_FORKED,    /* the process was made by fork and has no workers */
  MTS_SYNTAX,    /* the setup code does not compile; there is a message */
  MTS_DEFERRED,  /* the answer is that of a future */
  MTS_RAISED     /* code in the state failed; there is a message */
} mts_Status;

#endif
