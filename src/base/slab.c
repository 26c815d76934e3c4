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
**  - then pages of 4 KB, of chunks that are mapped from the system.  The
**    larger the slab is, the larger is its next chunk.
**
** Larger blocks are malloc's.
**
** Pages go back to the system by a purge: it counts, for each page, the bytes
** that are free in it, takes the blocks of the pages that are free as a whole
** off the lists, and gives those pages back; of a chunk that has no other ones
** the chunk.  A page that is not in use can be cut for other classes.  So
** getting and freeing do not touch the pages, but a purge walks along all
** lists.  It is made
**  - when less than a quarter of the pages' bytes are in use: so programs that
**    make garbage and collect it, whose memory is about half in use after each
**    collection, have none.  A slab that never had MANY_PAGES keeps them, and
**    one that grows as large again as it was before waits for twice as many
**    the next time: what goes up and down would be mapped again and again;
**  - before a chunk is mapped while half of the bytes are free, since others
**    than those classes' blocks were freed; once for each time that the slab
**    has grown by half.
**
** Invariants: pages and small chunks are wholly cut into blocks, but for the
** rest; no block crosses the border of a page.  `taken` of a page is, but for
** during a purge, its header.  Bits of `used` beyond the last page are set.
*/
#include "base/slab.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

#define PAGE ((size_t)4096)
#define SMALL_CHUNK ((size_t)1520) /* with malloc's own 1536 */
#define SMALL_CHUNKS ((size_t)32000)
#define LEAST_CHUNK ((size_t)16)       /* pages */
#define MOST_CHUNK ((size_t)256)       /* pages */
#define MANY_PAGES ((size_t)1024)      /* with less, purges do not begin; */
#define MOST_MANY ((size_t)8192)       /* see regret */
#define FEW_PAGES ((size_t)64)         /* with so few, they end */
#define LARGE_EXTRA sizeof(SmallChunk) /* see shorten */
#define MASK_BITS 64

/* At the end of its memory. */
typedef struct SmallChunk SmallChunk;
struct SmallChunk {
  SmallChunk *next;
  char *begin; /* what malloc gave */
};

typedef struct Chunk Chunk;

/* At the start of each page. */
typedef struct Page {
  Chunk *chunk;
  size_t taken; /* during a purge with the bytes that are free */
} Page;

/* At the start of the first page. */
struct Chunk {
  Page page;
  Chunk *next;
  Chunk *next_open;
  size_t pages;
  size_t used_pages;
  uint64_t used[MOST_CHUNK / MASK_BITS]; /* bit for each page */
};

static size_t round_up(size_t size, size_t unit)
{
  return (size + unit - 1) / unit * unit;
}

/* The size of the blocks of a class. */
static size_t class_size(size_t class)
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
    from += class_size(class);
  }
}

static void set_rest(mts_Slab *slab, char *from, char *end)
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

