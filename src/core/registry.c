/*
** registry.c - the open states of the process, their owners, singletons
**
** A state is in the table of open states (statetable.c) from the end of its
** setup until it is closed or has lost its last owner; if it has requests
** then, until they are done.  The number of owners becomes zero in one step
** with removing the state, or with telling the scheduler to do that.
**
** A singleton that is being created is in a list of its own, which reserves
** its name.  Other threads that want the same name sleep until that list
** changes.  In the wait graph they wait for the word `creator` of the state.
**
** Threads that look a state up and can wait for it sleep until one is added to
** the table: each time, all that wait by then look again.
**
** Invariants:
**
** 1. A state that is found in the table has an owner, or requests, hence is
**    alive, and a reference to it can be taken.
** 2. One state at most reserves a name, and no open state had it then.
** 3. One mutex guards all but the next id.  While it is held: memory, the wait
**    graph, and closing a call lock; never Lua.
*/
#include "core/registry.h"

#include <stdlib.h>

#include "core/statetable.h"
#include "core/wait.h"
#include "core/waitgraph.h"
#include "util.h"

/* The first id: not to be mistaken for a count or an index. */
#define FIRST_ID (MTS_EXACT_BITS > 24 ? 100000001 : 1000001)

static mts_Mutex registry_mutex = MTS_MUTEX_INIT;
static mts_Cond reservation_ended = MTS_COND_INIT;

static mts_StateTable open_states MTS_GUARDED_BY(registry_mutex) =
    MTS_STATETABLE_INIT(open_states);
static mts_State *first_reserved MTS_GUARDED_BY(registry_mutex);

/* Of threads that wait for a state to be published. */
static mts_WaitList publication_waits MTS_GUARDED_BY(registry_mutex);

static atomic_llong next_id = FIRST_ID;

mts_Status mts_registry_new_state(const char *name, size_t length,
                                  mts_State **created)
{
  long long id = atomic_fetch_add(&next_id, 1);
  if (id >> MTS_EXACT_BITS)
    return MTS_NO_MEMORY; /* no more ids that can be told apart */
  return mts_state_new((lua_Integer)id, name, length, created);
}

/* ======================================================================= */
/* Look-up                                                                 */
/* ======================================================================= */

/* Returns: MTS_OK with a reference in *found, MTS_UNKNOWN, MTS_AMBIGUOUS. */
static mts_Status find_open(const char *name, size_t length, size_t hash,
                            mts_State **found) MTS_REQUIRES(registry_mutex)
{
  mts_State *s = mts_statetable_find_name(&open_states, name, length, hash);
  if (!s)
    return MTS_UNKNOWN;
  if (mts_statetable_has_twin(s))
    return MTS_AMBIGUOUS;
  mts_state_retain(s);
  *found = s;
  return MTS_OK;
}

static mts_Status find_open_id(lua_Integer id, mts_State **found)
    MTS_REQUIRES(registry_mutex)
{
  mts_State *s = mts_statetable_find_id(&open_states, id);
  if (s)
    mts_state_retain(s);
  *found = s;
  return s ? MTS_OK : MTS_UNKNOWN;
}

/* What is looked up. */
typedef struct Search {
  const char *name; /* NULL: the id */
  size_t length;
  lua_Integer id;
} Search;

/* Looks it up; if it is unknown, the wait is in the list. */
static mts_Status search_again(const Search *search, mts_Wait *wait,
                               mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  if (search->name)
    status = find_open(search->name, search->length,
                       mts_util_hash(search->name, search->length), found);
  else
    status = find_open_id(search->id, found);
  if (status == MTS_UNKNOWN)
    mts_waitlist_add(&publication_waits, wait);
  mts_mutex_unlock(&registry_mutex);
  return status;
}

/*
** Sleeps until a state is published.
** Returns: MTS_OK, and as mts_wait_sleep.
*/
static mts_Status sleep_for_publication(mts_ThreadWait *wait,
                                        const mts_Patience *patience)
{
  mts_Status status = mts_wait_sleep(wait, patience, NULL, NULL);
  mts_mutex_lock(&registry_mutex);
  mts_waitlist_remove(&publication_waits, &wait->wait);
  mts_mutex_unlock(&registry_mutex);
  return status;
}

