/*
** What failmalloc.c offers besides malloc and its relatives. It is preloaded,
** so a module that uses it is not linked with it: hence the weak references,
** which are NULL in a process without it.
*/
#ifndef SPEC_FAILMALLOC_H
#define SPEC_FAILMALLOC_H

#ifdef FAILMALLOC_IMPLEMENTATION
#define FAILMALLOC_API __attribute__((visibility("default")))
#else
#define FAILMALLOC_API __attribute__((weak))
#endif

/* What is numbered, and can fail. */
typedef enum failmalloc_Kind {
  FAILMALLOC_ALL,    /* allocations, and threads that are started */
  FAILMALLOC_THREADS /* these only */
} failmalloc_Kind;

/*
** What armed threads do of this kind is numbered from now on, 1, 2, 3...;
** count of it fail, beginning with the one numbered first.
*/
FAILMALLOC_API void failmalloc_plan(failmalloc_Kind kind, long first,
                                    long count);

/* Nothing fails any more. */
FAILMALLOC_API void failmalloc_relent(void);

/* How many have failed since then. */
FAILMALLOC_API long failmalloc_failed(void);

/*
** What the calling thread's allocations are: a thread begins with NONE.
** Returns what they were.
*/
typedef enum failmalloc_Role {
  FAILMALLOC_NONE,    /* as failmalloc_strangers says */
  FAILMALLOC_OTHERS,  /* nobody's business */
  FAILMALLOC_WATCHED, /* looked at when they are not freed */
  FAILMALLOC_ARMED    /* that, and they can fail */
} failmalloc_Role;
FAILMALLOC_API failmalloc_Role failmalloc_role(failmalloc_Role role);

/* What those of all threads without a role are; OTHERS at first. */
FAILMALLOC_API void failmalloc_strangers(failmalloc_Role role);

/* How many blocks of watched or armed threads are not freed yet. */
FAILMALLOC_API long failmalloc_alive(void);

/* Writes to stderr which they are: sizes and callers. */
FAILMALLOC_API void failmalloc_list(void);

#endif
