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
**    in one step, at the next of the points where Lua looks whether it is: for
**    this it only stores numbers, and there are such points in compiled code,
**    too.  The collector gets its step back in the end.  The hook is set when
**    a block was refused only.  Code that catches the error would fail again
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
** A reserve for need: 8 KB, or less if the limit is low.  Once it was needed it
** is at hand until much has been given back: garbage that a stale slot of the
** stack names is only collected when code has gone on.
*/
static void keep_reserve(mts_Heap *heap)
{
  const size_t part = heap->limit / 32;
  const size_t usual = part < 8192 ? part : 8192;
  if (!MTS_COLLECTS_IN_NEED &&
      mts_heap_allows(heap, mts_heap_used(heap) + 4 * usual))
    heap->reserve = usual;
}

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
  if (s->step_multiplier > 0)
    lua_gc(L, LUA_GCSETSTEPMUL, s->step_multiplier);
  s->step_multiplier = 0;
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
  if (s->depth > 1 ||
      !mts_heap_is_near_limit(&s->heap, mts_heap_used(&s->heap)))
    return;
  mts_protect_push(L);
  if (mts_protect(L, collect_all, s, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

#if MTS_COLLECTS_IN_NEED

static void make_collection_due(mts_State *s, lua_State *L)
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

#endif

/* Called by the allocator. */
static void press_collector(mts_Heap *heap, bool is_refused)
{
  mts_State *s = (mts_State *)((char *)heap - offsetof(mts_State, heap));
  lua_State *L = atomic_load(&s->interrupt.running);
  if (!L) /* not open yet */
    return;
  make_collection_due(s, L);
  keep_reserve(heap);
  if (is_refused)
    heap->reserve = 0;
  if (MTS_COLLECTS_IN_NEED || is_refused) {
    s->wants_collection = true;
    mts_hook_set_everywhere(s);
  }
}

bool mts_memory_open(mts_State *s, size_t limit)
{
  const bool is_limited = limit != MTS_HEAP_NO_LIMIT;
  if (!mts_interpreter_takes_allocator() ||
      (!is_limited && MTS_HAS_FAST_ALLOCATOR))
    return true;
  if (!mts_heap_open(&s->heap, limit))
    return false;
  s->heap.near_limit = press_collector;
  keep_reserve(&s->heap);
  return true;
}
