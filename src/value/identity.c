/*
** identity.c - which objects of a Lua state a message has already
**
** The table has open addressing and is at most half full.  Takes no locks: a
** map is used by one thread.
*/
#include "value/identity.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

void mts_identity_close(mts_Identity *map)
{
  free(map->entries);
}

/* Returns the entry of the address, or the free one where it belongs. */
static mts_IdentityEntry *probe(const mts_Identity *map, const void *address)
{
  const size_t mask = map->capacity - 1;
  size_t i = (size_t)((uintptr_t)address >> 4);
  i ^= i >> 7;
  for (i &= mask;; i = (i + 1) & mask)
    if (map->entries[i].address == address || !map->entries[i].address)
      return &map->entries[i];
}

/* Makes the table, or one that is larger. */
static bool grow_table(mts_Identity *map)
{
  const mts_Identity old = *map;
  const mts_IdentityEntry *entries = old.entries ? old.entries : old.first;
  const size_t count = old.entries ? old.capacity : old.count;
  size_t i;
  map->capacity = old.entries ? 4 * old.capacity : FIRST_CAPACITY;
  map->entries = calloc(map->capacity, sizeof(*map->entries));
  if (!map->entries) {
    *map = old;
    return false;
  }
  for (i = 0; i < count; i++)
    if (entries[i].address)
      *probe(map, entries[i].address) = entries[i];
  free(old.entries);
  return true;
}

uint64_t *mts_identity_find_in_table(mts_Identity *map, const void *address)
{
  mts_IdentityEntry *entry = map->entries ? probe(map, address) : NULL;
  if (entry && entry->address)
    return &entry->number;
  if (!entry || 2 * map->count >= map->capacity) {
    if (!grow_table(map))
      return NULL;
    entry = probe(map, address);
  }
  map->count++;
  entry->address = address;
  return &entry->number;
}
