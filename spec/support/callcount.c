/*
** callcount: counts what a thread calls that could wait, or take long. It is
** preloaded (LD_PRELOAD), so it stands before the C library for all modules
** of the process; calls within the C library are not seen.
*/
#define _GNU_SOURCE
#define CALLCOUNT_IMPLEMENTATION

#include "callcount.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* In a library that is preloaded these need no memory. */
static _Thread_local int is_counting;
static _Thread_local callcount_Calls calls;

void callcount_begin(void)
{
  calls = (callcount_Calls){0, 0, 0, 0};
  is_counting = 1;
}

callcount_Calls callcount_end(void)
{
  is_counting = 0;
  return calls;
}

static void count(long *what)
{
  if (is_counting) {
    (*what)++;
  }
}

static void *find(const char *name)
{
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) {
    abort();
  }
  return function;
}

/* ------------------------------------------------------------ memory -- */

/* Under these names it stays to be found in glibc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

EXPORT void *malloc(size_t size)
{
  count(&calls.memory);
  return __libc_malloc(size);
}

EXPORT void *calloc(size_t number, size_t size)
{
  count(&calls.memory);
  return __libc_calloc(number, size);
}

EXPORT void *realloc(void *block, size_t size)
{
  count(&calls.memory);
  return __libc_realloc(block, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
  count(&calls.memory);
  return __libc_memalign(alignment, size);
}

EXPORT void free(void *block)
{
  count(&calls.memory);
  __libc_free(block);
}

/* ------------------------------------------------- what others do -- */

/*
** FORWARD(what, result, name, (parameters), (arguments)): counts, and has the
** C library do it.
*/
/* NOLINTBEGIN(bugprone-macro-parentheses): these are parts of declarations */
#define FORWARD(what, result, name, parameters, arguments)                    \
  EXPORT result name parameters                                               \
  {                                                                           \
    static result(*real) parameters;                                          \
    if (real == NULL) {                                                       \
      real = (result(*) parameters)find(#name);                               \
    }                                                                         \
    count(&calls.what);                                                       \
    return real arguments;                                                    \
  }
/* NOLINTEND(bugprone-macro-parentheses) */

FORWARD(locks, int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
FORWARD(locks, int, pthread_mutex_trylock, (pthread_mutex_t * m), (m))
FORWARD(locks, int, pthread_mutex_unlock, (pthread_mutex_t * m), (m))
FORWARD(locks, int, pthread_cond_signal, (pthread_cond_t * c), (c))
FORWARD(locks, int, pthread_cond_broadcast, (pthread_cond_t * c), (c))
FORWARD(locks, int, pthread_cond_wait,
        (pthread_cond_t * c, pthread_mutex_t *m), (c, m))
FORWARD(locks, int, pthread_cond_timedwait,
        (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *t),
        (c, m, t))
FORWARD(locks, int, pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))
FORWARD(locks, int, pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l))
FORWARD(locks, int, pthread_spin_lock, (pthread_spinlock_t * l), (l))
FORWARD(locks, int, sem_wait, (sem_t * s), (s))
FORWARD(locks, int, sem_post, (sem_t * s), (s))
FORWARD(others, int, pthread_kill, (pthread_t t, int number), (t, number))
FORWARD(others, int, pthread_sigmask,
        (int how, const sigset_t *set, sigset_t *old), (how, set, old))
FORWARD(others, int, sched_yield, (void), ())
FORWARD(others, int, nanosleep,
        (const struct timespec *t, struct timespec *rest), (t, rest))
FORWARD(others, ssize_t, write, (int file, const void *bytes, size_t n),
        (file, bytes, n))
FORWARD(others, ssize_t, read, (int file, void *bytes, size_t n),
        (file, bytes, n))

/* What does not take as many arguments ignores the others. */
EXPORT long syscall(long number, ...)
{
  static long (*real)(long, ...);
  long a[6];
  va_list list;
  if (real == NULL) {
    real = (long (*)(long, ...))find("syscall");
  }
  va_start(list, number);
  for (int i = 0; i < 6; i++) {
    a[i] = va_arg(list, long);
  }
  va_end(list);
  if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE) {
    count(&calls.wakes);
  }
  else {
    count(&calls.others);
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
