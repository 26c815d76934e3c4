/*
** jitter: a pthread_mutex_unlock after which threads dawdle, each now and
** then. It is preloaded (LD_PRELOAD), so it stands before the one of the C
** library. What has to be done before a mutex is released, and is done a
** moment later, goes wrong soon then. And a thread that releases a mutex
** without having it ends the process; glibc notes which one has it.
*/
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* So many times in 256, for so long at least. */
#define OFTEN 16
#define NANOSECONDS 20000

static int (*unlock)(pthread_mutex_t *mutex);

/* In a library that is preloaded this needs no memory. */
static _Thread_local uint64_t chance;

static void __attribute__((constructor)) find_real_function(void)
{
  *(void **)&unlock = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
}

EXPORT int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
  const struct timespec moment = {0, NANOSECONDS};
  const int saved = errno;
  int result;
  if (!unlock) /* before the constructor there is one thread */
    return 0;
#ifdef __GLIBC__
  if (mutex->__data.__owner != gettid()) {
    fprintf(stderr, "a mutex was released that the thread did not have\n");
    abort();
  }
#endif
  result = unlock(mutex);
  if (chance == 0)
    chance = (uintptr_t)&chance;
  chance = chance * 6364136223846793005u + 1442695040888963407u;
  if (chance >> 56 < OFTEN)
    nanosleep(&moment, NULL);
  errno = saved;
  return result;
}
