/*
** upcalls.h - what core/ asks of the scheduler, sched/, which is above it
*/
#ifndef MTS_UPCALLS_H
#define MTS_UPCALLS_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;
struct mts_Blocker;
struct mts_Traceback;

/*
** The first seven, and those about suspended tasks, are called for states that
** have a queue of requests only, the last two in workers only.
** Locks: no mutex is held, but that of the registry in begin_wait, end_wait
** and owners_gone.
*/
typedef struct mts_Upcalls {
  /* The state was left by a thread that mts_lock_request has asked. */
  void (*state_left)(mts_State *s);

  /* Whether there are requests that wait or are under way. */
  bool (*has_work)(mts_State *s);

  /*
  ** The state has no owner.  Returns: whether there are requests; then the
  ** scheduler calls mts_registry_close_unowned when they are done.  If there
  ** are none, the state takes none any more.
  */
  bool (*owners_gone)(mts_State *s);

  /* No thread gets into the state any more.  Can be called again. */
  void (*state_closed)(mts_State *s);

  /*
  ** Code of the state has closed its Lua state, as os.exit does, so the
  ** process ends: nothing of the state begins or goes on any more.
  */
  void (*state_lost)(mts_State *s);

  /*
  ** The state is closing, and the calling thread holds it: its tasks are
  ** closed.
  */
  void (*close_tasks)(mts_State *s);

  /* The Lua state is closed. */
  void (*state_ended)(mts_State *s);

  /* The last reference has gone. */
  void (*state_released)(mts_State *s);

  /*
  ** The state, which has no owner and is to be closed by a thread that may
  ** wait or call code of the state, is closed by one of the module.
  ** Returns: false if there is none.
  */
  bool (*close_unowned)(mts_State *s);

  /* Whether threads of states are there; not in a process that was forked. */
  bool (*has_own_threads)(void);

  /* Whether workers run turns: not there either, nor when it ends. */
  bool (*has_workers)(void);

  /*
  ** Calls visit(data, ...) with what has to go on: all before the request is
  ** answered, or before the member is free for what its pool was asked; of a
  ** pool, with its members, one of which suffices.
  ** Locks: may be called with the mutex of the wait graph held; takes those of
  ** queues, one at a time, with which visit may be called.
  */
  void (*find_ways)(const struct mts_Blocker *blocker,
                    void (*visit)(void *data, const struct mts_Blocker *),
                    void *data);

  /*
  ** The same for a thread that waits to get into s, which has no request.
  ** Returns: false if the word of the lock of s says it all.
  */
  bool (*find_ways_in)(const mts_State *s, const void *word,
                       void (*visit)(void *data, const struct mts_Blocker *),
                       void *data);

  /* An error of s that nobody sees. */
  void (*report)(mts_State *s, const char *text, size_t length);

  /*
  ** Whether tasks of s are suspended; a worker, or the thread of s, holds it
  ** soon, even if there is nothing to run; and where each of these tasks waits
  ** is written: the state is held, and its holder stays where it is.
  */
  bool (*has_suspended)(mts_State *s);
  void (*serve)(mts_State *s);
  void (*write_tasks)(mts_State *s, struct mts_Traceback *request);

  /* See mts_thread_begin_wait. */
  bool (*begin_wait)(void);
  void (*end_wait)(void);
} mts_Upcalls;

/* Defined by the scheduler. */
extern const mts_Upcalls mts_upcalls;

MTS_END_HIDDEN

#endif
