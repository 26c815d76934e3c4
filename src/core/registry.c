/*
** registry.c - the open states of the process, by id and by name
**
** Two hash tables with the same number of buckets, linked through the states.
** Ids are given out in sequence, so they spread by themselves.  In the table
** of names each name stands once; all open states with one name are a ring of
** twins, of which one is in the table.  So nothing takes longer because there
** are many states, or many with the same name.
**
** A state is in the tables from the end of its setup until it is closed or has
** lost its last owner.  Both changes of the number of owners to and from zero
** are one step with adding and removing, so who finds a state here finds it
** with an owner, hence alive, and can take a reference.
**
** Singletons in creation are in a list of their own.  Who wants the same name
** sleeps until that list changes; it waits, in terms of the wait graph, for
** s->creator.
**
** One mutex guards all but the next id.  Under it: memory, the wait graph, and
** closing a call lock; never Lua.
*/
#include "core/registry.h"

#include <stdlib.h>
#include <string.h>

#include "core/waitgraph.h"
#include "util.h"

/* The first id: not to be mistaken for a count or an index. */
#define FIRST_ID (MTS_EXACT_BITS > 24 ? 100000001 : 1000001)

#define FIRST_BUCKETS 64 /* a power of 2, as all that follow */

static mts_Mutex mutex = MTS_MUTEX_INIT;
static mts_Cond reservation_ended = MTS_COND_INIT;

typedef mts_State *Bucket;

static Bucket first_ids[FIRST_BUCKETS];
static Bucket first_names[FIRST_BUCKETS];

static struct {
  Bucket *ids;
  Bucket *names;
  size_t buckets;
  size_t count;
  mts_State *first_reserved;
} registry MTS_GUARDED_BY(mutex) = {first_ids, first_names, FIRST_BUCKETS, 0,
                                    NULL};

static atomic_llong next_id = FIRST_ID;

mts_Status mts_registry_new_state(const char *name, size_t length,
                                  mts_State **created)
{
  long long id = atomic_fetch_add(&next_id, 1);
  if (id >> MTS_EXACT_BITS)
    return MTS_NO_MEMORY; /* others have all ids that can be told apart */
  return mts_state_new((lua_Integer)id, name, length, created);
}

/* ======================================================================= */
/* Tables                                                                  */
/* ======================================================================= */

static Bucket *id_bucket(lua_Integer id) MTS_REQUIRES(mutex)
{
  return &registry.ids[(size_t)id & (registry.buckets - 1)];
}

static Bucket *name_bucket(size_t hash) MTS_REQUIRES(mutex)
{
  return &registry.names[hash & (registry.buckets - 1)];
}

static bool has_name(const mts_State *s, const char *name, size_t length,
                     size_t hash)
{
  return s->name_hash == hash && s->name_length == length && s->has_name &&
         memcmp(s->name, name, length) == 0;
}

/* Where the link to the state with that name is, or would be. */
static Bucket *name_link(const char *name, size_t length, size_t hash)
    MTS_REQUIRES(mutex)
{
  Bucket *link = name_bucket(hash);
  while (*link && !has_name(*link, name, length, hash))
    link = &(*link)->next_by_name;
  return link;
}

static void add_id(mts_State *s) MTS_REQUIRES(mutex)
{
  Bucket *bucket = id_bucket(s->id);
  s->next_by_id = *bucket;
  *bucket = s;
}

static void remove_id(mts_State *s) MTS_REQUIRES(mutex)
{
  Bucket *link = id_bucket(s->id);
  while (*link != s)
    link = &(*link)->next_by_id;
  *link = s->next_by_id;
}

static void add_name(mts_State *s) MTS_REQUIRES(mutex)
{
  Bucket *link = name_link(s->name, s->name_length, s->name_hash);
  mts_State *twin = *link;
  if (twin) {
    s->next_twin = twin->next_twin;
    s->previous_twin = twin;
    s->next_twin->previous_twin = s;
    twin->next_twin = s;
  }
  else {
    s->next_twin = s->previous_twin = s;
    s->next_by_name = NULL;
    *link = s;
  }
}

static void remove_name(mts_State *s) MTS_REQUIRES(mutex)
{
  Bucket *link = name_link(s->name, s->name_length, s->name_hash);
  if (*link == s) {
    mts_State *heir = s->next_by_name;
    if (s->next_twin != s) {
      heir = s->next_twin;
      heir->next_by_name = s->next_by_name;
    }
    *link = heir;
  }
  s->next_twin->previous_twin = s->previous_twin;
  s->previous_twin->next_twin = s->next_twin;
}

/*
** Doubles the tables.  Without memory they stay as they are, only slower.
*/
static void grow(void) MTS_REQUIRES(mutex)
{
  size_t old_buckets = registry.buckets;
  Bucket *old_ids = registry.ids;
  Bucket *old_names = registry.names;
  Bucket *ids = calloc(2 * old_buckets, sizeof(Bucket));
  Bucket *names = calloc(2 * old_buckets, sizeof(Bucket));
  size_t i;
  if (!ids || !names) {
    free(ids);
    free(names);
    return;
  }
  registry.ids = ids;
  registry.names = names;
  registry.buckets = 2 * old_buckets;
  for (i = 0; i < old_buckets; i++) {
    mts_State *s, *next;
    for (s = old_ids[i]; s; s = next) {
      next = s->next_by_id;
      add_id(s);
    }
    for (s = old_names[i]; s; s = next) {
      Bucket *bucket = name_bucket(s->name_hash);
      next = s->next_by_name;
      s->next_by_name = *bucket;
      *bucket = s;
    }
  }
  if (old_ids != first_ids) {
    free(old_ids);
    free(old_names);
  }
}

