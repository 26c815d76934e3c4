/*
** async_util.c - mutex, condition, clock, threads
**
** POSIX threads (on Windows those of mingw-w64) and C11 atomics.  All that
** depends on the system is here, each time next to what the others do instead:
** waiting by the monotonic clock, where the C stack ends, and how the module
** stays loaded.  Only signals have a room of their own, preempt.c.
*/
#define _GNU_SOURCE         /* dladdr, pthread_getattr_np */
#define _WIN32_WINNT 0x0602 /* GetCurrentThreadStackLimits: Windows 8 */

#include "async_util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#if ATOMIC_POINTER_LOCK_FREE != 2
#error "mtstates needs lock-free atomic pointers"
#endif

const char mts_async_info[] = "threads: pthreads, atomics: C11 stdatomic";

/* Longer timeouts (about 30 years) are as good as none. */
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
  int ignored; /* some systems want a place for it */
  CHECK(pthread_setcancelstate(state, &ignored));
}

static struct timespec to_timespec(double seconds)
{
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  return time;
}

#if defined(__APPLE__) || defined(_WIN32)

/*
** Conditions cannot be told to use the monotonic clock here.  They can wait
** for a length of time, which nobody changes by setting another clock.
*/

/* In seconds; Windows takes 49 days for ever. */
#define LONGEST_WAIT 86400.0

void mts_cond_init(mts_Cond *cond)
{
  CHECK(pthread_cond_init(&cond->handle, NULL));
}

static int wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  double rest = deadline - mts_clock_now();
  struct timespec length;
  if (rest < 1e-9) /* macOS may take 0 for ever */
    return ETIMEDOUT;
  length = to_timespec(rest < LONGEST_WAIT ? rest : LONGEST_WAIT);
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

static int wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  const struct timespec when = to_timespec(deadline);
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
  error = wait_until(cond, mutex, deadline);
  mts_cancel_restore(cancel_state);
  if (error == ETIMEDOUT) /* it can be too early */
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

void mts_thread_pause(void)
{
  const struct timespec nap = {.tv_nsec = 20000};
  nanosleep(&nap, NULL);
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
/* Threads and the module                                                  */
/* ======================================================================= */

/*
** The end of the calling thread's C stack and its size; 0: not known.  False
** if there was no memory to find out.
*/
static bool find_stack(uintptr_t *end, size_t *size)
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

/* A new thread has the signal mask of its creator. */
#if defined(_WIN32)

typedef int SignalMask;

static void block_signals(SignalMask *before)
{
  (void)before;
}

static void restore_signals(const SignalMask *before)
{
  (void)before;
}

#else

typedef sigset_t SignalMask;

static void block_signals(SignalMask *before)
{
  sigset_t all;
  sigfillset(&all);
  CHECK(pthread_sigmask(SIG_SETMASK, &all, before));
}

static void restore_signals(const SignalMask *before)
{
  CHECK(pthread_sigmask(SIG_SETMASK, before, NULL));
}

#endif

/* For threads of the module itself: what runs there calls no foreign code. */
#define THREAD_STACK ((size_t)256 * 1024)

bool mts_thread_start(void *(*function)(void *), const char *name)
{
  pthread_attr_t attributes;
  pthread_t thread;
  SignalMask mask;
  int error = pthread_attr_init(&attributes);
  if (error != 0)
    return false;
  CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
  CHECK(pthread_attr_setstacksize(&attributes, THREAD_STACK));
  block_signals(&mask);
  error = pthread_create(&thread, &attributes, function, NULL);
  restore_signals(&mask);
  CHECK(pthread_attr_destroy(&attributes));
#if defined(__linux__)
  if (error == 0) /* it never ends, so its handle is good */
    (void)pthread_setname_np(thread, name);
#else
  (void)name;
#endif
  return error == 0;
}

void mts_fork_handlers(void (*before)(void), void (*in_parent)(void),
                       void (*in_child)(void))
{
#if defined(_WIN32)
  (void)before;
  (void)in_parent;
  (void)in_child;
#else
  (void)pthread_atfork(before, in_parent, in_child);
#endif
}

void mts_thread_init(mts_Thread *thread)
{
  thread->handle = pthread_self();
  thread->is_ready = true;
}

void mts_thread_find_stack(mts_Thread *thread, size_t reserve)
{
  size_t size;
  if (find_stack(&thread->stack, &size)) {
    thread->reserve = reserve < size / 2 ? reserve : size / 2;
    thread->knows_stack = true;
  }
}

void mts_module_pin(void)
{
  static const char anchor = 0;
  /* Where the module is part of the program itself there is nothing to pin,
  ** and this may fail. */
#if defined(_WIN32)
  HMODULE module;
  (void)GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                               GET_MODULE_HANDLE_EX_FLAG_PIN,
                           &anchor, &module);
#else
  Dl_info info;
  if (dladdr(&anchor, &info) != 0 && info.dli_fname) /* never closed */
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}
