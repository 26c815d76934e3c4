/*
** registrynode.h - what a state keeps for the registry
*/
#ifndef MTS_REGISTRYNODE_H
#define MTS_REGISTRYNODE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/lockword.h"

MTS_BEGIN_HIDDEN

typedef struct mts_State mts_State;

/*
** Part of a state, guarded by the mutex of the registry; the wait graph reads
** `creator` without it.
*/
typedef struct mts_RegistryNode {
  size_t owners;

  /* In the tables of open states; see statetable.c. */
  mts_State *next_by_id;
  mts_State *next_by_name;              /* another name, same bucket */
  mts_State *next_twin, *previous_twin; /* ring of the same name */

  /* Singletons in creation; see registry.c. */
  mts_State *next_reserved;
  mts_LockWord creator; /* the thread that creates it, 0 once that is over */

  bool is_registered; /* in the tables */
} mts_RegistryNode;

MTS_END_HIDDEN

#endif
