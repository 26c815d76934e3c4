/*
** async_util.c - mutex, condition, clock, threads
**
** POSIX threads (on Windows those of mingw-w64) and C11 atomics.  What depends
** on the system has its branches side by side: waiting by the monotonic clock,
** threads, and where the C stack ends.  Signals are elsewhere, in
** core/signal.c, and what concerns the whole process is in base/process.c.
*/
#define _GNU_SOURCE         /* pthread_getattr_np, pthread_setname_np */
#define _WIN32_WINNT 0x0602 /* GetCurrentThreadStackLimits: Windows 8 */

#include "async_util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(_WIN32)
#include <windows.h>
#endif

#if ATOMIC_POINTER_LOCK_FREE != 2
#error "mtstates needs lock-free atomic pointers"
#endif

const char mts_async_info[] = "threads: pthreads, atomics: C11 stdatomic";

/* Longer timeouts (about 30 years) count as none. */
#define LONGEST_TIMEOUT 1e9

static void check_at(int error, const char *call, int line)
{
  if (error != 0) {
    fprintf(stderr, "mtstates: %s:%d: %s failed with error %d\n", __FILE__,
            line, call, error);
    abort();
  }
}

#define CHECK(call) check_at(call, #call, __LINE__)

void mts_mutex_init(mts_Mutex *mutex)
{
  CHECK(pthread_mutex_init(&mutex->handle, NULL));
}

void mts_mutex_destroy(mts_Mutex *mutex)
{
  CHECK(pthread_mutex_destroy(&mutex->handle));
}

void mts_mutex_lock(mts_Mutex *mutex) MTS_UNCHECKED
{
  CHECK(pthread_mutex_lock(&mutex->handle));
}

bool mts_mutex_try_lock(mts_Mutex *mutex) MTS_UNCHECKED
{
  int error = pthread_mutex_trylock(&mutex->handle);
  if (error != EBUSY)
    CHECK(error);
  return error == 0;
}

void mts_mutex_unlock(mts_Mutex *mutex) MTS_UNCHECKED
{
  CHECK(pthread_mutex_unlock(&mutex->handle));
}

int mts_cancel_disable(void)
{
  int state;
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state));
  return state;
}

void mts_cancel_restore(int state)
{
  int ignored; /* not every system takes NULL */
  CHECK(pthread_setcancelstate(state, &ignored));
}

struct timespec mts_clock_timespec(double seconds)
{
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  return time;
}

#if defined(__APPLE__) || defined(_WIN32)

/*
** Conditions cannot be told to use the monotonic clock here.  But they can
** wait for a length of time, which does not change when a clock is set.
*/

/* In seconds; on Windows 49 days would mean for ever. */
#define LONGEST_WAIT 86400.0

void mts_cond_init(mts_Cond *cond)
{
  CHECK(pthread_cond_init(&cond->handle, NULL));
}

static int timed_wait(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  double rest = deadline - mts_clock_now();
  struct timespec length;
  if (rest < 1e-9) /* on macOS 0 may mean for ever */
    return ETIMEDOUT;
  length = mts_clock_timespec(rest < LONGEST_WAIT ? rest : LONGEST_WAIT);
  return pthread_cond_timedwait_relative_np(&cond->handle, &mutex->handle,
                                            &length);
}

#else

void mts_cond_init(mts_Cond *cond)
{
  pthread_condattr_t attributes;
  CHECK(pthread_condattr_init(&attributes));
  CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
  CHECK(pthread_cond_init(&cond->handle, &attributes));
  CHECK(pthread_condattr_destroy(&attributes));
}

static int timed_wait(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  const struct timespec when = mts_clock_timespec(deadline);
  return pthread_cond_timedwait(&cond->handle, &mutex->handle, &when);
}

#endif

void mts_cond_destroy(mts_Cond *cond)
{
  CHECK(pthread_cond_destroy(&cond->handle));
}

void mts_cond_signal(mts_Cond *cond)
{
  CHECK(pthread_cond_signal(&cond->handle));
}

