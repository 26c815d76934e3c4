/*
** slabpages.h - the pages of a slab; a part of slab.c
*/
#ifndef MTS_SLABPAGES_H
#define MTS_SLABPAGES_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/slab.h"

MTS_BEGIN_HIDDEN

/* A new slab has no pages; one that is deleted gives back what it has. */
void mts_slabpages_open(mts_Slab *slab);
void mts_slabpages_close(mts_Slab *slab);

/*
** Makes a page the rest of the slab.
** in_use: as for mts_slab_get.
** Returns: false if there is no memory.
*/
bool mts_slabpages_take(mts_Slab *slab, size_t in_use);

/* Parts of slab.c: the size of the blocks of a class; */
size_t mts_slab_class_size(size_t class);

/* what is cut next, after what was has been cut; NULL: nothing; */
void mts_slab_set_rest(mts_Slab *slab, char *from, char *end);

/* whether a block is in no page. */
bool mts_slab_is_in_small_chunk(const mts_Slab *slab, const void *memory);

MTS_END_HIDDEN

#endif