/* For what was not found: looks each time that a state has been published. */
static mts_Status wait_for(const Search *search, const mts_Patience *patience,
                           mts_State **found)
{
  mts_Status status;
  do {
    mts_ThreadWait wait;
    mts_Status waited = mts_wait_begin(&wait, patience);
    if (waited != MTS_OK)
      return waited;
    status = search_again(search, &wait.wait, found);
    if (status == MTS_UNKNOWN)
      waited = sleep_for_publication(&wait, patience);
    mts_wait_end(&wait, waited);
    if (waited != MTS_OK)
      return waited == MTS_BUSY ? MTS_UNKNOWN : waited;
  } while (status == MTS_UNKNOWN);
  return status;
}

mts_Status mts_registry_find_id(lua_Integer id, const mts_Patience *patience,
                                mts_State **found)
{
  const Search search = {.id = id};
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_open_id(id, found);
  mts_mutex_unlock(&registry_mutex);
  if (status == MTS_UNKNOWN && patience->deadline > 0)
    status = wait_for(&search, patience, found);
  return status;
}

mts_Status mts_registry_find_name(const char *name, size_t length,
                                  const mts_Patience *patience,
                                  mts_State **found)
{
  const Search search = {.name = name, .length = length};
  const size_t hash = mts_util_hash(name, length);
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_open(name, length, hash, found);
  mts_mutex_unlock(&registry_mutex);
  if (status == MTS_UNKNOWN && patience->deadline > 0)
    status = wait_for(&search, patience, found);
  return status;
}

/* ======================================================================= */
/* Singletons and owners                                                   */
/* ======================================================================= */

/* The singleton with that name that is being created. */
static mts_State *find_reserved(const char *name, size_t length, size_t hash)
    MTS_REQUIRES(registry_mutex)
{
  mts_State *s = first_reserved;
  while (s && !mts_statetable_has_name(s, name, length, hash))
    s = s->registry.next_reserved;
  return s;
}

/* Sleeps until some reservation ends.  Returns: MTS_OK, MTS_DEADLOCK,
** MTS_NO_MEMORY. */
static mts_Status wait_for_creation(mts_State *reserved)
    MTS_REQUIRES(registry_mutex)
{
  mts_WaitEdge edge = {.thread = mts_thread_id(),
                       .word = &reserved->registry.creator};
  if (!mts_waitgraph_add(&edge))
    return MTS_DEADLOCK;
  if (!mts_thread_begin_wait()) {
    mts_waitgraph_remove(&edge);
    return MTS_NO_MEMORY;
  }
  mts_state_retain(reserved);
  mts_cond_wait(&reservation_ended, &registry_mutex);
  mts_waitgraph_remove(&edge);
  mts_state_release(reserved);
  mts_thread_end_wait();
  return MTS_OK;
}

/*
** Finds an open state and makes the caller an owner; waits while the state is
** being created.  Returns: MTS_OK, MTS_UNKNOWN, MTS_AMBIGUOUS, MTS_DEADLOCK,
** MTS_NO_MEMORY.
*/
static mts_Status find_or_wait(const char *name, size_t length, size_t hash,
                               mts_State **found) MTS_REQUIRES(registry_mutex)
{
  for (;;) {
    mts_Status status = find_open(name, length, hash, found);
    mts_State *reserved;
    if (status == MTS_OK)
      (*found)->registry.owners++;
    if (status != MTS_UNKNOWN)
      return status;
    reserved = find_reserved(name, length, hash);
    if (!reserved)
      return MTS_UNKNOWN;
    status = wait_for_creation(reserved);
    if (status != MTS_OK)
      return status;
  }
}

mts_Status mts_registry_find_singleton(const char *name, size_t length,
                                       mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_or_wait(name, length, mts_util_hash(name, length), found);
  mts_mutex_unlock(&registry_mutex);
  return status;
}

mts_Status mts_registry_reserve(mts_State *s, mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_or_wait(s->name, s->name_length, s->name_hash, found);
  if (status == MTS_UNKNOWN) {
    atomic_store(&s->registry.creator, mts_thread_id());
    s->registry.next_reserved = first_reserved;
    first_reserved = s;
  }
  mts_mutex_unlock(&registry_mutex);
  return status;
}

static void end_reservation(mts_State *s) MTS_REQUIRES(registry_mutex)
{
  if (atomic_load(&s->registry.creator) != 0) {
    mts_State **link = &first_reserved;
    while (*link != s)
      link = &(*link)->registry.next_reserved;
    *link = s->registry.next_reserved;
    atomic_store(&s->registry.creator, 0);
    mts_cond_broadcast(&reservation_ended);
  }
}

