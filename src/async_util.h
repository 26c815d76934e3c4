/*
** async_util.h - mutex, condition, clock, threads
**
** What the module needs of the thread library, but for signals, which are in
** core/signal.h.  Calls that cannot fail in a correct program abort with file
** and line if they do.  All times are double seconds
** of the monotonic clock.
*/
#ifndef MTS_ASYNC_UTIL_H
#define MTS_ASYNC_UTIL_H

#include "base/compiler.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

MTS_BEGIN_HIDDEN

typedef struct MTS_CAPABILITY mts_Mutex {
  pthread_mutex_t handle;
} mts_Mutex;

typedef struct mts_Cond {
  pthread_cond_t handle;
} mts_Cond;

/* For static storage. */
#define MTS_MUTEX_INIT                                                        \
  {                                                                           \
    PTHREAD_MUTEX_INITIALIZER                                                 \
  }
#define MTS_COND_INIT /* not for deadlines */                                 \
  {                                                                           \
    PTHREAD_COND_INITIALIZER                                                  \
  }

/* A timeout that never ends. */
#define MTS_FOREVER HUGE_VAL

/* How threads and atomics were built, for mtstates._INFO. */
extern const char mts_async_info[];

void mts_mutex_init(mts_Mutex *mutex);
void mts_mutex_destroy(mts_Mutex *mutex);
void mts_mutex_lock(mts_Mutex *mutex) MTS_ACQUIRES(mutex);
bool mts_mutex_try_lock(mts_Mutex *mutex) MTS_TRY_ACQUIRES(true, mutex);
void mts_mutex_unlock(mts_Mutex *mutex) MTS_RELEASES(mutex);

/*
** Keeps the calling thread from being cancelled (see pthread_cancel): if it
** ended while it waits, a mutex would stay locked and its place in a queue
** would stay behind.  Returns: what mts_cancel_restore needs.
*/
int mts_cancel_disable(void);
void mts_cancel_restore(int state);

/*
** Conditions use the monotonic clock; wake-ups can be spurious.  A thread that
** waits is not cancelled.
*/
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

/* A length of time, or a point of the clock, as the system wants it. */
struct timespec mts_clock_timespec(double seconds);

/* Sleeps for some microseconds, which lets other threads run. */
void mts_clock_pause(void);

/* Tells the processor that the caller spins. */
void mts_spin_pause(void);

typedef pthread_t mts_ThreadHandle;

/*
** Starts a thread that runs function(data) with all signals blocked.
** stack_size: bytes of C stack.
** handle: gets what mts_async_join_thread needs, which has to be called then;
** NULL: the thread is detached.
** Returns: false if the system has no resources for it.
*/
bool mts_async_start_thread(void *(*function)(void *), void *data,
                            size_t stack_size, mts_ThreadHandle *handle);

/* Waits until the function of the thread has returned; once per thread. */
void mts_async_join_thread(mts_ThreadHandle handle);

/* Names the calling thread, for debuggers; at most 15 characters. */
void mts_async_name_thread(const char *name);

/* The name of the calling thread; empty if the system does not tell. */
#define MTS_THREAD_NAME_SIZE 16
void mts_async_get_name(char name[MTS_THREAD_NAME_SIZE]);

/*
** Finds the C stack of the calling thread: its lowest address, which is where
** it ends, and its size, 0 if the system does not tell.
** Returns: false if there was no memory to find out.
*/
bool mts_async_find_stack(uintptr_t *end, size_t *size);

MTS_END_HIDDEN

#endif
