/*
** interruptnode.h - what a state keeps for interrupts
*/
#ifndef MTS_INTERRUPTNODE_H
#define MTS_INTERRUPTNODE_H

#include "base/compiler.h"

#include <stdatomic.h>

#include "core/watch.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* What is to hit the code of a state: mts_InterruptNode.level. */
typedef enum mts_Interrupt {
  MTS_INTERRUPT_NONE,
  MTS_INTERRUPT_ONCE,
  MTS_INTERRUPT_ALWAYS
} mts_Interrupt;

/* Added to that: the request that runs is to be hit, as it was cancelled. */
#define MTS_INTERRUPT_AIMED 4

/* Added, too: somebody wants a traceback; see traceback.c. */
#define MTS_INTERRUPT_LOOK 8

/* The same: what runs is to look at the clock; see timelimit.c. */
#define MTS_INTERRUPT_LATE 16

/* The bits of an mts_Interrupt. */
#define MTS_INTERRUPT_PLAIN 3

/* What became of the last request: mts_InterruptNode.progress. */
typedef enum mts_InterruptProgress {
  MTS_INTERRUPT_REQUESTED,
  MTS_INTERRUPT_HOOK_SET,
  MTS_INTERRUPT_HOOK_RUN
} mts_InterruptProgress;

/*
** A hook that the one of interrupts stands in the place of, in the Lua thread
** `hooked`; that is NULL where it stands in the place of none.
*/
typedef struct mts_UserHook {
  lua_State *hooked;
  lua_Hook hook;
  int mask;
  int count;
} mts_UserHook;

/*
** A coroutine that has been resumed; lives on the C stack of the resumer.
** from: the Lua thread that resumes the coroutine.  known: what `running` told
** before; it differs from `from` if C code has resumed `from`.
*/
typedef struct mts_Resume {
  lua_State *from;
  lua_State *known;
  struct mts_Resume *outer;
  mts_UserHook user; /* of `from`, if the coroutine has one, too */
} mts_Resume;

/* Part of a state.  The protocol is in interrupt.c. */
typedef struct mts_InterruptNode {
  atomic_int level; /* an mts_Interrupt; AIMED, LOOK and LATE perhaps */
  atomic_int progress;
  _Atomic(lua_State *) running; /* the running Lua thread, a coroutine maybe */

  /* The request that the state runs, or NULL; stored by the holder. */
  const void *_Atomic task;
  struct mts_Wait *wait; /* of its code; guarded by the mutex of the lock */
  lua_State *waiting; /* where the code waits, while the holder says so; NULL:
                      ** not known, or in `running` */

  struct mts_Traceback *tracebacks; /* requests; guarded by the same mutex */

  mts_UserHook user;       /* where the hook was set last; see hook.c */
  atomic_bool is_at_hooks; /* the holder changes hooks, or what it knows of
                           ** them: its signal handler leaves them alone */

  /* For the thread that holds the state: coroutines that are in progress. */
  mts_Resume *resumes;

  /* Guarded by the mutex of the watcher. */
  mts_Watch watch;
  double delay; /* seconds from the last try to the next; 0: not tried yet */
} mts_InterruptNode;

MTS_END_HIDDEN

#endif