static bool is_in_small_chunk(const mts_Slab *slab, const char *block)
{
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
  set_rest(slab, memory, add_small_chunk(slab, memory, SMALL_CHUNK));
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
/* Pages                                                                   */
/* ======================================================================= */

static Page *page_of(const void *block)
{
  return (Page *)((uintptr_t)block & ~(uintptr_t)(PAGE - 1));
}

static Page *page_at(Chunk *chunk, size_t index)
{
  return (Page *)((char *)chunk + index * PAGE);
}

static size_t header_size(const Page *page)
{
  return round_up(&page->chunk->page == page ? sizeof(Chunk) : sizeof(Page),
                  16);
}

static bool is_used(const Chunk *chunk, size_t index)
{
  return chunk->used[index / MASK_BITS] >> index % MASK_BITS & 1;
}

static void open_chunk(mts_Slab *slab, Chunk *chunk)
{
  chunk->next_open = slab->open;
  slab->open = chunk;
}

static bool get_chunk(mts_Slab *slab)
{
  size_t pages = round_up(slab->pages / 8, LEAST_CHUNK), i;
  Chunk *chunk;
  if (pages < LEAST_CHUNK)
    pages = LEAST_CHUNK;
  if (pages > MOST_CHUNK)
    pages = MOST_CHUNK;
  chunk = mts_pages_map(pages * PAGE);
  if (!chunk)
    return false;
  chunk->pages = pages;
  chunk->used_pages = 0;
  for (i = 0; i < MOST_CHUNK / MASK_BITS; i++)
    chunk->used[i] = i * MASK_BITS < pages ? 0 : UINT64_MAX;
  if (pages % MASK_BITS != 0)
    chunk->used[pages / MASK_BITS] = UINT64_MAX << pages % MASK_BITS;
  chunk->next = slab->chunks;
  slab->chunks = chunk;
  open_chunk(slab, chunk);
  return true;
}

/* The next purge is due when less than a quarter of the pages is in use. */
static void plan_purge(mts_Slab *slab)
{
  slab->purge_below = slab->pages * PAGE / 4 + slab->small_size + slab->large;
}

/*
** As many pages are in use as before the last purge: that was of no use.  So
** the next one waits for more.
*/
static void regret(mts_Slab *slab)
{
  slab->pages_before_purge = SIZE_MAX;
  if (slab->many_pages < MOST_MANY)
    slab->many_pages *= 2;
}

/* Takes a page of the first open chunk. */
static void take_page(mts_Slab *slab)
{
  Chunk *chunk = slab->open;
  Page *page;
  size_t index = 0;
  while (is_used(chunk, index))
    index++;
  chunk->used[index / MASK_BITS] |= (uint64_t)1 << index % MASK_BITS;
  if (++chunk->used_pages == chunk->pages)
    slab->open = chunk->next_open;
  if (++slab->pages >= slab->pages_before_purge)
    regret(slab);
  if (slab->pages > slab->many_pages &&
      slab->pages >= 2 * slab->pages_at_purge)
    plan_purge(slab);
  page = page_at(chunk, index);
  page->chunk = chunk;
  page->taken = header_size(page);
  set_rest(slab, (char *)page + page->taken, (char *)page + PAGE);
}

/* ======================================================================= */
/* Purges                                                                  */
/* ======================================================================= */

static void count_free_bytes(mts_Slab *slab)
{
  size_t class;
  mts_SlabBlock *block;
  for (class = 1; class < MTS_SLAB_CLASSES; class ++)
    for (block = slab->unused[class]; block; block = block->next)
      if (!is_in_small_chunk(slab, (char *)block))
        page_of(block)->taken += class_size(class);
}

static bool is_page_free(const Page *page)
{
  assert(page->taken <= PAGE);
  return page->taken == PAGE;
}

static void drop_blocks_of_free_pages(mts_Slab *slab)
{
  size_t class;
  for (class = 1; class < MTS_SLAB_CLASSES; class ++) {
    mts_SlabBlock **link = &slab->unused[class];
    while (*link)
      if (!is_in_small_chunk(slab, (char *)*link) &&
          is_page_free(page_of(*link)))
        *link = (*link)->next;
      else
        link = &(*link)->next;
  }
}

/* Gives pages back, but not the first one, which has the chunk's header. */
static void release_pages(Chunk *chunk, size_t from, size_t end)
{
  if (from == 0)
    from = 1;
  if (from < end)
    mts_pages_release(page_at(chunk, from), (end - from) * PAGE);
}

static void release_free_pages(mts_Slab *slab, Chunk *chunk)
{
  size_t from = 0, index;
  for (index = 0; index < chunk->pages; index++) {
    Page *page = page_at(chunk, index);
    if (is_used(chunk, index) && is_page_free(page)) {
      chunk->used[index / MASK_BITS] &= ~((uint64_t)1 << index % MASK_BITS);
      chunk->used_pages--;
      slab->pages--;
    }
    else {
      release_pages(chunk, from, index);
      from = index + 1;
      if (is_used(chunk, index))
        page->taken = header_size(page);
    }
  }
  if (chunk->used_pages > 0)
    release_pages(chunk, from, index);
}

static void purge_pages(mts_Slab *slab)
{
  Chunk **link = &slab->chunks;
  set_rest(slab, NULL, NULL);
  count_free_bytes(slab);
  drop_blocks_of_free_pages(slab);
  slab->open = NULL;
  while (*link) {
    Chunk *chunk = *link;
    release_free_pages(slab, chunk);
    if (chunk->used_pages == 0) {
      *link = chunk->next;
      mts_pages_unmap(chunk, chunk->pages * PAGE);
    }
    else {
      if (chunk->used_pages < chunk->pages)
        open_chunk(slab, chunk);
      link = &chunk->next;
    }
  }
  slab->pages_at_purge = slab->pages;
}

void mts_slab_purge(mts_Slab *slab, size_t in_use)
{
  const size_t half = (in_use - slab->large) / 2;
  if (slab->pages >= slab->many_pages)
    slab->pages_before_purge = slab->pages;
  purge_pages(slab);
  plan_purge(slab);
  if (slab->pages <= FEW_PAGES)
    slab->purge_below = 0;
  else if (slab->purge_below > slab->large + half)
    slab->purge_below = slab->large + half; /* few were free as a whole */
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
  slab->many_pages = MANY_PAGES;
  slab->pages_before_purge = SIZE_MAX;
  slab->rest = memory + round_up(sizeof *slab, 16);
  slab->rest_end = add_small_chunk(slab, memory, SMALL_CHUNK);
  return slab;
}

void mts_slab_delete(mts_Slab *slab)
{
  SmallChunk *small = slab->small;
  Chunk *chunk = slab->chunks;
  while (chunk) {
    Chunk *next = chunk->next;
    mts_pages_unmap(chunk, chunk->pages * PAGE);
    chunk = next;
  }
  while (small) { /* that with the slab is the last one */
    SmallChunk *next = small->next;
    free(small->begin);
    small = next;
  }
}

/* How many bytes of pages are in use, about. */
static size_t bytes_in_pages(const mts_Slab *slab, size_t in_use)
{
  const size_t others = slab->large + slab->small_size;
  return in_use > others ? in_use - others : 0;
}

/* Pages of other classes' blocks, if that many are free. */
static bool is_purge_due(const mts_Slab *slab, size_t in_use)
{
  return slab->pages > slab->pages_at_purge + slab->pages_at_purge / 2 &&
         slab->pages > MOST_CHUNK &&
         bytes_in_pages(slab, in_use) < slab->pages * PAGE / 2;
}

static bool get_rest(mts_Slab *slab, size_t in_use)
{
  if (is_small(slab))
    return get_small_chunk(slab);
  if (!slab->open && is_purge_due(slab, in_use))
    mts_slab_purge(slab, in_use);
  if (!slab->open && !get_chunk(slab))
    return false;
  take_page(slab);
  return true;
}

static void *get_uncut(mts_Slab *slab, size_t size, size_t in_use)
{
  const size_t class = MTS_SLAB_CLASS(size);
  const size_t rounded = class_size(class);
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
    end += class_size(MTS_SLAB_CLASS(old_size));
  cut(slab, block + class_size(MTS_SLAB_CLASS(size)), end);
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
