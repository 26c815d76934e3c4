/*
** state.h - a state of this module: references, call lock, close
*/
#ifndef MTS_STATE_H
#define MTS_STATE_H

#include "base/compiler.h"

#include <stddef.h>
#include <stdint.h>

#include "luaapi/compat.h"
#include "core/lock.h"
#include "base/status.h"
#include "core/watch.h"

MTS_BEGIN_HIDDEN

/* The class name of state objects. */
#define MTS_STATE_CLASS "mtstates.state"

/* Levels of mts_State.interrupt. */
typedef enum mts_Interrupt {
  MTS_INTERRUPT_NONE,
  MTS_INTERRUPT_ONCE,
  MTS_INTERRUPT_ALWAYS
} mts_Interrupt;

/*
** A coroutine that has been resumed; lives on the C stack of the resumer.
** known: the Lua thread that s->running told before; another one than `from`,
** which has resumed the coroutine, if C code has resumed `from`.
*/
typedef struct mts_Resume {
  lua_State *from;
  lua_State *known;
  const struct mts_Resume *outer;
} mts_Resume;

typedef struct mts_State mts_State;

struct mts_State {
  mts_Lock lock; /* to be busy is to hold this */

  /* For the thread that holds the state. */
  lua_State *L;           /* the main Lua thread */
  lua_State *innermost;   /* the Lua thread that the innermost call is on */
  mts_State *next_closed; /* list of states to be closed by a thread */
  int callback_ref;       /* in the Lua registry */
  unsigned depth;         /* calls that are nested in each other */
  mts_State *outer_held;  /* the state that the thread took before */

  /* The coroutine that really runs and what is to hit it; see interrupt.c. */
  atomic_int interrupt;
  atomic_int progress;
  _Atomic(lua_State *) running;
  const mts_Resume *resumes; /* for the thread that holds the state */
  mts_Watch watch;

  atomic_size_t references;

  /* Guarded by the mutex of the registry. */
  size_t owners;
  mts_State *next_by_id;
  mts_State *next_by_name;              /* another name, same bucket */
  mts_State *next_twin, *previous_twin; /* ring of the same name */
  mts_State *next_reserved;
  bool is_registered;

  /* Constant. */
  bool has_name;
  lua_Integer id;
  size_t name_hash;
  size_t name_length;

  /* The thread that runs the setup of a singleton, 0 once that is over. */
  mts_LockWord creator;

  char name[]; /* zero terminated, can hold zeros */
};

/* What each thread has of its own. */
typedef struct mts_Self {
  _Alignas(MTS_WORD_FLAGS + 1) mts_Thread thread; /* room for the flags */
  mts_State *_Atomic held; /* the states that it holds, the last one first */
  unsigned nesting;        /* calls that it is in */
  unsigned closing;        /* levels of lua_close that it is in */
  mts_State *closed;       /* list: to be closed by this thread */
} mts_Self;

extern MTS_THREAD_LOCAL mts_Self mts_self;

/* Part of mts_state_thread. */
void mts_state_init_thread(void);

/*
** The calling thread as the lock and the wait graph know it: the address of
** its mts_Thread, ready for use, which lives as long as the thread.
*/
static inline uintptr_t mts_state_thread(void)
{
  if (!mts_self.thread.is_ready)
    mts_state_init_thread();
  return (uintptr_t)&mts_self.thread;
}

/* As deep as Lua lets its own C calls nest. */
#define MTS_MAX_NESTING 200

/* C stack for that many, each with a string buffer and some frames. */
#define MTS_STACK_RESERVE (MTS_MAX_NESTING * ((size_t)LUAL_BUFFERSIZE + 1536))

/* depth: levels of the same kind that the thread is in. */
static inline bool mts_state_is_too_deep(unsigned depth)
{
  return depth >= MTS_MAX_NESTING ||
         mts_thread_is_stack_low(&mts_self.thread, MTS_STACK_RESERVE);
}

/*
** A new state that the calling thread holds, without lua_State and not known
** to the registry.  name: NULL for none; it is copied.
** Returns: MTS_OK, MTS_TOO_DEEP, MTS_NO_MEMORY.
** Owns: *created is a reference, give back with mts_state_release.
*/
mts_Status mts_state_new(lua_Integer id, const char *name, size_t length,
                         mts_State **created);

/* Thread safe.  The last release frees what is left of the closed state. */
void mts_state_retain(mts_State *s);
void mts_state_release(mts_State *s);

/*
** Notes that the calling thread has taken s, or is about to leave it.  The
** handler of a signal (see interrupt.c) can look at the list at any moment.
** Threads leave states in the reverse order, unless a host switches C stacks.
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
** Makes the state busy for the calling thread, which may from then on use
** s->L, until mts_state_leave.  Nests within one thread.  Waits up to timeout
** seconds (0 or less: not at all; MTS_FOREVER).
** Returns: MTS_OK, MTS_BUSY, MTS_CLOSED, MTS_DEADLOCK, MTS_TOO_DEEP.
** Locks: takes s->lock.mutex when it cannot get in at once.
** Owns: the caller keeps a reference from before this call until after
** mts_state_leave.
*/
static inline mts_Status mts_state_enter(mts_State *s, double timeout)
{
  uintptr_t thread = mts_state_thread();
  if (mts_state_is_too_deep(mts_self.nesting))
    return MTS_TOO_DEEP;
  if (!mts_lock_is_held(&s->lock, thread)) {
    mts_Status status = mts_lock_enter(&s->lock, thread, timeout);
    if (status != MTS_OK)
      return status;
    mts_state_hold(s);
  }
  s->depth++;
  mts_self.nesting++;
  return MTS_OK;
}

/*
** Closes the Lua state, whose call lock is closed: at once, but for closings
** that nest too deep for the C stack.  No mutex may be held.
*/
void mts_state_finish_close(mts_State *s);

/*
** Ends the use that began with mts_state_enter (or mts_state_new).  Closes
** the state if that was asked for meanwhile; no mutex may be held.
*/
static inline void mts_state_leave(mts_State *s)
{
  mts_self.nesting--;
  if (--s->depth == 0) {
    mts_state_unhold(s);
    if (!mts_lock_leave(&s->lock, mts_state_thread()))
      mts_state_finish_close(s);
  }
}

/*
** Closes the call lock if nobody holds it.  Returns: MTS_OK, then
** mts_state_finish_close has to follow; MTS_BUSY, MTS_CLOSED (before).
** Locks: takes s->lock.mutex.
*/
mts_Status mts_state_begin_close(mts_State *s);

/*
** Closes the state now or, if a call is in progress, when that call leaves.
** No mutex may be held.
*/
void mts_state_close_when_free(mts_State *s);

/* Writes "state(name=...,id=...)", or without name, into text. */
#define MTS_DESCRIPTION_SIZE 160
void mts_state_describe(const mts_State *s, char text[MTS_DESCRIPTION_SIZE]);

MTS_END_HIDDEN

#endif
