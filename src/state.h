/*
** state.h - a state of this module: references, nested use, closing
**
** Order of locks: watcher, registry, list of queues, lock.mutex of a state,
** and then the leaves: the mutexes of waitgraph.c, signal.c and base/, and all
** others of sched/; behind these only that of trace.c.  No thread holds the
** lock.mutex of two states.
*/
#ifndef MTS_STATE_H
#define MTS_STATE_H

#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/status.h"
#include "core/interruptnode.h"
#include "core/lock.h"
#include "core/registrynode.h"
#include "core/thread.h"
#include "core/usage.h"
#include "luaapi/compat.h"
#include "value/classes.h"

MTS_BEGIN_HIDDEN

/*
** The fields that every call uses are at the start, in as few cache lines as
** possible.
*/
struct mts_State {
  mts_Lock lock; /* the state is busy while a thread holds it */

  /* For the thread that holds the state. */
  lua_State *L;                   /* the main Lua thread */
  _Atomic(lua_State *) innermost; /* the Lua thread that the innermost call is
                                  ** on, or NULL; others can read that */
  int callback_ref;               /* in the Lua registry */
  unsigned depth;                 /* calls that are nested in each other */
  mts_State *outer_held;          /* the state that the thread took before */
  struct mts_TimeLimit *time_limit; /* or NULL; set before the setup runs */
  mts_Usage usage;
  int last_ref; /* the function that is called before it is closed */

  mts_InterruptNode interrupt;
  mts_RegistryNode registry;
  mts_State *next_closed; /* list of states to be closed by a thread */
  atomic_size_t references;
  atomic_bool has_ended; /* the Lua state is closed */
  atomic_uint trace;     /* that knows its name; see core/trace.c */

  /* Requests; see sched/queue.c. */
  struct mts_Queue *_Atomic queue; /* NULL: there was none yet */
  size_t queue_limit;              /* how many may wait, */
  size_t task_limit;               /* and be under way */
  bool has_memory_limit;           /* or is going to have one, as heap says */
  atomic_uintptr_t own_thread; /* that alone runs and closes the state; 0: any
                               ** thread may */

  /* Constant. */
  lua_Integer id;
  size_t name_hash;
  size_t name_length;
  atomic_bool has_name;
  struct mts_Team *team; /* of a pool, or of one of its members; or NULL */
  size_t place;          /* of a member among them */
  bool is_service;       /* set before the setup runs, */
  bool has_own_thread;   /* and so is this, */
  bool is_host;          /* and this: the Lua state is not the module's */
  atomic_bool is_here;   /* of these, one that others can find; final */
  atomic_bool has_last;  /* something runs before it is closed; final */
  mts_Heap heap;         /* of the Lua state */
  int step_multiplier;   /* of its collector, to be restored, or 0, and */
  bool wants_collection; /* whether it is to collect soon: core/memory.c */
  bool may_have_garbage; /* its code has run since the last time */
  char *name;            /* zero terminated, can hold zeros; see has_name */
  char space[];          /* for the name, most often */
};

/*
** A new state that the calling thread holds, without lua_State and not known
** to the registry.  name: NULL for none; it is copied.
** Owns: *created is a reference, to be given back with mts_state_release.
** Returns: MTS_OK, MTS_TOO_DEEP, MTS_NO_MEMORY.
*/
mts_Status mts_state_new(lua_Integer id, const char *name, size_t length,
                         mts_State **created);

/*
** Gives the state, which has no name and cannot be found by others, a copy of
** that one.
** Returns: MTS_OK, MTS_NO_MEMORY.
*/
mts_Status mts_state_set_name(mts_State *s, const char *name, size_t length);

/* Thread safe.  The last release frees what is left of the closed state. */
void mts_state_retain(mts_State *s);
void mts_state_release(mts_State *s);

/* Returns: false if the last reference has gone already. */
bool mts_state_try_retain(mts_State *s);

