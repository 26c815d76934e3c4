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
** the table.
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

#include "core/statetable.h"
#include "core/waitgraph.h"
#include "util.h"

/* The first id: not to be mistaken for a count or an index. */
#define FIRST_ID (MTS_EXACT_BITS > 24 ? 100000001 : 1000001)

static mts_Mutex registry_mutex = MTS_MUTEX_INIT;
static mts_Cond reservation_ended = MTS_COND_INIT;

static mts_StateTable open_states MTS_GUARDED_BY(registry_mutex) =
    MTS_STATETABLE_INIT(open_states);
static mts_State *first_reserved MTS_GUARDED_BY(registry_mutex);

/* Of threads that wait for a state to be published; made by the first. */
static unsigned publication_waits MTS_GUARDED_BY(registry_mutex);
static bool has_publication MTS_GUARDED_BY(registry_mutex);
static mts_Cond publication;

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

/*
** Sleeps until a state may have been published.
** Returns: MTS_OK; MTS_BUSY if the deadline has passed; MTS_NO_MEMORY.
*/
static mts_Status wait_for_publication(double deadline)
    MTS_REQUIRES(registry_mutex)
{
  bool is_in_time;
  if (!mts_thread_begin_wait())
    return MTS_NO_MEMORY;
  if (!has_publication) {
    mts_cond_init(&publication);
    has_publication = true;
  }
  publication_waits++;
  is_in_time = mts_cond_wait_until(&publication, &registry_mutex, deadline);
  publication_waits--;
  mts_thread_end_wait();
  return is_in_time ? MTS_OK : MTS_BUSY;
}

/*
** Whether to look again: true each time that a state has been published until
** the deadline, and once more afterwards.  *wait: MTS_OK at first.
*/
static bool may_be_published(double deadline, mts_Status *wait)
    MTS_REQUIRES(registry_mutex)
{
  if (deadline <= 0 || *wait != MTS_OK)
    return false;
  *wait = wait_for_publication(deadline);
  return true;
}

mts_Status mts_registry_find_id(lua_Integer id, double deadline,
                                mts_State **found)
{
  mts_Status wait = MTS_OK;
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  do {
    status = find_open_id(id, found);
  } while (status == MTS_UNKNOWN && may_be_published(deadline, &wait));
  mts_mutex_unlock(&registry_mutex);
  return status == MTS_UNKNOWN && wait == MTS_NO_MEMORY ? wait : status;
}

mts_Status mts_registry_find_name(const char *name, size_t length,
                                  double deadline, mts_State **found)
{
  const size_t hash = mts_util_hash(name, length);
  mts_Status wait = MTS_OK;
  mts_Status status;
  mts_mutex_lock(&registry_mutex);
  do {
    status = find_open(name, length, hash, found);
  } while (status == MTS_UNKNOWN && may_be_published(deadline, &wait));
  mts_mutex_unlock(&registry_mutex);
  return status == MTS_UNKNOWN && wait == MTS_NO_MEMORY ? wait : status;
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
  mts_Wait wait;
  if (!mts_waitgraph_add(&wait, mts_thread_id(), &reserved->registry.creator))
    return MTS_DEADLOCK;
  if (!mts_thread_begin_wait()) {
    mts_waitgraph_remove(&wait);
    return MTS_NO_MEMORY;
  }
  mts_state_retain(reserved);
  mts_cond_wait(&reservation_ended, &registry_mutex);
  mts_waitgraph_remove(&wait);
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

void mts_registry_publish(mts_State *s)
{
  mts_mutex_lock(&registry_mutex);
  s->registry.owners = 1;
  mts_statetable_add(&open_states, s);
  end_reservation(s);
  if (publication_waits > 0)
    mts_cond_broadcast(&publication);
  mts_mutex_unlock(&registry_mutex);
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
  bool closes;
  mts_mutex_lock(&registry_mutex);
  closes = --s->registry.owners == 0 && is_idle(s);
  if (closes)
    mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
  if (closes)
    mts_state_close_when_free(s);
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

mts_Status mts_registry_close(mts_State *s)
{
  mts_Status status;
  bool is_deferred;
  mts_mutex_lock(&registry_mutex);
  status = mts_lock_close(&s->lock, &is_deferred);
  if (status == MTS_OK)
    mts_statetable_remove(&open_states, s);
  mts_mutex_unlock(&registry_mutex);
  if (is_deferred)
    mts_state_fail_requests(s);
  else if (status == MTS_OK)
    mts_state_finish_close(s);
  return status == MTS_BUSY ? MTS_BUSY : MTS_OK;
}
