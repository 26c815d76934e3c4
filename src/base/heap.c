/*
** heap.c - the memory of a Lua state: counted, and limited
**
** Lua tells its allocator the sizes of the blocks that it gives back, so the
** bytes in use are known without looking at any block.  A heap has a limit, or
** none, for the whole life of the Lua state, so there are two allocators; the
** one without limit is as short as can be.
**
** Takes no locks: one thread at a time uses a Lua state.
*/
#include "base/heap.h"

#include <stdlib.h>

/* Gives, resizes or (size 0) frees a block. */
static inline void *plain_resize(void *block, size_t old_size, size_t size)
{
  (void)old_size;
  if (size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, size);
}

static inline void set_used(mts_Heap *heap, size_t used)
{
  atomic_store_explicit(&heap->used, used, memory_order_relaxed);
  if (used > mts_heap_peak(heap))
    atomic_store_explicit(&heap->peak, used, memory_order_relaxed);
}

static bool may_grow(mts_Heap *heap, size_t used)
{
  const bool is_allowed = mts_heap_allows(heap, used + heap->reserve);
  if (heap->near_limit &&
      (!is_allowed || mts_heap_is_near_limit(heap, used))) {
    mts_heap_begin_anew(heap);
    heap->near_limit(heap, !is_allowed);
  }
  return is_allowed;
}

/* A block that gets smaller stays where it is rather than fail. */
static inline MTS_ALWAYS_INLINE void *allocate(mts_Heap *heap, void *block,
                                               size_t old_size, size_t size,
                                               bool has_limit)
{
  size_t used;
  void *moved;
  if (!block)
    old_size = 0; /* it is the type of the object, since Lua 5.2 */
  used = mts_heap_used(heap) - old_size + size;
  if (has_limit && size > old_size && !may_grow(heap, used))
    return NULL;
  moved = plain_resize(block, old_size, size);
  if (!moved && size > 0) {
    if (size > old_size)
      return NULL;
    moved = block;
  }
  set_used(heap, used);
  if (has_limit && used < heap->lowest)
    heap->lowest = used;
  return moved;
}

static void *allocate_freely(void *heap, void *block, size_t old_size,
                             size_t size)
{
  return allocate(heap, block, old_size, size, false);
}

static void *allocate_limited(void *heap, void *block, size_t old_size,
                              size_t size)
{
  return allocate(heap, block, old_size, size, true);
}

mts_HeapFunction mts_heap_function(bool has_limit)
{
  return has_limit ? allocate_limited : allocate_freely;
}

void mts_heap_init(mts_Heap *heap)
{
  atomic_init(&heap->used, 0);
  atomic_init(&heap->peak, 0);
  atomic_init(&heap->waiting, 0);
  heap->limit = MTS_HEAP_NO_LIMIT;
  heap->is_counted = false;
  heap->near_limit = NULL;
  heap->lowest = heap->reserve = 0;
}

void mts_heap_note(mts_Heap *heap, size_t used)
{
  set_used(heap, used);
}
