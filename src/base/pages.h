/*
** pages.h - memory that is taken from the system by pages
*/
#ifndef MTS_PAGES_H
#define MTS_PAGES_H

#include "base/compiler.h"

#include <stddef.h>

MTS_BEGIN_HIDDEN

/*
** Takes memory, which begins at a multiple of 4096.
** size: bytes, a multiple of 65536.
** Returns: NULL if there is none.
*/
void *mts_pages_map(size_t size);

/* Gives back what mts_pages_map gave, as a whole. */
void mts_pages_unmap(void *memory, size_t size);

/*
** The content of the memory, part of what mts_pages_map gave, is not needed
** any more; if it is used again, it holds anything.
*/
void mts_pages_release(void *memory, size_t size);

MTS_END_HIDDEN

#endif
