/*
** slab.h - memory of one Lua state, in size classes
**
** For one thread at a time, without locks and without headers: whoever frees a
** block says how large it is.
*/
#ifndef MTS_SLAB_H
#define MTS_SLAB_H

#include "base/compiler.h"

#include <stddef.h>

MTS_BEGIN_HIDDEN

/* Bytes.  Larger blocks are malloc's. */
#define MTS_SLAB_SMALL 512 /* classes in steps of 16 up to here, */
#define MTS_SLAB_MOST 1152 /* and in steps of 128 up to here */

/* The class of a block of that size, from 1 to MTS_SLAB_MOST. */
#define MTS_SLAB_CLASS(size)                                                  \
  ((size) <= MTS_SLAB_SMALL ? ((size) + 15) / 16 : 29 + ((size)-1) / 128)
#define MTS_SLAB_CLASSES (MTS_SLAB_CLASS(MTS_SLAB_MOST) + 1)

typedef struct mts_SlabBlock mts_SlabBlock;
struct mts_SlabBlock {
  mts_SlabBlock *next;
};

typedef struct mts_Slab {
  char *rest; /* what is not cut into blocks yet */
  char *rest_end;
  size_t purge_below; /* when less bytes are in use than that */
  mts_SlabBlock *unused[MTS_SLAB_CLASSES]; /* free blocks of each class */

  /* Small chunks, with which each slab begins. */
  struct SmallChunk *small;
  size_t small_size; /* bytes of all of them */
  char *small_begin; /* none of them is outside of this */
  char *small_end;

  /* Chunks of pages. */
  struct Chunk *chunks;      /* all */
  struct Chunk *open;        /* those that have pages that are not in use */
  size_t pages;              /* how many are in use */
  size_t pages_before_purge; /* how many were when the last purge began, */
  size_t pages_at_purge;     /* and ended */
  size_t many_pages;         /* with less, no purge begins */

  size_t large; /* bytes of malloc's blocks */
} mts_Slab;

/*
** A new slab.
** Returns: NULL if there is no memory.
*/
mts_Slab *mts_slab_new(void);

/* Frees it with all of its blocks but those that are malloc's. */
void mts_slab_delete(mts_Slab *slab);

/* Parts of mts_slab_get and mts_slab_put. */
void *mts_slab_get_other(mts_Slab *slab, size_t size, size_t in_use);
void mts_slab_put_other(mts_Slab *slab, void *block, size_t size);
void mts_slab_purge(mts_Slab *slab, size_t in_use);

/*
** A block, aligned for any type.
** size: 1 or more.
** in_use: how many bytes have been got, and not put back.
** Returns: NULL if there is no memory.
*/
static inline void *mts_slab_get(mts_Slab *slab, size_t size, size_t in_use)
{
  if (size <= MTS_SLAB_SMALL) {
    const size_t class = MTS_SLAB_CLASS(size);
    mts_SlabBlock *block = slab->unused[class];
    if (block) {
      slab->unused[class] = block->next;
      return block;
    }
    if (class * 16 <= (size_t)(slab->rest_end - slab->rest)) {
      char *cut = slab->rest;
      slab->rest = cut + class * 16;
      return cut;
    }
  }
  return mts_slab_get_other(slab, size, in_use);
}

/*
** Frees a block of that size.
** in_use: how many bytes have been got, and not put back, without it.
*/
static inline void mts_slab_put(mts_Slab *slab, void *block, size_t size,
                                size_t in_use)
{
  if (size <= MTS_SLAB_SMALL) {
    const size_t class = MTS_SLAB_CLASS(size);
    mts_SlabBlock *unused = block;
    unused->next = slab->unused[class];
    slab->unused[class] = unused;
  }
  else
    mts_slab_put_other(slab, block, size);
  if (in_use < slab->purge_below)
    mts_slab_purge(slab, in_use);
}

/*
** Gives a block another size.
** old_size, size: 1 or more.
** in_use: how many bytes have been got, and not put back, without the block.
** Returns: the block, which may be another one; NULL if there is no memory for
** a larger one: then nothing was changed.
*/
void *mts_slab_resize(mts_Slab *slab, void *block, size_t old_size,
                      size_t size, size_t in_use);

MTS_END_HIDDEN

#endif
