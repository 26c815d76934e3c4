/*
** process.c - the process as a whole: its memory, forks, end, processors
**
** Each function has its branches for the systems side by side.  Takes no
** locks.
*/
#define _GNU_SOURCE         /* dladdr, sched_getaffinity */
#define _WIN32_WINNT 0x0602 /* as in async_util.c */

#include "base/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>
#endif

#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

void mts_process_pin(void (*function)(void))
{
  /* May fail where the function is part of the program itself, and there is
  ** nothing to pin then. */
#if defined(_WIN32)
  HMODULE module;
  (void)GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                               GET_MODULE_HANDLE_EX_FLAG_PIN,
                           (const char *)(uintptr_t)function, &module);
#else
  Dl_info info;
  if (dladdr((void *)(uintptr_t)function, &info) != 0 && info.dli_fname)
    /* never closed */
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

void mts_process_on_fork(void (*before)(void), void (*in_parent)(void),
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

void mts_process_on_exit(void (*function)(void))
{
  (void)atexit(function);
}

unsigned mts_process_count_processors(void)
{
  long count = 0;
#if defined(_WIN32)
  DWORD_PTR allowed, all;
  if (GetProcessAffinityMask(GetCurrentProcess(), &allowed, &all))
    for (; allowed != 0; allowed &= allowed - 1)
      count++;
#else
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
    count = CPU_COUNT(&allowed);
#endif
  if (count < 1) /* no affinity here, or more processors than such a set has */
    count = sysconf(_SC_NPROCESSORS_ONLN);
#endif
  return count < 1 ? 1 : (unsigned)count;
}

double mts_process_thread_seconds(mts_ThreadHandle thread)
{
#if defined(__linux__)
  clockid_t clock;
  struct timespec used;
  if (pthread_getcpuclockid(thread, &clock) == 0 &&
      clock_gettime(clock, &used) == 0)
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
#else
  (void)thread;
#endif
  return -1;
}

void mts_process_make_timers_exact(void)
{
#if defined(__linux__)
  (void)prctl(PR_SET_TIMERSLACK, 1000ul); /* nanoseconds */
#endif
}

FILE *mts_process_create_file(const char *path)
{
#if defined(__linux__) || defined(__APPLE__)
  return fopen(path, "wbe");
#else
  return fopen(path, "wb");
#endif
}

void mts_process_describe_error(int error, char *text, size_t size)
{
  text[0] = '\0';
#if defined(_WIN32)
  (void)strerror_s(text, size, error);
#elif defined(__GLIBC__) && defined(_GNU_SOURCE)
  {
    const char *found = strerror_r(error, text, size);
    if (found != text)
      snprintf(text, size, "%s", found);
  }
#else
  (void)strerror_r(error, text, size);
#endif
}

bool mts_process_is_main_thread(void)
{
#if defined(__linux__)
  return mts_process_kernel_id() == (long)getpid();
#elif defined(__APPLE__)
  return pthread_main_np() != 0;
#else
  return false;
#endif
}

long mts_process_kernel_id(void)
{
#if defined(__linux__)
  return syscall(SYS_gettid);
#else
  return 0;
#endif
}

bool mts_process_thread_is_ready(long kernel_id)
{
#if defined(__linux__)
  char line[128];
  char state = '\0';
  FILE *file;
  snprintf(line, sizeof(line), "/proc/self/task/%ld/stat", kernel_id);
  file = fopen(line, "re");
  if (file && fgets(line, sizeof(line), file)) {
    const char *end = strrchr(line, ')'); /* of its name */
    if (end && end[1] == ' ')
      state = end[2];
  }
  if (file)
    fclose(file);
  return state == 'R';
#else
  (void)kernel_id;
  return false;
#endif
}
