/*
** async_util.c - mutex, condition, clock, thread identity
**
** POSIX threads and C11 atomics.  No state of its own, no locks taken beyond
** those the caller passes in.
*/
#define _GNU_SOURCE /* dladdr */

#include "async_util.h"

#include <dlfcn.h>
#include <errno.h>
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

void mts_module_pin(void)
{
  static const char anchor = 0;
  Dl_info info;
  /* The handle is never closed.  Where the module is part of the program
  ** itself there is nothing to pin and dlopen may fail. */
  if (dladdr(&anchor, &info) != 0 && info.dli_fname)
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}