/* Has all look again that wait for a state. */
static void wake_searchers(void)
{
  mts_Wakes wakes;
  do {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&registry_mutex);
    mts_waitlist_finish(&publication_waits, MTS_OK, &wakes);
    mts_mutex_unlock(&registry_mutex);
    mts_wakes_wake(&wakes);
  } while (wakes.count == MTS_WAKES);
}

void mts_registry_publish(mts_State *s)
{
  bool has_searchers;
  mts_mutex_lock(&registry_mutex);
  s->registry.owners = 1;
  if (!mts_lockword_is_ending(atomic_load(&s->lock.word)))
    mts_statetable_add(&open_states, s);
  end_reservation(s);
  has_searchers = publication_waits.first != NULL;
  mts_mutex_unlock(&registry_mutex);
  if (has_searchers)
    wake_searchers();
}

void mts_registry_give_up(mts_State *s)
{
  mts_mutex_lock(&registry_mutex);
  end_reservation(s);
  mts_mutex_unlock(&registry_mutex);
}

/* In one step with the look, since the last owner can go at any moment. */
mts_Status mts_registry_add_owner(mts_State *s)
{
  mts_Status status = MTS_CLOSED;
  mts_mutex_lock(&registry_mutex);
  if (s->registry.is_registered) {
    s->registry.owners++;
    status = MTS_OK;
  }
  mts_mutex_unlock(&registry_mutex);
  return status;
}

mts_Status mts_registry_count_owners(const mts_State *s, size_t *owners)
{
  mts_Status status = MTS_CLOSED;
  mts_mutex_lock(&registry_mutex);
  if (s->registry.is_registered) {
    *owners = s->registry.owners;
    status = MTS_OK;
  }
  mts_mutex_unlock(&registry_mutex);
  return status;
}

/* ======================================================================= */
/* End                                                                     */
/* ======================================================================= */

/* Whether a state without owners has no requests; it takes none then. */
static bool is_idle(mts_State *s) MTS_REQUIRES(registry_mutex)
{
  return !atomic_load(&s->queue) || !mts_upcalls.owners_gone(s);
}

void mts_registry_drop_owner(mts_State *s)
{
  bool is_last, closes;
  mts_mutex_lock(&registry_mutex);
  is_last = --s->registry.owners == 0;
  closes = is_last && !atomic_load(&s->has_last) && is_idle(s);
  if (closes)
    mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
  if (closes)
    mts_state_close_when_free(s);
  else if (is_last && atomic_load(&s->has_last) &&
           !mts_upcalls.close_unowned(s))
    mts_registry_close_unowned(s);
}

void mts_registry_close_unowned(mts_State *s)
{
  bool closes;
  mts_mutex_lock(&registry_mutex);
  closes = s->registry.is_registered && s->registry.owners == 0 && is_idle(s);
  if (closes)
    mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
  if (closes)
    mts_state_close_when_free(s);
}

/* Keeps the services of a list of states, with a reference to each. */
static size_t keep_services(mts_State **states, size_t count)
    MTS_REQUIRES(registry_mutex)
{
  size_t i, kept = 0;
  for (i = 0; i < count; i++)
    if (states[i]->is_service) {
      mts_state_retain(states[i]);
      states[kept++] = states[i];
    }
  return kept;
}

mts_Status mts_registry_list_services(mts_State ***states, size_t *count)
{
  mts_Status status = MTS_OK;
  mts_mutex_lock(&registry_mutex);
  *count = 0;
  *states = malloc((open_states.count + 1) * sizeof(**states));
  if (*states) {
    mts_statetable_list(&open_states, *states);
    *count = keep_services(*states, open_states.count);
  }
  else
    status = MTS_NO_MEMORY;
  mts_mutex_unlock(&registry_mutex);
  return status;
}

void mts_registry_withdraw(mts_State *s)
{
  mts_mutex_lock(&registry_mutex);
  mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
}

mts_LockClose mts_registry_close(mts_State *s)
{
  const uintptr_t closer = mts_state_closer(s);
  mts_LockClose close;
  mts_mutex_lock(&registry_mutex);
  close = mts_lock_close(&s->lock, closer);
  if (close != MTS_LOCK_IN_USE)
    mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
  mts_state_follow_close(s, close, closer);
  return close;
}
