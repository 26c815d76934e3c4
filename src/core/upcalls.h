/*
** upcalls.h - what core/ asks of the scheduler, sched/, which is above it
*/
#ifndef MTS_UPCALLS_H
#define MTS_UPCALLS_H

#include "base/compiler.h"

#include <stdbool.h>

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;

/*
** The first five are called for states that have a queue of requests only, the
** others in workers only.
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

  /* The last reference has gone. */
  void (*state_released)(mts_State *s);

  /* See mts_thread_begin_wait. */
  bool (*begin_wait)(void);
  void (*end_wait)(void);
} mts_Upcalls;

/* Defined by the scheduler. */
extern const mts_Upcalls mts_upcalls;

MTS_END_HIDDEN

#endif
