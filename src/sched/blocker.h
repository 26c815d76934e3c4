/*
** blocker.h - what has to go on before a request is answered
*/
#ifndef MTS_BLOCKER_H
#define MTS_BLOCKER_H

#include "base/compiler.h"

#include <stddef.h>

#include "core/waitgraph.h"

MTS_BEGIN_HIDDEN

/* See mts_Upcalls.find_blocker. */
bool mts_blocker_find(const mts_State *s, const void *request,
                      const void *word, mts_Blocker *blocker);

/* See mts_Upcalls.find_others. */
void mts_blocker_find_others(const mts_State *s, const void *request,
                             void (*visit)(void *data, const mts_Blocker *),
                             void *data);

/* See mts_Upcalls.find_member. */
bool mts_blocker_find_member(const mts_State *pool, const void *request,
                             size_t index, mts_Blocker *blocker);

MTS_END_HIDDEN

#endif
