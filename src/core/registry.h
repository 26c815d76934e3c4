/*
** registry.h - the open states of the process, their owners, singletons
**
** Locks: all functions but the first take the mutex of the registry; none may
** be called with the mutex of a state held.
*/
#ifndef MTS_REGISTRY_H
#define MTS_REGISTRY_H

#include "base/compiler.h"

#include "core/wait.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** A new state with an id of its own; see mts_state_new.
** Returns: MTS_OK, MTS_TOO_DEEP, MTS_NO_MEMORY.
*/
mts_Status mts_registry_new_state(const char *name, size_t length,
                                  mts_State **created);

/* What is looked up; while it is enlisted, also whose wait that ends. */
typedef struct mts_Search {
  const char *name; /* NULL: the id */
  size_t length;
  size_t hash; /* mts_util_hash of the name */
  lua_Integer id;
  mts_Wait *wait; /* NULL: it is not enlisted */
  struct mts_Search *next, *previous;
} mts_Search;

/*
** The open state with that id or name.
** Owns: with MTS_OK, *found is a reference; otherwise it is NULL.
** Returns: MTS_OK, MTS_UNKNOWN, MTS_AMBIGUOUS.
*/
mts_Status mts_registry_find(const mts_Search *search, mts_State **found);

/*
** The same; if there is none, the thread waits for one.
** Returns: that, and what mts_wait_begin and mts_wait_sleep return, but
** MTS_BUSY.
*/
mts_Status mts_registry_await(mts_Search *search, const mts_Patience *patience,
                              mts_State **found);

/*
** The wait is finished with MTS_OK when such a state is published, or
** mts_registry_delist ends that; which may be called in any case.  What is
** enlisted must stay where it is.
** Returns: false if there is one: nothing has changed.
*/
bool mts_registry_enlist(mts_Search *search, mts_Wait *wait);
void mts_registry_delist(mts_Search *search);

/*
** The open state with that name, with one more owner.  Waits while another
** thread creates it.
** Owns: with MTS_OK, *found is a reference.
** Returns: MTS_OK, MTS_UNKNOWN, MTS_AMBIGUOUS, MTS_DEADLOCK; MTS_NO_MEMORY if
** no other thread can take the place of a worker that waits.
*/
mts_Status mts_registry_find_singleton(const char *name, size_t length,
                                       mts_State **found);

/*
** The same for a caller that is ready to create it: s is the new state with
** that name.  With MTS_UNKNOWN the name is reserved for s until
** mts_registry_publish or mts_registry_give_up.
*/
mts_Status mts_registry_reserve(mts_State *s, mts_State **found);

/*
** The setup of s has finished: it is open and has one owner.  But it is not
** found if it is a member of a pool, or that, and has been closed already.
*/
void mts_registry_publish(mts_State *s);

/* The setup of s has failed: its name, if reserved, is free for others. */
void mts_registry_give_up(mts_State *s);

/*
** One owner more, while the state is open: not once it is closed, or has lost
** its last owner and is closed when the call in progress returns.
** Owns: the caller keeps a reference; mts_registry_drop_owner gives the owner
** back.
** Returns: MTS_OK, MTS_CLOSED.
*/
mts_Status mts_registry_add_owner(mts_State *s);

/*
** How many owners the state has.
** Returns: MTS_OK, MTS_CLOSED (also: is not found any more).
*/
mts_Status mts_registry_count_owners(const mts_State *s, size_t *owners);

/*
** One owner less.  Without owners the state is closed, now or as soon as the
** call in progress returns; if it has requests, when these are done.
** Locks: no mutex may be held.
*/
void mts_registry_drop_owner(mts_State *s);

/*
** The requests of s, which has lost its owners, are done: closes the state,
** unless there is an owner again, or another request.
** Owns: the caller has a reference.
** Locks: no mutex may be held.
*/
void mts_registry_close_unowned(mts_State *s);

/*
** Lists the open states, or those of them that are services, in no order.
** Owns: *states, to be freed, with a reference to each of them.
** Returns: MTS_OK, MTS_NO_MEMORY.
*/
mts_Status mts_registry_list(mts_State ***states, size_t *count);
mts_Status mts_registry_list_services(mts_State ***states, size_t *count);

/* The state is not found any more. */
void mts_registry_withdraw(mts_State *s);

/*
** Closes the state, which is not found any more; or has that done by the
** thread that holds it for requests, or that is its own.
** Locks: no mutex may be held.
** Returns: what mts_lock_close has returned.
*/
mts_LockClose mts_registry_close(mts_State *s);

MTS_END_HIDDEN

#endif
