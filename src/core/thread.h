/*
** thread.h - the calling thread: what each thread has of its own
*/
#ifndef MTS_THREAD_H
#define MTS_THREAD_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/lockword.h"
#include "core/signal.h"
#include "core/upcalls.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* As deep as Lua lets its own C calls nest. */
#define MTS_THREAD_MAX_NESTING 200

/* C stack for that many, each with a string buffer and some frames. */
#define MTS_THREAD_RESERVE                                                    \
  (MTS_THREAD_MAX_NESTING * ((size_t)LUAL_BUFFERSIZE + 1536))

typedef struct mts_Thread {
  _Alignas(MTS_WORD_ALIGNMENT) bool is_ready;
  bool knows_stack; /* stack and reserve are known; until then: look again */
  unsigned nesting; /* calls that it is in */
  struct mts_Runtime *runtime; /* or NULL; see core/timelimit.h */
  uintptr_t stack;             /* the end of its C stack */
  size_t reserve; /* to be kept free there; 0: that end is not known */

  /* Lists of states; see state.h. */
  mts_State *_Atomic held; /* that it holds, the last one first */
  mts_State *closed;       /* to be closed by this thread */

  unsigned closing; /* levels of lua_close that it is in */
  mts_SignalTarget signal;

  /* Of the module's threads; see sched/worker.c and sched/ownthread.c. */
  struct mts_Worker *worker; /* NULL: it is none */
  bool runs_own;             /* it is that of a state, and runs code */
  bool has_host;             /* it has run tasks of a host; see sched/host.c */
  struct mts_Task *task;     /* whose coroutine it runs, the innermost */
  struct mts_TraceBuffer *trace; /* or NULL; see core/trace.c */
  void *_Atomic served;  /* the lock that it takes, or has, to run requests */
  atomic_int wait_state; /* see mts_thread_begin_wait */
} mts_Thread;

extern MTS_THREAD_LOCAL mts_Thread mts_self;

/* Parts of the functions below. */
void mts_thread_make_ready(void);
void mts_thread_find_stack(void);

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
** What a thread says of its waits: that it does, so that others can read the
** stacks of its states, if they have changed that to IS_READ; see traceback.c.
*/
#define MTS_THREAD_RUNS 0
#define MTS_THREAD_WAITS 1
#define MTS_THREAD_IS_READ 2

/* Part of mts_thread_end_wait. */
void mts_thread_await_readers(void);

/*
** To be called around each wait inside the module: if the thread is a worker,
** another one takes its place meanwhile.  It calls nothing of Lua in between
** that changes anything.
** Locks: no mutex but that of the registry may be held.
** Returns: false if there can be no other one; then the thread must not wait.
*/
static inline bool mts_thread_begin_wait(void)
{
  if (mts_self.worker && !mts_upcalls.begin_wait())
    return false;
  atomic_store(&mts_self.wait_state, MTS_THREAD_WAITS);
  return true;
}

static inline void mts_thread_end_wait(void)
{
  int waits = MTS_THREAD_WAITS;
  if (!atomic_compare_exchange_strong(&mts_self.wait_state, &waits,
                                      MTS_THREAD_RUNS))
    mts_thread_await_readers();
  if (mts_self.worker)
    mts_upcalls.end_wait();
}

/*
** Whether the thread cannot go one level deeper: it is in as many as may be
** nested, or has used up its C stack but for MTS_THREAD_RESERVE, or half of
** it.  depth: levels that it is in.
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

MTS_END_HIDDEN

#endif
