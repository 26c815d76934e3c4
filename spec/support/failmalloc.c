/*
** failmalloc: a malloc that fails when it is told to and knows what has not
** been freed. It is preloaded (LD_PRELOAD), so it stands before the one of
** the C library for the whole process, the C library itself included.
**
** Only threads that have been armed are hit: what the driver of a test does,
** or starts a thread with, gets its memory. Growing a block is an allocation,
** shrinking is not: Lua relies on it that this does not fail.
**
** To start a thread is one more thing that fails, as one allocation does. What
** the C library allocates for it is nobody's business, since it keeps that for
** threads to be.
**
** Each block has a head before it, and those that are watched are a list. So
** a leak is not a difference of two sums: the block itself can be shown.
*/
#define _GNU_SOURCE
#define FAILMALLOC_IMPLEMENTATION

#include "failmalloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct Head Head;

/* Its size is a multiple of the alignment that malloc promises. */
struct Head {
  _Alignas(max_align_t) Head *next; /* in the list; NULL: not watched */
  Head *previous;
  void *start;  /* of what the real malloc gave */
  void *caller; /* who asked for it */
  size_t size;
  size_t number; /* which allocation of the plan it was; 0: none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All guarded by lock. */
static Head list = {.next = &list, .previous = &list};
static long alive;
static struct {
  failmalloc_Kind kind;
  long first, count; /* what is to fail */
  long number;       /* of the last allocation */
  long failed;
} plan;

/* In a library that is preloaded this needs no memory. */
static _Thread_local failmalloc_Role role;

static atomic_int strangers = FAILMALLOC_OTHERS;

static failmalloc_Role current_role(void)
{
  return role != FAILMALLOC_NONE ? role
                                 : (failmalloc_Role)atomic_load(&strangers);
}

/* ------------------------------------------------- the real malloc -- */

static void *(*real_malloc)(size_t);
static void *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);

static void *real(const char *name)
{
  void *function = dlsym(RTLD_NEXT, name);
  if (function == NULL) {
    abort();
  }
  return function;
}

static void find_real(void)
{
  if (real_malloc == NULL) {
    *(void **)&real_free = real("free");
    *(void **)&real_memalign = real("memalign");
    *(void **)&real_malloc = real("malloc");
  }
}

/* ----------------------------------------------------------- blocks -- */

static void link_locked(Head *head)
{
  head->next = &list;
  head->previous = list.previous;
  head->next->previous = head->previous->next = head;
  alive++;
}

static void unlink_locked(Head *head)
{
  head->next->previous = head->previous;
  head->previous->next = head->next;
  alive--;
}

/* Numbers what is of the plan's kind; 0: it is to fail. */
static long next_number(failmalloc_Kind kind)
{
  pthread_mutex_lock(&lock);
  if (plan.kind == FAILMALLOC_THREADS && kind != FAILMALLOC_THREADS) {
    pthread_mutex_unlock(&lock);
    return 1;
  }
  long number = ++plan.number;
  if (number >= plan.first && number - plan.first < plan.count) {
    plan.failed++;
    number = 0;
  }
  pthread_mutex_unlock(&lock);
  return number;
}

