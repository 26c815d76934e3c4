/*
** heap.c - the memory of a Lua state: counted, and limited
**
** Lua tells its allocator the sizes of the blocks that it gives back, so the
** bytes in use are known without looking at any block.  A heap has a limit, or
** none, for the whole life of the Lua state, so there are two allocators; the
** one without limit is as short as can be.
**
** The blocks are of a slab.  Tools that look for blocks that are used after
** they were freed, or beyond their end, would not find them there: with
** AddressSanitizer (or MTS_NO_BLOCK_CACHE, as for blocks.c), and where
** memcheck runs the program, each block is malloc's own.  So there are two of
** each allocator.
**
** Takes no locks: one thread at a time uses a Lua state.
*/
#include "base/heap.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) && !defined(MTS_NO_BLOCK_CACHE)
#define MTS_NO_BLOCK_CACHE
#endif

#if defined(MTS_NO_BLOCK_CACHE)
#define MUST_BE_PLAIN true
#elif defined(__has_include) && !defined(__cppcheck__)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define MUST_BE_PLAIN runs_in_memcheck()
#endif
#endif
#if !defined(MUST_BE_PLAIN)
#define MUST_BE_PLAIN false
#endif

#if defined(VALGRIND_GET_VBITS)

/* Its other tools, as callgrind, see the program as it is. */
static bool runs_in_memcheck(void)
{
  char byte = 0;
  bool is_checked = false;
  if (RUNNING_ON_VALGRIND) {
    char bits;
    is_checked = VALGRIND_GET_VBITS(&byte, &bits, 1) != 0;
  }
  return is_checked;
}

#endif

/* More are in no block, so sums of sizes are numbers; Lua may ask for any. */
#define MOST_BYTES ((size_t)PTRDIFF_MAX / 2)

/*
** The parts of an allocator: get, resize and put back a block.  They note how
** many bytes are in use then.
*/

static inline MTS_ALWAYS_INLINE void note_use(mts_Heap *heap, size_t used)
{
  atomic_store_explicit(&heap->used, used, memory_order_relaxed);
}

/* The most bytes that were ever in use are noted before they get less. */
static inline MTS_ALWAYS_INLINE void note_peak(mts_Heap *heap, size_t used)
{
  if (used > atomic_load_explicit(&heap->peak, memory_order_relaxed))
    atomic_store_explicit(&heap->peak, used, memory_order_relaxed);
}

/* For a heap with a limit: the least since garbage was collected. */
static inline MTS_ALWAYS_INLINE void note_lowest(mts_Heap *heap, size_t used)
{
  if (used < heap->lowest)
    heap->lowest = used;
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

static inline MTS_ALWAYS_INLINE void *get(mts_Heap *heap, size_t size,
                                          bool has_limit, bool is_plain)
{
  const size_t used = mts_heap_used(heap);
  void *block;
  if (size > MOST_BYTES || (has_limit && !may_grow(heap, used + size)))
    return NULL;
  block = is_plain ? malloc(size) : mts_slab_get(heap->slab, size, used);
  if (block)
    note_use(heap, used + size);
  return block;
}

static inline MTS_ALWAYS_INLINE void put_back(mts_Heap *heap, void *block,
                                              size_t size, bool has_limit,
                                              bool is_plain)
{
  const size_t used = mts_heap_used(heap);
  note_peak(heap, used);
  note_use(heap, used - size);
  if (has_limit)
    note_lowest(heap, used - size);
  if (is_plain)
    free(block);
  else if (size > 0)
    mts_slab_put(heap->slab, block, size, used - size);
}

/* A block that gets smaller stays where it is rather than fail. */
static inline MTS_ALWAYS_INLINE void *resize(mts_Heap *heap, void *block,
                                             size_t old_size, size_t size,
                                             bool has_limit, bool is_plain)
{
  const size_t used = mts_heap_used(heap), others = used - old_size;
  void *moved;
  if (size > MOST_BYTES ||
      (has_limit && size > old_size && !may_grow(heap, others + size)))
    return NULL;
  moved = is_plain
              ? realloc(block, size)
              : mts_slab_resize(heap->slab, block, old_size, size, others);
  if (!moved) {
    if (size > old_size)
      return NULL;
    moved = block;
  }
  note_peak(heap, used);
  note_use(heap, others + size);
  if (has_limit)
    note_lowest(heap, others + size);
  return moved;
}

/* Without a block, old_size is the type of an object, since Lua 5.2. */
static inline MTS_ALWAYS_INLINE void *allocate(mts_Heap *heap, void *block,
                                               size_t old_size, size_t size,
                                               bool has_limit, bool is_plain)
{
  if (!block)
    return size > 0 ? get(heap, size, has_limit, is_plain) : NULL;
  if (size > 0)
    return resize(heap, block, old_size, size, has_limit, is_plain);
  put_back(heap, block, old_size, has_limit, is_plain);
  return NULL;
}

static void *allocate_freely(void *heap, void *block, size_t old_size,
                             size_t size)
{
  return allocate(heap, block, old_size, size, false, false);
}

static void *allocate_limited(void *heap, void *block, size_t old_size,
                              size_t size)
{
  return allocate(heap, block, old_size, size, true, false);
}

static void *allocate_plain(void *heap, void *block, size_t old_size,
                            size_t size)
{
  return allocate(heap, block, old_size, size, false, true);
}

static void *allocate_plain_limited(void *heap, void *block, size_t old_size,
                                    size_t size)
{
  return allocate(heap, block, old_size, size, true, true);
}

mts_HeapFunction mts_heap_function(const mts_Heap *heap, bool has_limit)
{
  if (!heap->slab)
    return has_limit ? allocate_plain_limited : allocate_plain;
  return has_limit ? allocate_limited : allocate_freely;
}

void mts_heap_init(mts_Heap *heap)
{
  atomic_init(&heap->used, 0);
  atomic_init(&heap->peak, 0);
  atomic_init(&heap->waiting, 0);
  atomic_init(&heap->wants_room, false);
  heap->limit = MTS_HEAP_NO_LIMIT;
  heap->is_counted = false;
  heap->near_limit = NULL;
  heap->lowest = heap->reserve = 0;
  heap->slab = NULL;
}

void mts_heap_end_limit(mts_Heap *heap)
{
  heap->limit = MTS_HEAP_NO_LIMIT;
}

bool mts_heap_open(mts_Heap *heap)
{
  heap->is_counted = true;
  if (MUST_BE_PLAIN)
    return true;
  heap->slab = mts_slab_new();
  return heap->slab != NULL;
}

void mts_heap_close(mts_Heap *heap)
{
  if (heap->slab)
    mts_slab_delete(heap->slab);
  heap->slab = NULL;
}

void mts_heap_note(mts_Heap *heap, size_t used)
{
  note_peak(heap, used);
  note_use(heap, used);
}
