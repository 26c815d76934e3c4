/*
** identity.h - which objects of a Lua state a message has already
*/
#ifndef MTS_IDENTITY_H
#define MTS_IDENTITY_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

MTS_BEGIN_HIDDEN

typedef struct mts_IdentityEntry {
  const void *address; /* NULL: free */
  uint64_t number;     /* 0: the object is new */
} mts_IdentityEntry;

#define MTS_FIRST_IDENTITIES 8

/*
** A map from the addresses of objects to numbers.  Entries are never removed:
** the objects have to live as long as the map is used, or another object could
** get the address of one of them.  The first entries are a list, so that a
** small map needs no preparation; then it is a hash table.
*/
typedef struct mts_Identity {
  mts_IdentityEntry *entries; /* of the table; NULL: there is only the list */
  size_t capacity;            /* a power of 2 */
  size_t count;
  mts_IdentityEntry first[MTS_FIRST_IDENTITIES];
} mts_Identity;

static inline void mts_identity_open(mts_Identity *map)
{
  map->entries = NULL;
  map->capacity = 0;
  map->count = 0;
}

void mts_identity_close(mts_Identity *map);

/* Part of mts_identity_find: looks into the table, or makes it. */
uint64_t *mts_identity_find_in_table(mts_Identity *map, const void *address);

/*
** Finds the number of the object at that address, or adds it.
** Returns: where its number is, until the next one is added; NULL if there is
** no memory.
*/
static inline uint64_t *mts_identity_find(mts_Identity *map,
                                          const void *address)
{
  mts_IdentityEntry *entry = map->first;
  if (!map->entries) {
    const mts_IdentityEntry *end = map->first + map->count;
    while (entry < end && entry->address != address)
      entry++;
    if (entry < end)
      return &entry->number;
    if (map->count < MTS_FIRST_IDENTITIES) {
      map->count++;
      entry->address = address;
      entry->number = 0;
      return &entry->number;
    }
  }
  return mts_identity_find_in_table(map, address);
}

MTS_END_HIDDEN

#endif
