/*
** What callcount.c counts. It is preloaded, so a module that uses it is not
** linked with it: hence the weak references, which are NULL in a process
** without it.
*/
#ifndef SPEC_CALLCOUNT_H
#define SPEC_CALLCOUNT_H

#ifdef CALLCOUNT_IMPLEMENTATION
#define CALLCOUNT_API __attribute__((visibility("default")))
#else
#define CALLCOUNT_API __attribute__((weak))
#endif

typedef struct callcount_Calls {
  long memory; /* malloc and its relatives, free included */
  long locks;  /* mutexes, conditions and the like, in whatever way */
  long wakes;  /* of threads, by a futex */
  long others; /* other system calls, as far as they can be seen */
} callcount_Calls;

/* From now on what the calling thread calls is counted, from 0. */
CALLCOUNT_API void callcount_begin(void);

/* Not any more. Gives what was counted. */
CALLCOUNT_API callcount_Calls callcount_end(void);

#endif
