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
  ** What has to go on before the request to s is answered, or, without one,
  ** before s gets free; word: of s, that names the thread.  May be called with
  ** the mutex of the wait graph held; takes that of the queue.
  ** Returns: false if s has no queue, or no request is given and the word says
  ** it all.
  */
  bool (*find_blocker)(const mts_State *s, const void *request,
                       const void *word, struct mts_Blocker *blocker);

  /*
  ** What has to go on, besides, before that: visit is called with each thing
  ** that keeps the request from beginning, or its suspended task from going
  ** on, or, without one, a call from getting in; and with `data`.
  ** Locks: visit is called with that of the queue.
  */
  void (*find_others)(const mts_State *s, const void *request,
                      void (*visit)(void *data, const struct mts_Blocker *),
                      void *data);

  /*
  ** The same for a member of a pool: what has to go on before that begins the
  ** request to the pool, or, without one, gets free for a call.
  ** Returns: false if the pool has not so many members.
  */
  bool (*find_member)(const mts_State *pool, const void *request, size_t index,
                      struct mts_Blocker *blocker);

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
