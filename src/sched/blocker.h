/*
** blocker.h - what has to go on before a request is answered
*/
#ifndef MTS_BLOCKER_H
#define MTS_BLOCKER_H

#include "base/compiler.h"

#include <stddef.h>

#include "core/knot.h"

MTS_BEGIN_HIDDEN

/* See mts_Upcalls.find_ways. */
void mts_blocker_find_ways(const mts_Blocker *blocker,
                           void (*visit)(void *data, const mts_Blocker *),
                           void *data);

/* See mts_Upcalls.find_ways_in. */
bool mts_blocker_find_ways_in(const mts_State *s, const void *word,
                              void (*visit)(void *data, const mts_Blocker *),
                              void *data);

MTS_END_HIDDEN

#endif
