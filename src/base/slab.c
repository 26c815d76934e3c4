/*
** slab.c - memory of one Lua state, in size classes
**
** A block of up to MTS_SLAB_MOST bytes belongs to a class of sizes; each class
** has a list of free blocks, the last one freed first.  A block for which the
** list has none is cut off the rest, a piece of memory that is not cut yet.
** When the rest is too short, it is cut into blocks of whatever classes, and
** the slab takes another one:
**
**  - small chunks, from malloc, until they are SMALL_CHUNKS bytes in all.
**    That is what a state takes that does not do much.  They stay until the
**    slab is deleted, which is in the first one.  A block of a large class is
**    a chunk of its own then, since it could leave much of the rest unused.
**  - then pages, which go back to the system; see slabpages.c.
**
** Larger blocks are malloc's.
**
** Invariant: pages and small chunks are wholly cut into blocks, but for the
** rest; no block crosses the border of a page.
*/
#include "base/slab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/slabpages.h"

#define SMALL_CHUNK ((size_t)1520) /* with malloc's own 1536 */
#define SMALL_CHUNKS ((size_t)32000)
#define LARGE_EXTRA sizeof(SmallChunk) /* see shorten */

/* At the end of its memory. */
typedef struct SmallChunk SmallChunk;
struct SmallChunk {
  SmallChunk *next;
  char *begin; /* what malloc gave */
};

size_t mts_slab_class_size(size_t class)
{
  return class <= MTS_SLAB_CLASS(MTS_SLAB_SMALL) ? class * 16
                                                 : (class - 28) * 128;
}

/* The largest class whose blocks are not larger than that. */
static size_t class_within(size_t size)
{
  if (size >= MTS_SLAB_MOST)
    return MTS_SLAB_CLASSES - 1;
  if (size >= MTS_SLAB_SMALL + 128)
    return MTS_SLAB_CLASS(size / 128 * 128);
  return size >= MTS_SLAB_SMALL ? MTS_SLAB_CLASS(MTS_SLAB_SMALL) : size / 16;
}

static void add_block(mts_Slab *slab, void *memory, size_t class)
{
  mts_SlabBlock *block = memory;
  block->next = slab->unused[class];
  slab->unused[class] = block;
}

/* Cuts memory into free blocks. */
static void cut(mts_Slab *slab, char *from, char *end)
{
  while (from < end) {
    size_t class = class_within((size_t)(end - from));
    add_block(slab, from, class);
    from += mts_slab_class_size(class);
  }
}

void mts_slab_set_rest(mts_Slab *slab, char *from, char *end)
{
  cut(slab, slab->rest, slab->rest_end);
  slab->rest = from;
  slab->rest_end = end;
}

/* ======================================================================= */
/* Small chunks                                                            */
/* ======================================================================= */

/* Adds memory of malloc's; gives the end of what can be cut. */
static char *add_small_chunk(mts_Slab *slab, char *memory, size_t size)
{
  size_t usable = (size - sizeof(SmallChunk)) / 16 * 16;
  SmallChunk *chunk = (void *)(memory + usable);
  chunk->next = slab->small;
  chunk->begin = memory;
  slab->small = chunk;
  slab->small_size += size;
  if (!slab->small_begin || memory < slab->small_begin)
    slab->small_begin = memory;
  if (memory + usable > slab->small_end)
    slab->small_end = memory + usable;
  return memory + usable;
}

/* Whether the next chunk is a small one. */
static bool is_small(const mts_Slab *slab)
{
  return slab->small_size < SMALL_CHUNKS;
}

bool mts_slab_is_in_small_chunk(const mts_Slab *slab, const void *memory)
{
  const char *block = memory;
  const SmallChunk *chunk;
  if (block < slab->small_begin || block >= slab->small_end)
    return false;
  for (chunk = slab->small; chunk; chunk = chunk->next)
    if (block >= chunk->begin && block < (const char *)chunk)
      return true;
  return false;
}

static bool get_small_chunk(mts_Slab *slab)
{
  char *memory = malloc(SMALL_CHUNK);
  if (!memory)
    return false;
  mts_slab_set_rest(slab, memory, add_small_chunk(slab, memory, SMALL_CHUNK));
  return true;
}

/* A small chunk that is one block. */
static void *get_lone_block(mts_Slab *slab, size_t size)
{
  char *memory = malloc(size + sizeof(SmallChunk));
  if (memory)
    (void)add_small_chunk(slab, memory, size + sizeof(SmallChunk));
  return memory;
}

