/*
** heap.h - the memory of a Lua state: counted, and limited
*/
#ifndef MTS_HEAP_H
#define MTS_HEAP_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"

MTS_BEGIN_HIDDEN

/* The limit of a heap that has none. */
#define MTS_HEAP_NO_LIMIT SIZE_MAX

/*
** Bytes.  Lua's own are counted as Lua counts them: by the sizes that it asks
** for.  The thread that uses the Lua state stores them, and any may read them.
** What waits for the Lua state counts against its limit, too, and has a mutex
** of its own, that of the queue.
*/
typedef struct mts_Heap mts_Heap;
struct mts_Heap {
  atomic_size_t used;
  atomic_size_t peak;
  atomic_size_t waiting;
  atomic_bool wants_room; /* something was not sent since there was none */

  size_t limit;    /* set before the setup runs, */
  bool is_counted; /* and this before: by the allocator of mts_heap_function */

  /*
  ** Called by the allocator when the limit is near, or a block is refused.  It
  ** may not use the allocator.  NULL: nothing is.
  */
  void (*near_limit)(mts_Heap *heap, bool is_refused);

  /*
  ** For the thread that uses the Lua state, if there is a limit: the lowest
  ** value of used since it was near; and what is kept back for the time when a
  ** block has been refused.
  */
  size_t lowest;
  size_t reserve;

  mts_Slab *slab; /* NULL: there is none, or malloc's blocks are used */
};

/* An allocator as Lua wants it (lua_Alloc); heap: an mts_Heap. */
typedef void *(*mts_HeapFunction)(void *heap, void *block, size_t old_size,
                                  size_t size);

/* An empty heap without limit, that is not counted. */
void mts_heap_init(mts_Heap *heap);

/*
** Has to be called before a Lua state that the heap counts is opened.
** Returns: false if there is no memory.
*/
bool mts_heap_open(mts_Heap *heap);

/* From now on a heap with a limit takes what it is asked for. */
void mts_heap_end_limit(mts_Heap *heap);

/* Frees what the Lua state, which is closed or was not opened, has left. */
void mts_heap_close(mts_Heap *heap);

/*
** The allocator for a Lua state with that heap, which is open and has, or will
** have, a limit, or has none.  It may be used by one thread at a time.
*/
mts_HeapFunction mts_heap_function(const mts_Heap *heap, bool has_limit);

/* Of a heap that is not counted: Lua says how many bytes it uses now. */
void mts_heap_note(mts_Heap *heap, size_t used);

static inline size_t mts_heap_used(const mts_Heap *heap)
{
  return atomic_load_explicit(&heap->used, memory_order_relaxed);
}

/* The most that was ever in use. */
static inline size_t mts_heap_peak(const mts_Heap *heap)
{
  const size_t used = mts_heap_used(heap);
  const size_t peak = atomic_load_explicit(&heap->peak, memory_order_relaxed);
  return used > peak ? used : peak;
}

static inline size_t mts_heap_waiting(const mts_Heap *heap)
{
  return atomic_load_explicit(&heap->waiting, memory_order_relaxed);
}

/* Whether used bytes would be within the limit, with what waits. */
static inline bool mts_heap_allows(const mts_Heap *heap, size_t used)
{
  const size_t waiting = mts_heap_waiting(heap);
  return waiting <= heap->limit && used <= heap->limit - waiting;
}

/*
** Whether garbage should be collected before that many bytes are used: half of
** what was free after it was collected has been used since, and no little.
*/
static inline bool mts_heap_is_near_limit(const mts_Heap *heap, size_t used)
{
  const size_t taken = mts_heap_waiting(heap) + heap->lowest;
  const size_t room = taken < heap->limit ? heap->limit - taken : 0;
  const size_t least = heap->limit / 16;
  return heap->limit != MTS_HEAP_NO_LIMIT && used > heap->lowest &&
         used - heap->lowest > (room / 2 > least ? room / 2 : least);
}

/* It has been, or is going to be. */
static inline void mts_heap_begin_anew(mts_Heap *heap)
{
  heap->lowest = mts_heap_used(heap);
}

/* Locks: of one heap, called with the same mutex each time. */
static inline void mts_heap_set_waiting(mts_Heap *heap, size_t size)
{
  atomic_store_explicit(&heap->waiting, size, memory_order_relaxed);
}

MTS_END_HIDDEN

#endif
