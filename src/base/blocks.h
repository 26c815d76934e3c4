/*
** blocks.h - memory of messages: blocks of one size, from per-thread pools
*/
#ifndef MTS_BLOCKS_H
#define MTS_BLOCKS_H

#include "base/compiler.h"

MTS_BEGIN_HIDDEN

#define MTS_BLOCK_SIZE 320 /* bytes */

/* Returns: a block, aligned for any type; NULL if there is no memory. */
void *mts_blocks_get(void);

/* Gives a block back, in any thread. */
void mts_blocks_put(void *block);

MTS_END_HIDDEN

#endif
