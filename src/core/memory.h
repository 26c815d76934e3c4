/*
** memory.h - a state near the limit of its memory
*/
#ifndef MTS_MEMORY_H
#define MTS_MEMORY_H

#include "base/compiler.h"

#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Opens the Lua state of s; has_memory_limit is set already.
** Returns: NULL if there is no memory.
*/
lua_State *mts_memory_open(mts_State *s);

/*
** Sets the limit, which can be MTS_HEAP_NO_LIMIT.  To be called when all that
** is the module's is in the state, and before the setup runs.
** Returns: false if more is in use.
** Stack of s->L: [-0, +0, -]
*/
bool mts_memory_limit(mts_State *s, size_t limit);

/*
** To be called before the Lua state is closed: in 5.2 and 5.3 Lua crashes if
** there is no memory for its stack then, so these have no limit any more.
*/
void mts_memory_begin_close(mts_State *s);

/* Parts of what follows. */
void mts_memory_collect(mts_State *s, lua_State *L);
void mts_memory_make_room(mts_State *s);
void mts_memory_make_room_for_others(mts_State *s);

/*
** To be called when code of s has ended: leaves room for what is sent to s.
** Stack of s->L: [-0, +0, -]
*/
static inline void mts_memory_settle(mts_State *s)
{
  if (s->heap.limit != MTS_HEAP_NO_LIMIT)
    mts_memory_make_room(s);
}

/* The same when s is entered: collects if a sender has found no room. */
static inline void mts_memory_answer(mts_State *s)
{
  if (s->heap.limit != MTS_HEAP_NO_LIMIT &&
      atomic_exchange(&s->heap.wants_room, false))
    mts_memory_make_room_for_others(s);
}

/*
** To be called in the hook of interrupts: collects if the allocator wants it.
** Errors: before 5.4, of finalizers.
** Stack: [-0, +0, e]
*/
static inline void mts_memory_check(mts_State *s, lua_State *L)
{
  if (s->wants_collection)
    mts_memory_collect(s, L);
}

MTS_END_HIDDEN

#endif