static void add(mts_State *s) MTS_REQUIRES(mutex)
{
  if (registry.count >= registry.buckets)
    grow();
  add_id(s);
  if (s->has_name)
    add_name(s);
  s->is_registered = true;
  registry.count++;
}

static void remove_if_there(mts_State *s) MTS_REQUIRES(mutex)
{
  if (s->is_registered) {
    remove_id(s);
    if (s->has_name)
      remove_name(s);
    s->is_registered = false;
    registry.count--;
  }
}

/* ======================================================================= */
/* Look-up                                                                 */
/* ======================================================================= */

mts_Status mts_registry_find_id(lua_Integer id, mts_State **found)
{
  mts_State *s;
  mts_mutex_lock(&mutex);
  s = *id_bucket(id);
  while (s && s->id != id)
    s = s->next_by_id;
  if (s)
    mts_state_retain(s);
  mts_mutex_unlock(&mutex);
  *found = s;
  return s ? MTS_OK : MTS_UNKNOWN;
}

/* Returns: MTS_OK with a reference in *found, MTS_UNKNOWN, MTS_AMBIGUOUS. */
static mts_Status find_name(const char *name, size_t length, size_t hash,
                            mts_State **found) MTS_REQUIRES(mutex)
{
  mts_State *s = *name_link(name, length, hash);
  if (!s)
    return MTS_UNKNOWN;
  if (s->next_twin != s)
    return MTS_AMBIGUOUS;
  mts_state_retain(s);
  *found = s;
  return MTS_OK;
}

mts_Status mts_registry_find_name(const char *name, size_t length,
                                  mts_State **found)
{
  size_t hash = mts_util_hash(name, length);
  mts_Status status;
  mts_mutex_lock(&mutex);
  status = find_name(name, length, hash, found);
  mts_mutex_unlock(&mutex);
  return status;
}

/* ======================================================================= */
/* Creation                                                                */
/* ======================================================================= */

/* The singleton with that name that is being created. */
static mts_State *find_reserved(const char *name, size_t length, size_t hash)
    MTS_REQUIRES(mutex)
{
  mts_State *s = registry.first_reserved;
  while (s && !has_name(s, name, length, hash))
    s = s->next_reserved;
  return s;
}

/* Sleeps until some reservation ends.  Returns: MTS_OK, MTS_DEADLOCK. */
static mts_Status wait_for(mts_State *reserved) MTS_REQUIRES(mutex)
{
  mts_Wait wait;
  if (!mts_waitgraph_add(&wait, mts_state_thread(), &reserved->creator))
    return MTS_DEADLOCK;
  mts_state_retain(reserved);
  mts_cond_wait(&reservation_ended, &mutex);
  mts_waitgraph_remove(&wait);
  mts_state_release(reserved);
  return MTS_OK;
}

/*
** Finds an open state and makes the caller an owner; waits while the state is
** being created.  Returns: MTS_OK, MTS_UNKNOWN, MTS_AMBIGUOUS, MTS_DEADLOCK.
*/
static mts_Status find_or_wait(const char *name, size_t length, size_t hash,
                               mts_State **found) MTS_REQUIRES(mutex)
{
  for (;;) {
    mts_Status status = find_name(name, length, hash, found);
    mts_State *reserved;
    if (status == MTS_OK)
      (*found)->owners++;
    if (status != MTS_UNKNOWN)
      return status;
    reserved = find_reserved(name, length, hash);
    if (!reserved)
      return MTS_UNKNOWN;
    if (wait_for(reserved) != MTS_OK)
      return MTS_DEADLOCK;
  }
}

mts_Status mts_registry_find_singleton(const char *name, size_t length,
                                       mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&mutex);
  status = find_or_wait(name, length, mts_util_hash(name, length), found);
  mts_mutex_unlock(&mutex);
  return status;
}

mts_Status mts_registry_reserve(mts_State *s, mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&mutex);
  status = find_or_wait(s->name, s->name_length, s->name_hash, found);
  if (status == MTS_UNKNOWN) {
    atomic_store(&s->creator, mts_state_thread());
    s->next_reserved = registry.first_reserved;
    registry.first_reserved = s;
  }
  mts_mutex_unlock(&mutex);
  return status;
}

static void end_reservation(mts_State *s) MTS_REQUIRES(mutex)
{
  if (atomic_load(&s->creator) != 0) {
    mts_State **link = &registry.first_reserved;
    while (*link != s)
      link = &(*link)->next_reserved;
    *link = s->next_reserved;
    atomic_store(&s->creator, 0);
    mts_cond_broadcast(&reservation_ended);
  }
}

void mts_registry_publish(mts_State *s)
{
  mts_mutex_lock(&mutex);
  s->owners = 1;
  add(s);
  end_reservation(s);
  mts_mutex_unlock(&mutex);
}

void mts_registry_give_up(mts_State *s)
{
  mts_mutex_lock(&mutex);
  end_reservation(s);
  mts_mutex_unlock(&mutex);
}

/* ======================================================================= */
/* End                                                                     */
/* ======================================================================= */

void mts_registry_drop_owner(mts_State *s)
{
  bool is_last;
  mts_mutex_lock(&mutex);
  is_last = --s->owners == 0;
  if (is_last)
    remove_if_there(s);
  mts_mutex_unlock(&mutex);
  if (is_last)
    mts_state_close_when_free(s);
}

mts_Status mts_registry_close(mts_State *s)
{
  mts_Status status;
  mts_mutex_lock(&mutex);
  status = mts_state_begin_close(s);
  if (status == MTS_OK)
    remove_if_there(s);
  mts_mutex_unlock(&mutex);
  if (status == MTS_OK)
    mts_state_finish_close(s);
  return status == MTS_BUSY ? MTS_BUSY : MTS_OK;
}