static void *new_block(size_t alignment, size_t size, void *caller)
{
  const failmalloc_Role own = current_role();
  long number = 0;
  if (own == FAILMALLOC_ARMED) {
    number = next_number(FAILMALLOC_ALL);
    if (number == 0) {
      errno = ENOMEM;
      return NULL;
    }
  }
  find_real();
  /* The head is right before the block. */
  size_t offset = (sizeof(Head) + alignment - 1) / alignment * alignment;
  char *start = NULL;
  if (size <= SIZE_MAX - offset) {
    start = alignment <= _Alignof(max_align_t)
                ? real_malloc(offset + size)
                : real_memalign(alignment, offset + size);
  }
  if (start == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  Head *head = (Head *)(start + offset) - 1;
  *head = (Head){.start = start,
                 .caller = caller,
                 .size = size,
                 .number = (size_t)number};
  if (own != FAILMALLOC_OTHERS) {
    pthread_mutex_lock(&lock);
    link_locked(head);
    pthread_mutex_unlock(&lock);
  }
  return head + 1;
}

#define CALLER __builtin_return_address(0)

EXPORT void *malloc(size_t size)
{
  return new_block(1, size, CALLER);
}

EXPORT void *calloc(size_t count, size_t size)
{
  if (size > 0 && count > SIZE_MAX / size) {
    errno = ENOMEM;
    return NULL;
  }
  void *block = new_block(1, count * size, CALLER);
  return block != NULL ? memset(block, 0, count * size) : NULL;
}

static void give_back(void *block)
{
  if (block != NULL) {
    Head *head = (Head *)block - 1;
    if (head->next != NULL) {
      pthread_mutex_lock(&lock);
      unlink_locked(head);
      pthread_mutex_unlock(&lock);
    }
    void *start = head->start;
    *head = (Head){0}; /* freeing it again frees nothing, so abort */
    if (start == NULL) {
      abort();
    }
    real_free(start);
  }
}

EXPORT void free(void *block)
{
  give_back(block);
}

EXPORT void *realloc(void *block, size_t size)
{
  if (block == NULL) {
    return new_block(1, size, CALLER);
  }
  Head *head = (Head *)block - 1;
  if (size == 0) {
    give_back(block);
    return NULL;
  }
  if (size <= head->size) {
    head->size = size;
    return block;
  }
  void *moved = new_block(1, size, CALLER);
  if (moved != NULL) {
    memcpy(moved, block, head->size);
    give_back(block);
  }
  return moved;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
  return new_block(alignment, size, CALLER);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
  return new_block(alignment, size, CALLER);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
  *block = new_block(alignment, size, CALLER);
  return *block != NULL ? 0 : ENOMEM;
}

EXPORT size_t malloc_usable_size(void *block)
{
  return block != NULL ? ((Head *)block - 1)->size : 0;
}

/* ---------------------------------------------------------- threads -- */

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *arg)
{
  int (*real_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                     void *);
  *(void **)&real_create = real("pthread_create");
  if (current_role() == FAILMALLOC_ARMED &&
      next_number(FAILMALLOC_THREADS) == 0) {
    return EAGAIN;
  }
  failmalloc_Role before = failmalloc_role(FAILMALLOC_OTHERS);
  int result = real_create(thread, attributes, function, arg);
  failmalloc_role(before);
  return result;
}

/* ---------------------------------------------------------- control -- */

void failmalloc_plan(failmalloc_Kind kind, long first, long count)
{
  pthread_mutex_lock(&lock);
  plan.kind = kind;
  plan.first = first;
  plan.count = count;
  plan.number = plan.failed = 0;
  pthread_mutex_unlock(&lock);
}

void failmalloc_relent(void)
{
  pthread_mutex_lock(&lock);
  plan.count = 0;
  pthread_mutex_unlock(&lock);
}

long failmalloc_failed(void)
{
  pthread_mutex_lock(&lock);
  long failed = plan.failed;
  pthread_mutex_unlock(&lock);
  return failed;
}

failmalloc_Role failmalloc_role(failmalloc_Role new_role)
{
  failmalloc_Role before = role;
  role = new_role;
  return before;
}

void failmalloc_strangers(failmalloc_Role new_role)
{
  atomic_store(&strangers, (int)new_role);
}

long failmalloc_alive(void)
{
  pthread_mutex_lock(&lock);
  long count = alive;
  pthread_mutex_unlock(&lock);
  return count;
}

void failmalloc_list(void)
{
  for (const Head *head = list.next; head != &list; head = head->next) {
    Dl_info info = {0};
    const char *file = "?";
    if (dladdr(head->caller, &info) != 0 && info.dli_fname != NULL) {
      file = info.dli_fname;
    }
    fprintf(stderr,
            "  %zu bytes, allocation %zu, asked for by %s+0x%tx (%s)\n",
            head->size, head->number, file,
            (char *)head->caller - (char *)info.dli_fbase,
            info.dli_sname != NULL ? info.dli_sname : "?");
  }
}
