/*
** async_util.c - mutex, condition, clock, threads
**
** POSIX threads, C11 atomics, and one signal: a real-time signal that nobody
** uses, which has a thread run a function at once.  Its handler is installed
** when that is needed for the first time.  No thread's signal mask is changed.
*/
#define _GNU_SOURCE /* dladdr, pthread_getattr_np */

#include "async_util.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

void mts_cond_init(mts_Cond *cond)
{
  pthread_condattr_t attributes;
  CHECK(pthread_condattr_init(&attributes));
  CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
  CHECK(pthread_cond_init(&cond->handle, &attributes));
  CHECK(pthread_condattr_destroy(&attributes));
}

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
  CHECK(pthread_cond_wait(&cond->handle, &mutex->handle));
}

bool mts_cond_wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  struct timespec when;
  int error;
  if (deadline == MTS_FOREVER) {
    mts_cond_wait(cond, mutex);
    return true;
  }
  when.tv_sec = (time_t)deadline;
  when.tv_nsec = (long)((deadline - (double)when.tv_sec) * 1e9);
  error = pthread_cond_timedwait(&cond->handle, &mutex->handle, &when);
  if (error == ETIMEDOUT)
    return false;
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

void mts_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ======================================================================= */
/* Running a function in another thread                                    */
/* ======================================================================= */

/* How long a thread may take to take the signal (seconds). */
#define SIGNAL_PATIENCE 1.0

/* request.thread when the function is being run. */
#define REQUEST_RUNS ((uintptr_t)1)

static mts_Mutex requests = MTS_MUTEX_INIT; /* one at a time */

/*
** The sender stores the thread last; the handler changes it to REQUEST_RUNS,
** runs the function and stores 0.  A sender that gives up changes it to 0
** itself, so a signal that comes too late finds nothing to do.
*/
static struct {
  atomic_uintptr_t thread;
  void (*function)(void *);
  void *data;
} request;

#if defined(SIGRTMIN)

static int signal_number; /* 0: none is free */

static void handle_signal(int number)
{
  uintptr_t thread = (uintptr_t)pthread_self();
  (void)number;
  if (atomic_compare_exchange_strong(&request.thread, &thread, REQUEST_RUNS)) {
    request.function(request.data);
    atomic_store(&request.thread, 0);
  }
}

static bool has_handler(int number, void (*handler)(int))
{
  struct sigaction action;
  return sigaction(number, NULL, &action) == 0 &&
         !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

/* A blocked signal can be somebody's who waits for it with sigwait. */
static void choose_signal(void)
{
  sigset_t blocked;
  int number = SIGRTMAX - 1; /* valgrind uses the last one */
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked));
  while (number >= SIGRTMIN &&
         (sigismember(&blocked, number) || !has_handler(number, SIG_DFL)))
    number--;
  signal_number = number >= SIGRTMIN ? number : 0;
}

static bool can_take_signal(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  sigset_t blocked;
  CHECK(pthread_once(&once, choose_signal));
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked));
  return signal_number != 0 && !sigismember(&blocked, signal_number);
}

/* False if somebody else has taken the signal meanwhile. */
static bool install_handler(void) MTS_REQUIRES(requests)
{
  struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
  if (has_handler(signal_number, handle_signal))
    return true;
  action.sa_handler = handle_signal;
  sigfillset(&action.sa_mask);
  return has_handler(signal_number, SIG_DFL) &&
         sigaction(signal_number, &action, NULL) == 0;
}

static bool send_signal(const mts_Thread *thread) MTS_REQUIRES(requests)
{
  return install_handler() && pthread_kill(thread->handle, signal_number) == 0;
}

#else

static bool can_take_signal(void)
{
  return false;
}

static bool send_signal(const mts_Thread *thread) MTS_REQUIRES(requests)
{
  (void)thread;
  return false;
}

#endif

static void wait_for_handler(void) MTS_REQUIRES(requests)
{
  /* A handler may not signal a condition. */
  const struct timespec nap = {.tv_nsec = 20000};
  double deadline = mts_clock_now() + SIGNAL_PATIENCE;
  while (atomic_load(&request.thread) != 0 && mts_clock_now() < deadline)
    nanosleep(&nap, NULL);
}

bool mts_thread_run(const mts_Thread *thread, void (*function)(void *),
                    void *data)
{
  uintptr_t waiting = (uintptr_t)thread->handle;
  bool has_run;
  if (!thread->takes_signal)
    return false;
  mts_mutex_lock(&requests);
  request.function = function;
  request.data = data;
  atomic_store(&request.thread, waiting);
  if (send_signal(thread))
    wait_for_handler();
  has_run = !atomic_compare_exchange_strong(&request.thread, &waiting, 0);
  while (atomic_load(&request.thread) != 0)
    mts_spin_pause();
  mts_mutex_unlock(&requests);
  return has_run;
}

/* ======================================================================= */
/* Threads and the module                                                  */
/* ======================================================================= */

static void find_stack(mts_Thread *thread, size_t reserve)
{
#if defined(__linux__)
  pthread_attr_t attributes;
  void *stack;
  size_t size;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    if (pthread_attr_getstack(&attributes, &stack, &size) == 0) {
      thread->stack = (uintptr_t)stack;
      thread->reserve = size / 2 < reserve ? size / 2 : reserve;
    }
    CHECK(pthread_attr_destroy(&attributes));
  }
#else
  (void)thread;
  (void)reserve;
#endif
}

void mts_thread_init(mts_Thread *thread, size_t reserve)
{
  thread->handle = pthread_self();
  thread->takes_signal = can_take_signal();
  find_stack(thread, reserve);
  thread->is_ready = true;
}

bool mts_thread_is_stack_low(const mts_Thread *thread)
{
  /* Coroutines of other libraries can have stacks elsewhere. */
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  return here - thread->stack < thread->reserve;
}

void mts_module_pin(void)
{
  static const char anchor = 0;
  Dl_info info;
  /* The handle is never closed.  Where the module is part of the program
  ** itself there is nothing to pin and dlopen may fail. */
  if (dladdr(&anchor, &info) != 0 && info.dli_fname)
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}
