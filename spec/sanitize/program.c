/*
** program.c - what a Lua that is built with a sanitizer does in another way
**
** These functions are part of the program, which comes before all libraries,
** so they take the place of those of the C library.
*/
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

/*
** Modules stay loaded when Lua closes, or else the reports could not name
** their functions, and what they refer to would count as leaked.
*/
int dlclose(void *module)
{
  (void)module;
  return 0;
}

#if defined(__SANITIZE_THREAD__)

#include <sanitizer/tsan_interface.h>

/*
** ThreadSanitizer hands a signal to its handler when the thread calls
** something that may block.  That of gcc 12 does not count pthread_mutex_lock:
** the signal waits until the mutex is there, and who holds the mutex and waits
** for the handler waits in vain.  In truth a thread that waits for a mutex
** takes signals as any other.
**
** So here it is with attempts and naps.  The attempts are made with a function
** that ThreadSanitizer does not know; the annotations tell what it does.
*/
int pthread_mutex_lock(pthread_mutex_t *mutex)
{
  const struct timespec at_once = {0};
  const struct timespec nap = {.tv_nsec = 20000};
  int error;
  __tsan_mutex_pre_lock(mutex, 0);
  while ((error = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &at_once)) ==
         ETIMEDOUT)
    nanosleep(&nap, NULL);
  __tsan_mutex_post_lock(mutex, 0, 0);
  return error;
}

#endif