/* ======================================================================= */
/* Blocks                                                                  */
/* ======================================================================= */

/* The slab itself is at the start of its first small chunk. */
mts_Slab *mts_slab_new(void)
{
  char *memory = malloc(SMALL_CHUNK);
  mts_Slab *slab = (mts_Slab *)memory;
  if (!slab)
    return NULL;
  memset(slab, 0, sizeof *slab);
  mts_slabpages_open(slab);
  slab->rest = memory + (sizeof *slab + 15) / 16 * 16;
  slab->rest_end = add_small_chunk(slab, memory, SMALL_CHUNK);
  return slab;
}

void mts_slab_delete(mts_Slab *slab)
{
  SmallChunk *small = slab->small;
  mts_slabpages_close(slab);
  while (small) { /* that with the slab is the last one */
    SmallChunk *next = small->next;
    free(small->begin);
    small = next;
  }
}

static bool get_rest(mts_Slab *slab, size_t in_use)
{
  if (is_small(slab))
    return get_small_chunk(slab);
  return mts_slabpages_take(slab, in_use);
}

static void *get_uncut(mts_Slab *slab, size_t size, size_t in_use)
{
  const size_t class = MTS_SLAB_CLASS(size);
  const size_t rounded = mts_slab_class_size(class);
  for (;;) {
    mts_SlabBlock *block = slab->unused[class];
    if (block) {
      slab->unused[class] = block->next;
      return block;
    }
    if (rounded <= (size_t)(slab->rest_end - slab->rest)) {
      char *cut = slab->rest;
      slab->rest += rounded;
      return cut;
    }
    if (size > MTS_SLAB_SMALL && is_small(slab))
      return get_lone_block(slab, rounded);
    if (!get_rest(slab, in_use)) /* cuts the old rest */
      return NULL;
  }
}

/* What is larger than any class counts for the plan, too. */
static void count_large(mts_Slab *slab, size_t old_size, size_t size)
{
  slab->large += size - old_size;
  if (slab->purge_below > 0)
    slab->purge_below += size - old_size;
}

void *mts_slab_get_other(mts_Slab *slab, size_t size, size_t in_use)
{
  void *block;
  if (size <= MTS_SLAB_MOST)
    return get_uncut(slab, size, in_use);
  block = malloc(size + LARGE_EXTRA);
  if (block)
    count_large(slab, 0, size);
  return block;
}

void mts_slab_put_other(mts_Slab *slab, void *block, size_t size)
{
  if (size <= MTS_SLAB_MOST)
    add_block(slab, block, MTS_SLAB_CLASS(size));
  else {
    count_large(slab, size, 0);
    free(block);
  }
}

/*
** Without memory for a smaller block, the old one becomes that: what is behind
** it is cut into free blocks.  Before Lua 5.4 this must not fail.
*/
static void shorten(mts_Slab *slab, char *block, size_t old_size, size_t size)
{
  char *end = block;
  if (old_size > MTS_SLAB_MOST) {
    count_large(slab, old_size, 0);
    end = add_small_chunk(slab, block, old_size + LARGE_EXTRA);
  }
  else
    end += mts_slab_class_size(MTS_SLAB_CLASS(old_size));
  cut(slab, block + mts_slab_class_size(MTS_SLAB_CLASS(size)), end);
}

static void *resize_large(mts_Slab *slab, void *block, size_t old_size,
                          size_t size)
{
  void *resized = realloc(block, size + LARGE_EXTRA);
  if (!resized) {
    if (size > old_size)
      return NULL;
    resized = block;
  }
  count_large(slab, old_size, size);
  return resized;
}

void *mts_slab_resize(mts_Slab *slab, void *block, size_t old_size,
                      size_t size, size_t in_use)
{
  void *other;
  if (old_size > MTS_SLAB_MOST && size > MTS_SLAB_MOST)
    return resize_large(slab, block, old_size, size);
  if (old_size <= MTS_SLAB_MOST && size <= MTS_SLAB_MOST &&
      MTS_SLAB_CLASS(old_size) == MTS_SLAB_CLASS(size))
    return block;
  other = mts_slab_get(slab, size, in_use + old_size);
  if (other) {
    memcpy(other, block, old_size < size ? old_size : size);
    mts_slab_put(slab, block, old_size, in_use + size);
    return other;
  }
  if (size > old_size)
    return NULL;
  shorten(slab, block, old_size, size);
  return block;
}
