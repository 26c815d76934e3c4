/*
** statetable.c - open states by id and by name
**
** Two hash tables with the same number of buckets, linked through the states.
** Ids are given out in sequence, so they are spread evenly.  In the table of
** names each name is found once: the open states with one name are a ring of
** twins, and one of the ring is in the table.  So no operation takes longer
** because there are many states, or many with the same name.
*/
#include "core/statetable.h"

#include <stdlib.h>
#include <string.h>

static mts_Bucket *id_bucket(const mts_StateTable *table, lua_Integer id)
{
  return &table->ids[(size_t)id & (table->buckets - 1)];
}

static mts_Bucket *name_bucket(const mts_StateTable *table, size_t hash)
{
  return &table->names[hash & (table->buckets - 1)];
}

bool mts_statetable_has_name(const mts_State *s, const char *name,
                             size_t length, size_t hash)
{
  return s->name_hash == hash && s->name_length == length && s->has_name &&
         memcmp(s->name, name, length) == 0;
}

/* The link to the state with that name, or where it would be. */
static mts_Bucket *name_link(const mts_StateTable *table, const char *name,
                             size_t length, size_t hash)
{
  mts_Bucket *link = name_bucket(table, hash);
  while (*link && !mts_statetable_has_name(*link, name, length, hash))
    link = &(*link)->registry.next_by_name;
  return link;
}

static void add_id(mts_StateTable *table, mts_State *s)
{
  mts_Bucket *bucket = id_bucket(table, s->id);
  s->registry.next_by_id = *bucket;
  *bucket = s;
}

static void remove_id(mts_StateTable *table, mts_State *s)
{
  mts_Bucket *link = id_bucket(table, s->id);
  while (*link != s)
    link = &(*link)->registry.next_by_id;
  *link = s->registry.next_by_id;
}

static void add_name(mts_StateTable *table, mts_State *s)
{
  mts_Bucket *link = name_link(table, s->name, s->name_length, s->name_hash);
  mts_RegistryNode *node = &s->registry;
  mts_State *twin = *link;
  if (twin) {
    node->next_twin = twin->registry.next_twin;
    node->previous_twin = twin;
    node->next_twin->registry.previous_twin = s;
    twin->registry.next_twin = s;
  }
  else {
    node->next_twin = node->previous_twin = s;
    node->next_by_name = NULL;
    *link = s;
  }
}

static void remove_name(mts_StateTable *table, mts_State *s)
{
  mts_Bucket *link = name_link(table, s->name, s->name_length, s->name_hash);
  mts_RegistryNode *node = &s->registry;
  if (*link == s) {
    mts_State *heir = node->next_by_name;
    if (mts_statetable_has_twin(s)) {
      heir = node->next_twin;
      heir->registry.next_by_name = node->next_by_name;
    }
    *link = heir;
  }
  node->next_twin->registry.previous_twin = node->previous_twin;
  node->previous_twin->registry.next_twin = node->next_twin;
}

/* Moves the states from the old buckets to those of the table. */
static void rehash(mts_StateTable *table, const mts_Bucket *old_ids,
                   const mts_Bucket *old_names, size_t old_buckets)
{
  size_t i;
  for (i = 0; i < old_buckets; i++) {
    mts_State *s, *next;
    for (s = old_ids[i]; s; s = next) {
      next = s->registry.next_by_id;
      add_id(table, s);
    }
    for (s = old_names[i]; s; s = next) {
      mts_Bucket *bucket = name_bucket(table, s->name_hash);
      next = s->registry.next_by_name;
      s->registry.next_by_name = *bucket;
      *bucket = s;
    }
  }
}

/* Without memory the tables stay as they are, only slower. */
static void double_buckets(mts_StateTable *table)
{
  size_t old_buckets = table->buckets;
  mts_Bucket *old_ids = table->ids;
  mts_Bucket *old_names = table->names;
  mts_Bucket *ids = calloc(2 * old_buckets, sizeof(mts_Bucket));
  mts_Bucket *names = calloc(2 * old_buckets, sizeof(mts_Bucket));
  if (!ids || !names) {
    free(ids);
    free(names);
    return;
  }
  table->ids = ids;
  table->names = names;
  table->buckets = 2 * old_buckets;
  rehash(table, old_ids, old_names, old_buckets);
  if (old_ids != table->first_ids) {
    free(old_ids);
    free(old_names);
  }
}

void mts_statetable_add(mts_StateTable *table, mts_State *s)
{
  if (table->count >= table->buckets)
    double_buckets(table);
  add_id(table, s);
  if (s->has_name)
    add_name(table, s);
  s->registry.is_registered = true;
  table->count++;
}

void mts_statetable_remove(mts_StateTable *table, mts_State *s)
{
  if (!s->registry.is_registered)
    return;
  remove_id(table, s);
  if (s->has_name)
    remove_name(table, s);
  s->registry.is_registered = false;
  table->count--;
}

mts_State *mts_statetable_find_id(const mts_StateTable *table, lua_Integer id)
{
  mts_State *s = *id_bucket(table, id);
  while (s && s->id != id)
    s = s->registry.next_by_id;
  return s;
}

mts_State *mts_statetable_find_name(const mts_StateTable *table,
                                    const char *name, size_t length,
                                    size_t hash)
{
  return *name_link(table, name, length, hash);
}

void mts_statetable_list(const mts_StateTable *table, mts_State **states)
{
  size_t bucket;
  for (bucket = 0; bucket < table->buckets; bucket++) {
    mts_State *s = table->ids[bucket];
    for (; s; s = s->registry.next_by_id)
      *states++ = s;
  }
}
