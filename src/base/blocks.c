/*
** blocks.c - memory of messages: blocks of one size, from per-thread pools
**
** Most messages are freed in another thread than they were made in, which is
** what general allocators are worst at.  So each thread has a pool of free
** blocks, two batches at most: one that it takes from and adds to, and one
** that is full or not there.  Full batches go to the depot, which all threads
** share, and are fetched from it: one exchange for BATCH blocks.  A thread on
** the border between two batches does not go to the depot each time.
**
** A batch is a list through the blocks themselves; the depot is a list of
** batches through the first block of each.  It has a bound: what does not fit
** is freed.
**
** The mutex of the depot is only tried: who does not get it at once takes one
** block from malloc, or frees one.  So nobody waits; in the child of a fork
** the thread that has the mutex may not be there.
**
** When a thread ends, its full batch goes to the depot and the rest is freed;
** from then on it has no pool (destructors of other keys can use blocks).  A
** thread for which that cannot be arranged never has one.
**
** Without pools (MTS_NO_BLOCK_CACHE) each block is malloc's own, for tools
** that look for blocks that are used after they were freed, or never freed.
*/
#include "base/blocks.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) && !defined(MTS_NO_BLOCK_CACHE)
#define MTS_NO_BLOCK_CACHE
#endif

#if defined(MTS_NO_BLOCK_CACHE)

void *mts_blocks_get(void)
{
  return malloc(MTS_BLOCK_SIZE);
}

void mts_blocks_put(void *block)
{
  free(block);
}

#else

#include "async_util.h"

#define BATCH 64        /* blocks */
#define MOST_BATCHES 64 /* in the depot */

/* A block that is free. */
typedef struct Block Block;
struct Block {
  Block *next;       /* in its batch */
  Block *next_batch; /* for the first one of a batch in the depot */
};

/* ======================================================================= */
/* The depot                                                               */
/* ======================================================================= */

static mts_Mutex depot_mutex = MTS_MUTEX_INIT; /* a leaf */

static struct {
  Block *first;
  unsigned count;
} depot MTS_GUARDED_BY(depot_mutex);

/* Returns: a full batch, or NULL. */
static Block *fetch_batch(void)
{
  Block *batch = NULL;
  if (mts_mutex_try_lock(&depot_mutex)) {
    batch = depot.first;
    if (batch) {
      depot.first = batch->next_batch;
      depot.count--;
    }
    mts_mutex_unlock(&depot_mutex);
  }
  return batch;
}

/* Returns: whether the batch has been taken. */
static bool store_batch(Block *batch)
{
  bool is_stored = false;
  if (mts_mutex_try_lock(&depot_mutex)) {
    is_stored = depot.count < MOST_BATCHES;
    if (is_stored) {
      batch->next_batch = depot.first;
      depot.first = batch;
      depot.count++;
    }
    mts_mutex_unlock(&depot_mutex);
  }
  return is_stored;
}

/* ======================================================================= */
/* The pool of a thread                                                    */
/* ======================================================================= */

/*
** On the heap, since thread-local variables can be gone when the destructors
** of keys run.
*/
typedef struct Pool {
  Block *first;  /* blocks to take */
  Block *full;   /* a full batch, or NULL */
  unsigned room; /* for how many blocks before the first */
} Pool;

/* Without blocks and room; nothing is ever stored there. */
static Pool not_opened, no_pool;

static MTS_THREAD_LOCAL Pool *pool = &not_opened;

static pthread_key_t pool_key;
static bool has_pool_key;

static void free_batch(Block *batch)
{
  while (batch) {
    Block *next = batch->next;
    free(batch);
    batch = next;
  }
}

static void close_pool(void *data)
{
  Pool *own = data;
  pool = &no_pool;
  free_batch(own->first);
  if (own->full && !store_batch(own->full))
    free_batch(own->full);
  free(own);
}

static void make_pool_key(void)
{
  has_pool_key = pthread_key_create(&pool_key, close_pool) == 0;
}

static Pool *new_pool(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  Pool *own = NULL;
  if (pthread_once(&once, make_pool_key) == 0 && has_pool_key)
    own = malloc(sizeof(Pool));
  if (!own)
    return &no_pool;
  *own = (Pool){.room = BATCH};
  if (pthread_setspecific(pool_key, own) != 0) {
    free(own);
    return &no_pool;
  }
  return own;
}

/* Returns: whether the thread has a pool. */
static bool open_pool(void)
{
  if (pool == &not_opened)
    pool = new_pool();
  return pool != &no_pool;
}

/* When there is no block to take. */
static bool fill_pool(void)
{
  if (!open_pool())
    return false;
  pool->first = pool->full ? pool->full : fetch_batch();
  pool->full = NULL;
  pool->room = pool->first ? 0 : BATCH;
  return pool->first != NULL;
}

/* When there is no room. */
static bool empty_pool(void)
{
  if (!open_pool() || (pool->full && !store_batch(pool->full)))
    return false;
  pool->full = pool->first;
  pool->first = NULL;
  pool->room = BATCH;
  return true;
}

void *mts_blocks_get(void)
{
  Block *block;
  if (!pool->first && !fill_pool())
    return malloc(MTS_BLOCK_SIZE);
  block = pool->first;
  pool->first = block->next;
  pool->room++;
  return block;
}

void mts_blocks_put(void *memory)
{
  Block *block = memory;
  if (pool->room == 0 && !empty_pool()) {
    free(block);
    return;
  }
  block->next = pool->first;
  pool->first = block;
  pool->room--;
}

#endif
