/*
** memory.h - a state near the limit of its memory
*/
#ifndef MTS_MEMORY_H
#define MTS_MEMORY_H

#include "base/compiler.h"

#include "state.h"

MTS_BEGIN_HIDDEN

/*
** Opens the heap of a new state, whose Lua state is not open yet, if it is to
** have one.  limit: none, if the interpreter does not take an allocator.
** Returns: false if there is no memory.
*/
bool mts_memory_open(mts_State *s, size_t limit);

/* Parts of what follows. */
void mts_memory_collect(mts_State *s, lua_State *L);
void mts_memory_make_room(mts_State *s);

/*
** To be called when code of s has ended: leaves room for what is sent to s.
** Stack of s->L: [-0, +0, -]
*/
static inline void mts_memory_settle(mts_State *s)
{
  if (s->heap.limit != MTS_HEAP_NO_LIMIT)
    mts_memory_make_room(s);
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
