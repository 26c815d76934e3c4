/*
** async_util.c - mutex, condition, clock, threads
**
** POSIX threads (on Windows those of mingw-w64), C11 atomics, and one signal:
** a real-time signal that nobody uses, which has a thread run a function at
** once.  Its handler is installed when that is needed for the first time.  No
** thread's signal mask is changed.
**
** All that depends on the system is here, each time next to what the others
** do instead: waiting by the monotonic clock, signals, where the C stack ends,
** and how the module stays loaded.
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
  CHECK(pthread_cond_wait(&cond->handle, &mutex->handle));
}

bool mts_cond_wait_until(mts_Cond *cond, mts_Mutex *mutex, double deadline)
{
  int error;
  if (deadline == MTS_FOREVER) {
    mts_cond_wait(cond, mutex);
    return true;
  }
  error = wait_until(cond, mutex, deadline);
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

#if defined(SIGRTMIN)

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

#else

static bool can_take_signal(void)
{
  return false;
}

bool mts_thread_run(const mts_Thread *thread, void (*function)(void *),
                    void *data)
{
  (void)thread;
  (void)function;
  (void)data;
  return false;
}

#endif

/* ======================================================================= */
/* Threads and the module                                                  */
/* ======================================================================= */

/* The end of the calling thread's C stack and its size; 0: not known. */
static size_t find_stack(uintptr_t *end)
{
#if defined(__linux__)
  pthread_attr_t attributes;
  void *stack;
  size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0)
    return 0;
  if (pthread_attr_getstack(&attributes, &stack, &size) == 0)
    *end = (uintptr_t)stack;
  CHECK(pthread_attr_destroy(&attributes));
  return size;
#elif defined(__APPLE__)
  size_t size = pthread_get_stacksize_np(pthread_self());
  *end = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) - size;
  return size;
#elif defined(_WIN32)
  ULONG_PTR low, high;
  GetCurrentThreadStackLimits(&low, &high);
  *end = low;
  return high - low;
#else
  (void)end;
  return 0;
#endif
}

void mts_thread_init(mts_Thread *thread, size_t reserve)
{
  size_t half = find_stack(&thread->stack) / 2;
  thread->reserve = half < reserve ? half : reserve;
  thread->handle = pthread_self();
  thread->takes_signal = can_take_signal();
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