/*
** Adds s, which the calling thread has taken, to the states that it holds, or
** removes it before it is left.  The handler of the signal (see interrupt.c)
** can look at the list at any moment.  States are left in the reverse order,
** unless a host switches C stacks.
*/
static inline void mts_state_hold(mts_State *s)
{
  s->outer_held = atomic_load_explicit(&mts_self.held, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&mts_self.held, s, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
}

/* Part of mts_state_unhold. */
void mts_state_unhold_other(mts_State *s);

static inline void mts_state_unhold(mts_State *s)
{
  if (atomic_load_explicit(&mts_self.held, memory_order_relaxed) == s)
    atomic_store_explicit(&mts_self.held, s->outer_held, memory_order_relaxed);
  else
    mts_state_unhold_other(s);
  atomic_signal_fence(memory_order_seq_cst);
}

/*
** Makes the state busy for the calling thread, which may use s->L from then on
** until mts_state_leave.  Nests within one thread.  Waits up to timeout
** seconds (0 or less: not at all; MTS_FOREVER).
** Locks: takes s->lock.mutex if it cannot get in at once.
** Owns: the caller keeps a reference from before this call until after
** mts_state_leave.
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_DEADLOCK, MTS_TOO_DEEP.
*/
static inline mts_Status mts_state_enter(mts_State *s, double timeout)
{
  uintptr_t thread = mts_thread_id();
  if (mts_thread_is_too_deep(mts_self.nesting))
    return MTS_TOO_DEEP;
  if (!mts_lock_is_held(&s->lock, thread)) {
    mts_Status status = mts_lock_enter(&s->lock, thread, timeout);
    if (status != MTS_OK)
      return status;
    mts_state_hold(s);
    mts_usage_begin(&s->usage);
  }
  s->depth++;
  mts_self.nesting++;
  return MTS_OK;
}

/*
** The same for a thread that is not inside the state.  It can hold the lock
** all the same, if that was handed to it to be closed.
*/
mts_Status mts_state_enter_first(mts_State *s, double timeout);

/*
** Closes the Lua state, whose call lock is closed: at once, but for closings
** that nest too deep for the C stack.
** Locks: no mutex may be held.
*/
void mts_state_finish_close(mts_State *s);

/*
** Notes how much the Lua state of s, which L is a Lua thread of, uses, as its
** collector counts; to be called where no allocator does.
*/
void mts_state_note_memory(mts_State *s, lua_State *L);

/* Parts of mts_state_leave. */
void mts_state_end_leave(mts_State *s, mts_LockLeft left);
void mts_state_leave_nested(mts_State *s);

/*
** Ends the use that began with mts_state_enter (or mts_state_new).  Closes
** the state if that was asked for meanwhile.
** Locks: no mutex may be held.
*/
static inline void mts_state_leave(mts_State *s)
{
  mts_self.nesting--;
  if (--s->depth == 0) {
    mts_LockLeft left;
    if (!s->heap.is_counted && mts_usage_is_sample(&s->usage) && s->L)
      mts_state_note_memory(s, s->L);
    mts_usage_end(&s->usage);
    mts_state_unhold(s);
    left = mts_lock_leave(&s->lock, mts_thread_id());
    if (left != MTS_LOCK_LEFT)
      mts_state_end_leave(s, left);
  }
  else
    mts_state_leave_nested(s);
}

/*
** From now on something runs before s, which the calling thread holds, is
** closed.
** Locks: takes s->lock.mutex.
*/
void mts_state_keep_for_closing(mts_State *s);

/*
** Leaves s, which the calling thread is in at its outermost level, without
** letting others in, until mts_state_unpark.
** Returns: false, and nothing was done, if s is to be closed;
** mts_state_unpark: if it was closed meanwhile.
*/
bool mts_state_park(mts_State *s);
bool mts_state_unpark(mts_State *s);

/* What own_thread is until the thread runs; and that of a pool. */
#define MTS_STATE_STARTING ((uintptr_t)1)
#define MTS_STATE_POOL ((uintptr_t)2)

/*
** Whether s is a pool: other states, its members, run its requests and calls,
** and it has no Lua state; see sched/team.c.
*/
static inline bool mts_state_is_pool(const mts_State *s)
{
  return atomic_load_explicit(&s->own_thread, memory_order_relaxed) ==
         MTS_STATE_POOL;
}

/* The limit of a queue that has none. */
#define MTS_STATE_NO_LIMIT SIZE_MAX

/* How many requests may wait, by default. */
#define MTS_STATE_QUEUE_LIMIT 1000

/* Whether requests wait or are under way.  Locks: takes that of the queue. */
static inline bool mts_state_has_work(mts_State *s)
{
  return atomic_load(&s->queue) && mts_upcalls.has_work(s);
}

/*
** No thread gets into s any more: requests fail, but for the one under way.
** Locks: no mutex may be held.
*/
void mts_state_fail_requests(mts_State *s);

/*
** What the lock of s was closed as, by mts_lock_close or
** mts_lock_close_deferred: does what is left to do.  closer: as there.
** Locks: no mutex may be held.
*/
void mts_state_follow_close(mts_State *s, mts_LockClose close,
                            uintptr_t closer);

/*
** Locks: no mutex may be held: waits until the thread of s runs, if that has
** been started.
** Returns: the thread that is to close s; the parker (see lock.h) for a member
** of a pool, which any worker closes, and for a state whose Lua state is not
** the module's: see sched/teamclose.c and host.c.
*/
uintptr_t mts_state_closer(const mts_State *s);

/*
** Closes the state, whose lock the calling thread has got to close it, without
** being inside: its last function runs, then the Lua state is closed.
** Locks: no mutex may be held.
*/
void mts_state_close_taken(mts_State *s);

/*
** Closes the state now or, if a call is in progress, when that call leaves.
** Requests that wait fail.
** Locks: no mutex may be held.
*/
void mts_state_close_when_free(mts_State *s);

/*
** Writes "state(name=...,id=...)", or without name, into text; "promise" for
** NULL, where no state is to answer; "host program" for one that is not the
** module's and cannot be found.
*/
#define MTS_DESCRIPTION_SIZE 160
void mts_state_describe(const mts_State *s, char text[MTS_DESCRIPTION_SIZE]);

MTS_END_HIDDEN

#endif
