/*
** memory.c - a state near the limit of its memory
**
** Garbage counts.  From 5.2 on Lua collects it before an allocation fails, but
** not what has finalizers, which run later.  Lua 5.1 and LuaJIT do not, nor
** may an allocator collect.  And what others send to the state fails at once.
** So garbage is collected when the limit is near:
**
** 1. Of code that runs, by the hook of interrupts, which the allocator sets.
**    It acts at the next operation, unless there is a hook of users.
** 2. In 5.1 and LuaJIT the allocator makes the collection due, and has it done
**    in one step, at the next of the points where Lua looks whether it is,
**    which are in C libraries, too; for this it only stores numbers.  The
**    collector gets its step back in the end.  The hook is set when a block
**    was refused only.  Code that catches the error would fail again
**    otherwise, since most operations allocate first and look then.  A reserve
**    is for the stack of the hook.
** 3. When code has ended.
**
** Takes no locks: the calling thread holds the state.
*/
#include "core/memory.h"

#include <stddef.h>

#include "core/hook.h"
#include "luaapi/interpreter.h"
#include "luaapi/protect.h"

/*
** A reserve for need: 8 KB, or less if the limit is low.  Once it was needed
** it is at hand until much has been given back: garbage that a stale slot of
** the stack names is only collected when code has gone on.
*/
static void keep_reserve(mts_Heap *heap)
{
  size_t usual;
  if (MTS_COLLECTS_IN_NEED)
    return;
  usual = heap->limit / 32;
  if (usual > 8192)
    usual = 8192;
  if (mts_heap_allows(heap, mts_heap_used(heap) + 4 * usual))
    heap->reserve = usual;
}

#if MTS_COLLECTS_IN_NEED

static void make_collection_due(mts_State *s, lua_State *L)
{
  (void)s;
  (void)L;
}

static void give_step_back(mts_State *s, lua_State *L)
{
  (void)s;
  (void)L;
}

#else

static void make_collection_due(mts_State *s, lua_State *L)
{
  const int multiplier = lua_gc(L, LUA_GCSETSTEPMUL, 0);
  if (multiplier > 0)
    s->step_multiplier = multiplier;
  lua_gc(L, LUA_GCRESTART, 0);
}

static void give_step_back(mts_State *s, lua_State *L)
{
  if (s->step_multiplier > 0)
    lua_gc(L, LUA_GCSETSTEPMUL, s->step_multiplier);
  s->step_multiplier = 0;
}

#endif

/*
** What has a finalizer is there until the collection after the one that runs
** that.
*/
void mts_memory_collect(mts_State *s, lua_State *L)
{
  mts_Heap *heap = &s->heap;
  s->wants_collection = false;
  lua_gc(L, LUA_GCCOLLECT, 0);
  if (mts_heap_used(heap) > heap->limit / 2)
    lua_gc(L, LUA_GCCOLLECT, 0);
  give_step_back(s, L);
  mts_heap_begin_anew(heap);
  keep_reserve(heap);
}

static int collect_all(lua_State *L, void *data)
{
  mts_memory_collect(data, L);
  return 0;
}

/*
** Nested calls leave that to the outermost one.  Errors of finalizers, before
** 5.4, are lost.
*/
void mts_memory_make_room(mts_State *s)
{
  lua_State *L = s->L;
  if (s->depth > 1)
    return;
  s->may_have_garbage =
      !s->wants_collection &&
      !mts_heap_is_near_limit(&s->heap, mts_heap_used(&s->heap));
  if (s->may_have_garbage)
    return;
  mts_protect_push(L);
  if (mts_protect(L, collect_all, s, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* Not again if nothing has run since the last time. */
void mts_memory_make_room_for_others(mts_State *s)
{
  s->wants_collection |= s->may_have_garbage;
  if (s->wants_collection)
    mts_memory_make_room(s);
}

/* Called by the allocator. */
static void press_collector(mts_Heap *heap, bool is_refused)
{
  mts_State *s = (mts_State *)((char *)heap - offsetof(mts_State, heap));
  make_collection_due(s, atomic_load(&s->interrupt.running));
  keep_reserve(heap);
  if (is_refused)
    heap->reserve = 0;
  s->wants_collection = true;
  if (MTS_COLLECTS_IN_NEED || is_refused)
    mts_hook_set_everywhere(s);
}

lua_State *mts_memory_open(mts_State *s)
{
  const bool has_limit = s->has_memory_limit;
  if (MTS_HAS_FAST_ALLOCATOR && !has_limit)
    return luaL_newstate();
  if (!mts_heap_open(&s->heap))
    return NULL;
  return mts_interpreter_open(mts_heap_function(&s->heap, has_limit),
                              &s->heap);
}

/*
** The limit holds from here on only: LuaJIT crashes if it gets a part of the
** memory for a new state, and 5.1 closes stdout if it gets a part of that for
** the library io.
*/
bool mts_memory_limit(mts_State *s, size_t limit)
{
  mts_Heap *heap = &s->heap;
  if (limit == MTS_HEAP_NO_LIMIT)
    return true;
  if (mts_heap_used(heap) > limit)
    lua_gc(s->L, LUA_GCCOLLECT, 0); /* there are no finalizers of users */
  heap->limit = limit;
  heap->near_limit = press_collector;
  mts_heap_begin_anew(heap);
  keep_reserve(heap);
  return mts_heap_used(heap) <= limit;
}

void mts_memory_begin_close(mts_State *s)
{
  if (MTS_CLOSING_NEEDS_MEMORY)
    mts_heap_end_limit(&s->heap);
}
