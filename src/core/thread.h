/*
** thread.h - the calling thread: what each thread has of its own
*/
#ifndef MTS_THREAD_H
#define MTS_THREAD_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/interruptnode.h"
#include "core/lockword.h"
#include "core/signal.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;

/* As deep as Lua lets its own C calls nest. */
#define MTS_THREAD_MAX_NESTING 200

/* C stack for that many, each with a string buffer and some frames. */
#define MTS_THREAD_RESERVE                                                    \
  (MTS_THREAD_MAX_NESTING * ((size_t)LUAL_BUFFERSIZE + 1536))

typedef struct mts_Thread {
  _Alignas(MTS_WORD_ALIGNMENT) bool is_ready;
  bool knows_stack; /* stack and reserve are known; until then: look again */
  unsigned nesting; /* calls that it is in */
  uintptr_t stack;  /* the end of its C stack */
  size_t reserve;   /* to be kept free there; 0: that end is not known */

  /* The states that it holds, the one taken last first. */
  mts_InterruptNode *_Atomic held;

  mts_State *closed; /* list: states to be closed by this thread */
  unsigned closing;  /* levels of lua_close that it is in */
  mts_SignalTarget signal;
} mts_Thread;

extern MTS_THREAD_LOCAL mts_Thread mts_self;

/* Parts of the functions below. */
void mts_thread_make_ready(void);
void mts_thread_find_stack(void);
void mts_thread_unhold_other(mts_InterruptNode *node);

/*
** The calling thread as the words of locks name it: the address of its
** mts_Thread, ready for use, which lives as long as the thread.
*/
static inline uintptr_t mts_thread_id(void)
{
  if (!mts_self.is_ready)
    mts_thread_make_ready();
  return (uintptr_t)&mts_self;
}

/*
** Whether the thread cannot go one level deeper: it has used up its C stack
** but for MTS_THREAD_RESERVE, or half of it.  depth: levels that it is in.
*/
static inline bool mts_thread_is_too_deep(unsigned depth)
{
  /* Coroutines of other libraries can have stacks elsewhere. */
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if (depth >= MTS_THREAD_MAX_NESTING)
    return true;
  if (!mts_self.knows_stack)
    mts_thread_find_stack();
  return here - mts_self.stack < mts_self.reserve;
}

/*
** Notes that the calling thread has taken a state, or is about to leave it.
** The handler of the signal (see interrupt.c) can look at the list at any
** moment.  States are left in the reverse order, unless a host switches C
** stacks.
*/
static inline void mts_thread_hold(mts_InterruptNode *node)
{
  node->outer_held =
      atomic_load_explicit(&mts_self.held, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&mts_self.held, node, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
}

static inline void mts_thread_unhold(mts_InterruptNode *node)
{
  if (atomic_load_explicit(&mts_self.held, memory_order_relaxed) == node)
    atomic_store_explicit(&mts_self.held, node->outer_held,
                          memory_order_relaxed);
  else
    mts_thread_unhold_other(node);
  atomic_signal_fence(memory_order_seq_cst);
}

MTS_END_HIDDEN

#endif