void mts_cond_broadcast(mts_Cond *cond)
{
  CHECK(pthread_cond_broadcast(&cond->handle));
}

void mts_cond_wait(mts_Cond *cond, mts_Mutex *mutex)
{
  int cancel_state = mts_cancel_disable();
  CHECK(pthread_cond_wait(&cond->handle, &mutex->handle));
  mts_cancel_restore(cancel_state);
}

bool mts_cond_wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  int cancel_state, error;
  if (deadline == MTS_FOREVER) {
    mts_cond_wait(cond, mutex);
    return true;
  }
  cancel_state = mts_cancel_disable();
  error = timed_wait(cond, mutex, deadline);
  mts_cancel_restore(cancel_state);
  if (error == ETIMEDOUT) /* can be early */
    return mts_clock_now() < deadline;
  CHECK(error);
  return true;
}

double mts_clock_now(void)
{
  struct timespec now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now));
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double mts_clock_deadline(double timeout)
{
  return timeout < LONGEST_TIMEOUT ? mts_clock_now() + timeout : MTS_FOREVER;
}

void mts_clock_pause(void)
{
  const struct timespec length = {.tv_nsec = 20000};
  nanosleep(&length, NULL);
}

void mts_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ======================================================================= */
/* Threads                                                                 */
/* ======================================================================= */

#if defined(_WIN32)

typedef int SignalMask;

static void block_all_signals(SignalMask *before)
{
  (void)before;
}

static void set_signal_mask(const SignalMask *mask)
{
  (void)mask;
}

#else

typedef sigset_t SignalMask;

static void block_all_signals(SignalMask *before)
{
  sigset_t all;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, before));
}

static void set_signal_mask(const SignalMask *mask)
{
  CHECK(pthread_sigmask(SIG_SETMASK, mask, NULL));
}

#endif

/* The new thread has the signal mask of the one that creates it. */
bool mts_async_start_thread(void *(*function)(void *), void *data,
                            size_t stack_size, mts_ThreadHandle *handle)
{
  pthread_attr_t attributes;
  pthread_t detached;
  SignalMask mask;
  int error = pthread_attr_init(&attributes);
  if (error != 0)
    return false;
  if (!handle)
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
  CHECK(pthread_attr_setstacksize(&attributes, stack_size));
  block_all_signals(&mask);
  error =
      pthread_create(handle ? handle : &detached, &attributes, function, data);
  set_signal_mask(&mask);
  CHECK(pthread_attr_destroy(&attributes));
  return error == 0;
}

void mts_async_join_thread(mts_ThreadHandle handle)
{
  int cancel_state = mts_cancel_disable();
  CHECK(pthread_join(handle, NULL));
  mts_cancel_restore(cancel_state);
}

void mts_async_name_thread(const char *name)
{
#if defined(__APPLE__)
  (void)pthread_setname_np(name);
#elif defined(__linux__) || defined(_WIN32)
  (void)pthread_setname_np(pthread_self(), name);
#else
  (void)name;
#endif
}

void mts_async_get_name(char name[MTS_THREAD_NAME_SIZE])
{
  name[0] = '\0';
#if defined(__APPLE__) || defined(__linux__)
  (void)pthread_getname_np(pthread_self(), name, MTS_THREAD_NAME_SIZE);
#endif
}

bool mts_async_find_stack(uintptr_t *end, size_t *size)
{
  *size = 0;
#if defined(__linux__)
  pthread_attr_t attributes;
  void *stack;
  int error = pthread_getattr_np(pthread_self(), &attributes);
  if (error != 0)
    return error != ENOMEM;
  if (pthread_attr_getstack(&attributes, &stack, size) == 0)
    *end = (uintptr_t)stack;
  CHECK(pthread_attr_destroy(&attributes));
#elif defined(__APPLE__)
  *size = pthread_get_stacksize_np(pthread_self());
  *end = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) - *size;
#elif defined(_WIN32)
  ULONG_PTR low, high;
  GetCurrentThreadStackLimits(&low, &high);
  *end = low;
  *size = high - low;
#else
  (void)end;
#endif
  return true;
}
