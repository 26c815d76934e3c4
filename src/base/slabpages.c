/*
** slabpages.c - the pages of a slab
**
** Pages of 4 KB, of chunks that are mapped from the system.  The larger the
** slab is, the larger is its next chunk.
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
** Invariants: `taken` of a page is, but for during a purge, its header.  Bits
** of `used` beyond the last page are set.
*/
#include "base/slabpages.h"

#include <assert.h>
#include <stdint.h>

#include "base/pages.h"

#define PAGE ((size_t)4096)
#define LEAST_CHUNK ((size_t)16)  /* pages */
#define MOST_CHUNK ((size_t)256)  /* pages */
#define MANY_PAGES ((size_t)1024) /* with less, purges do not begin; */
#define MOST_MANY ((size_t)8192)  /* see regret */
#define FEW_PAGES ((size_t)64)    /* with so few, they end */
#define MASK_BITS 64

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

/* ======================================================================= */
/* Chunks and pages                                                        */
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
  const size_t size =
      &page->chunk->page == page ? sizeof(Chunk) : sizeof(Page);
  return (size + 15) / 16 * 16;
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
  size_t pages = slab->pages / 8 / LEAST_CHUNK * LEAST_CHUNK, i;
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
  mts_slab_set_rest(slab, (char *)page + page->taken, (char *)page + PAGE);
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
      if (!mts_slab_is_in_small_chunk(slab, block))
        page_of(block)->taken += mts_slab_class_size(class);
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
      if (!mts_slab_is_in_small_chunk(slab, *link) &&
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
  mts_slab_set_rest(slab, NULL, NULL);
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
/* What slab.c needs                                                       */
/* ======================================================================= */

void mts_slabpages_open(mts_Slab *slab)
{
  slab->many_pages = MANY_PAGES;
  slab->pages_before_purge = SIZE_MAX;
}

void mts_slabpages_close(mts_Slab *slab)
{
  Chunk *chunk = slab->chunks;
  while (chunk) {
    Chunk *next = chunk->next;
    mts_pages_unmap(chunk, chunk->pages * PAGE);
    chunk = next;
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

bool mts_slabpages_take(mts_Slab *slab, size_t in_use)
{
  if (!slab->open && is_purge_due(slab, in_use))
    mts_slab_purge(slab, in_use);
  if (!slab->open && !get_chunk(slab))
    return false;
  take_page(slab);
  return true;
}
