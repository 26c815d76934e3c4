/*
** async_util.h - mutex, condition, clock, threads
**
** The room that knows the thread library; only signals are elsewhere, in
** preempt.c.  It knows no Lua.  Calls that cannot fail in a correct program
** abort with file and line if they do.  All times are double seconds of the
** monotonic clock.
*/
#ifndef MTS_ASYNC_UTIL_H
#define MTS_ASYNC_UTIL_H

#include "base/compiler.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

MTS_BEGIN_HIDDEN

/*
** Annotations for clang -Wthread-safety; nothing for other compilers.
*/
#if defined(__clang__)
#define MTS_ANNOTATE(x) __attribute__((x))
#else
#define MTS_ANNOTATE(x)
#endif
#define MTS_CAPABILITY MTS_ANNOTATE(capability("mutex"))
#define MTS_GUARDED_BY(m) MTS_ANNOTATE(guarded_by(m))
#define MTS_REQUIRES(...) MTS_ANNOTATE(requires_capability(__VA_ARGS__))
#define MTS_ACQUIRES(...) MTS_ANNOTATE(acquire_capability(__VA_ARGS__))
#define MTS_RELEASES(...) MTS_ANNOTATE(release_capability(__VA_ARGS__))
#define MTS_UNCHECKED MTS_ANNOTATE(no_thread_safety_analysis)

/* For what all calls go through, if it has more than one caller. */
#define MTS_INLINE static inline __attribute__((always_inline))

/*
** For variables of which each thread has its own.  In the way that compilers
** choose for a library, glibc takes memory for them when a thread first uses
** one, and ends the process if there is none.  So they are to lie, few bytes,
** in the reserve that each thread has from its start.
*/
#if defined(__GLIBC__)
#define MTS_THREAD_LOCAL                                                      \
  __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define MTS_THREAD_LOCAL _Thread_local
#endif

typedef struct MTS_CAPABILITY mts_Mutex {
  pthread_mutex_t handle;
} mts_Mutex;

typedef struct mts_Cond {
  pthread_cond_t handle;
} mts_Cond;

/* One for each thread, in storage that lives as long as the thread. */
typedef struct mts_Thread {
  pthread_t handle;
  bool is_ready;    /* after mts_thread_init */
  bool knows_stack; /* found out at the first look that has memory for it */
  uintptr_t stack;  /* the end of its C stack */
  size_t reserve;   /* to be kept free there; 0: that end is not known */

  /* See preempt.c. */
  long task;                /* how the kernel calls it */
  bool was_blocked;         /* when it was last looked at, */
  unsigned seen;            /* and the signals that it had taken by then */
  atomic_uint taken;        /* counts them */
  atomic_bool is_signalled; /* a signal is on its way */
} mts_Thread;

/* For static storage. */
#define MTS_MUTEX_INIT                                                        \
  {                                                                           \
    PTHREAD_MUTEX_INITIALIZER                                                 \
  }
#define MTS_COND_INIT                                                         \
  {                                                                           \
    PTHREAD_COND_INITIALIZER                                                  \
  } /* not for deadlines */

/* A timeout that never ends. */
#define MTS_FOREVER HUGE_VAL

/* How threads and atomics were built, for people. */
extern const char mts_async_info[];

void mts_mutex_init(mts_Mutex *mutex);
void mts_mutex_destroy(mts_Mutex *mutex);
void mts_mutex_lock(mts_Mutex *mutex) MTS_ACQUIRES(mutex);
void mts_mutex_unlock(mts_Mutex *mutex) MTS_RELEASES(mutex);

/*
** From the first to the second the calling thread is not cancelled (see
** pthread_cancel): who ends while it waits would leave a mutex locked and its
** place in a queue behind.  state: what the first has returned.
*/
int mts_cancel_disable(void);
void mts_cancel_restore(int state);

/* Conditions use the monotonic clock; wake-ups can be spurious.  Threads that
** wait are not cancelled. */
void mts_cond_init(mts_Cond *cond);
void mts_cond_destroy(mts_Cond *cond);
void mts_cond_signal(mts_Cond *cond);
void mts_cond_broadcast(mts_Cond *cond);
void mts_cond_wait(mts_Cond *cond, mts_Mutex *mutex) MTS_REQUIRES(mutex);

/*
** As mts_cond_wait, but not beyond deadline, a point of the clock below or
** MTS_FOREVER.  False if the deadline has passed.
*/
bool mts_cond_wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
    MTS_REQUIRES(mutex);

/* The monotonic clock. */
double mts_clock_now(void);

/*
** The point of the clock that is timeout seconds away.  Saturates: what is
** further away than some years is MTS_FOREVER.
*/
double mts_clock_deadline(double timeout);

/* Lets other threads run for a moment. */
void mts_thread_pause(void);

/* Tells the processor that the caller spins. */
void mts_spin_pause(void);

/*
** Starts a thread that runs function(NULL), which never returns.  It blocks
** all signals.  name: at most 15 characters, for debuggers.  False if the
** system has no resources for it.
*/
bool mts_thread_start(void *(*function)(void *), const char *name);

/*
** Has the functions called around each fork of the process: before it, and
** after it in the parent and in the child; not if there is no memory for that.
*/
void mts_fork_handlers(void (*before)(void), void (*in_parent)(void),
                       void (*in_child)(void));

/* To be called by the thread itself. */
void mts_thread_init(mts_Thread *thread);

/* Part of mts_thread_is_stack_low. */
void mts_thread_find_stack(mts_Thread *thread, size_t reserve);

/*
** Tells whether the calling thread has used up its C stack but for reserve
** bytes, or half of it.
*/
static inline bool mts_thread_is_stack_low(mts_Thread *thread, size_t reserve)
{
  /* Coroutines of other libraries can have stacks elsewhere. */
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if (!thread->knows_stack)
    mts_thread_find_stack(thread, reserve);
  return here - thread->stack < thread->reserve;
}

/*
** Keeps the shared object that holds this function in memory until the
** process ends: other threads may be inside when the last Lua state that
** loaded the module is closed.
*/
void mts_module_pin(void);

MTS_END_HIDDEN

#endif
