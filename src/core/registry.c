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
** Threads and tasks that look a state up and wait for it are in a list: of
** those that look for the state that is published, the wait ends.  They look
** again then, as it can be closed already, or be the second of that name.
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
#include "core/timelimit.h"
#include "core/trace.h"
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

/* For states that are to be published; their `wait` and links are guarded. */
static mts_Search *first_search MTS_GUARDED_BY(registry_mutex);

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

static mts_Status find_locked(const mts_Search *search, mts_State **found)
    MTS_REQUIRES(registry_mutex)
{
  return search->name
             ? find_open(search->name, search->length, search->hash, found)
             : find_open_id(search->id, found);
}

mts_Status mts_registry_find(const mts_Search *search, mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_locked(search, found);
  mts_mutex_unlock(&registry_mutex);
  return status;
}

static void link_search(mts_Search *search, mts_Wait *wait)
    MTS_REQUIRES(registry_mutex)
{
  search->wait = wait;
  search->previous = NULL;
  search->next = first_search;
  if (first_search)
    first_search->previous = search;
  first_search = search;
}

static void unlink_search(mts_Search *search) MTS_REQUIRES(registry_mutex)
{
  search->wait = NULL;
  if (search->next)
    search->next->previous = search->previous;
  if (search->previous)
    search->previous->next = search->next;
  else
    first_search = search->next;
}

/* Looks it up; if it is unknown, it is enlisted. */
static mts_Status find_or_enlist(mts_Search *search, mts_Wait *wait,
                                 mts_State **found)
{
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  status = find_locked(search, found);
  if (status == MTS_UNKNOWN)
    link_search(search, wait);
  mts_mutex_unlock(&registry_mutex);
  return status;
}

bool mts_registry_enlist(mts_Search *search, mts_Wait *wait)
{
  mts_State *found = NULL;
  const bool is_enlisted = find_or_enlist(search, wait, &found) == MTS_UNKNOWN;
  if (found)
    mts_state_release(found);
  return is_enlisted;
}

void mts_registry_delist(mts_Search *search)
{
  mts_mutex_lock(&registry_mutex);
  if (search->wait)
    unlink_search(search);
  mts_mutex_unlock(&registry_mutex);
}

mts_Status mts_registry_await(mts_Search *search, const mts_Patience *patience,
                              mts_State **found)
{
  mts_Status status = mts_registry_find(search, found);
  while (status == MTS_UNKNOWN) {
    mts_ThreadWait wait;
    mts_Status waited = mts_wait_begin(&wait, patience);
    if (waited != MTS_OK)
      return waited;
    status = find_or_enlist(search, &wait.wait, found);
    if (status == MTS_UNKNOWN) {
      mts_trace_begin(MTS_TRACE_STATE, NULL);
      waited = mts_wait_sleep(&wait, patience, NULL, NULL);
      mts_trace_end();
      mts_registry_delist(search);
    }
    mts_wait_end(&wait, waited);
    if (waited != MTS_OK)
      return waited == MTS_BUSY ? MTS_UNKNOWN : waited;
  }
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
  mts_timelimit_pause();
  mts_mutex_lock(&registry_mutex);
  status = find_or_wait(name, length, mts_util_hash(name, length), found);
  mts_mutex_unlock(&registry_mutex);
  mts_timelimit_resume();
  return status;
}

mts_Status mts_registry_reserve(mts_State *s, mts_State **found)
{
  mts_Status status;
  mts_timelimit_pause();
  mts_mutex_lock(&registry_mutex);
  status = find_or_wait(s->name, s->name_length, s->name_hash, found);
  if (status == MTS_UNKNOWN) {
    atomic_store(&s->registry.creator, mts_thread_id());
    s->registry.next_reserved = first_reserved;
    first_reserved = s;
  }
  mts_mutex_unlock(&registry_mutex);
  mts_timelimit_resume();
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

static bool is_found(const mts_Search *search, const mts_State *s)
{
  return search->name ? mts_statetable_has_name(s, search->name,
                                                search->length, search->hash)
                      : search->id == s->id;
}

/*
** Has those look again that wait for this state; as many as can be woken at
** once, then the caller has to repeat it.
*/
static void finish_searches(const mts_State *s, mts_Wakes *wakes)
    MTS_REQUIRES(registry_mutex)
{
  mts_Search *search = first_search;
  while (search && wakes->count < MTS_WAKES) {
    mts_Search *next = search->next;
    if (is_found(search, s)) {
      mts_Wait *wait = search->wait;
      unlink_search(search);
      (void)mts_wait_finish(wait, MTS_OK, wakes);
    }
    search = next;
  }
}

void mts_registry_publish(mts_State *s)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  mts_mutex_lock(&registry_mutex);
  s->registry.owners = 1;
  if (!mts_lockword_is_ending(atomic_load(&s->lock.word)))
    mts_statetable_add(&open_states, s);
  end_reservation(s);
  finish_searches(s, &wakes);
  mts_mutex_unlock(&registry_mutex);
  mts_wakes_wake(&wakes);
  while (wakes.count == MTS_WAKES) {
    wakes = MTS_NO_WAKES;
    mts_mutex_lock(&registry_mutex);
    finish_searches(s, &wakes);
    mts_mutex_unlock(&registry_mutex);
    mts_wakes_wake(&wakes);
  }
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

static bool is_any(const mts_State *s)
{
  (void)s;
  return true;
}

static bool is_service(const mts_State *s)
{
  return s->is_service;
}

/* Lists the open states for which is_wanted is true. */
static mts_Status list_open(bool (*is_wanted)(const mts_State *s),
                            mts_State ***states, size_t *count)
{
  mts_State **all;
  size_t i;
  mts_mutex_lock(&registry_mutex);
  *count = 0;
  *states = all = malloc((open_states.count + 1) * sizeof(*all));
  if (all) {
    mts_statetable_list(&open_states, all);
    for (i = 0; i < open_states.count; i++)
      if (is_wanted(all[i])) {
        mts_state_retain(all[i]);
        all[(*count)++] = all[i];
      }
  }
  mts_mutex_unlock(&registry_mutex);
  return all ? MTS_OK : MTS_NO_MEMORY;
}

mts_Status mts_registry_list(mts_State ***states, size_t *count)
{
  return list_open(is_any, states, count);
}

mts_Status mts_registry_list_services(mts_State ***states, size_t *count)
{
  return list_open(is_service, states, count);
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
