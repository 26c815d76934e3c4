/*
** state.c - references, nested use and closing of a state
**
** References keep the memory of a state, owners keep it open (see registry.c).
** A state is busy while a thread holds its call lock (see lock.c); only that
** thread uses s->L and s->depth.  If it enters the state again, it goes one
** level deeper without taking the lock.
**
** A state with a last function, or with a thread of its own, is not closed at
** once: the thread that closes it takes the lock once more, runs the function,
** and leaves.
**
** The thread that has closed the lock of a state closes the state: from then
** on no thread is in and none gets in, and no mutex is held.  lua_close runs
** finalizers, which can close other states: each is closed at once, nested in
** that lua_close.  If closings nest as deep as calls may, or the C stack runs
** low, further states go to a list of the thread, which the level before works
** through.  So a chain of states that own each other can be of any length.
*/
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/call.h"
#include "core/interrupt.h"
#include "core/memory.h"
#include "core/registry.h"
#include "core/timelimit.h"
#include "core/trace.h"
#include "core/waitgraph.h"
#include "util.h"

/* ======================================================================= */
/* References                                                              */
/* ======================================================================= */

/* There is room for the name, and zeros. */
static void note_name(mts_State *s, const char *name, size_t length)
{
  memcpy(s->name, name, length);
  s->name_length = length;
  s->name_hash = mts_util_hash(name, length);
  atomic_store(&s->has_name, true);
}

mts_Status mts_state_new(lua_Integer id, const char *name, size_t length,
                         mts_State **created)
{
  mts_State *s;
  uintptr_t thread = mts_thread_id();
  if (mts_thread_is_too_deep(mts_self.nesting))
    return MTS_TOO_DEEP;
  s = calloc(1, sizeof(*s) + length + 1);
  if (!s)
    return MTS_NO_MEMORY;
  s->id = id;
  s->depth = 1;
  mts_lock_init(&s->lock, thread);
  atomic_init(&s->registry.creator, 0);
  atomic_init(&s->innermost, NULL);
  atomic_init(&s->usage.calls, 0);
  atomic_init(&s->usage.errors, 0);
  atomic_init(&s->usage.used, 0);
  atomic_init(&s->usage.told, 0);
  atomic_init(&s->interrupt.running, NULL);
  atomic_init(&s->interrupt.level, MTS_INTERRUPT_NONE);
  atomic_init(&s->interrupt.progress, MTS_INTERRUPT_REQUESTED);
  atomic_init(&s->interrupt.is_at_hooks, false);
  atomic_init(&s->interrupt.task, NULL);
  atomic_init(&s->references, 1);
  atomic_init(&s->has_ended, false);
  atomic_init(&s->trace, 0);
  atomic_init(&s->has_name, false);
  atomic_init(&s->is_here, false);
  mts_heap_init(&s->heap);
  s->name = s->space;
  if (name)
    note_name(s, name, length);
  atomic_init(&s->queue, NULL);
  atomic_init(&s->own_thread, 0);
  atomic_init(&s->has_last, false);
  s->last_ref = LUA_NOREF;
  mts_state_hold(s);
  mts_usage_begin(&s->usage);
  mts_self.nesting++;
  *created = s;
  return MTS_OK;
}

mts_Status mts_state_set_name(mts_State *s, const char *name, size_t length)
{
  char *room = calloc(length + 1, 1);
  if (!room)
    return MTS_NO_MEMORY;
  s->name = room;
  note_name(s, name, length);
  return MTS_OK;
}

void mts_state_retain(mts_State *s)
{
  atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

bool mts_state_try_retain(mts_State *s)
{
  size_t count = atomic_load(&s->references);
  while (count > 0)
    if (atomic_compare_exchange_weak(&s->references, &count, count + 1))
      return true;
  return false;
}

void mts_state_release(mts_State *s)
{
  if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) ==
      1) {
    mts_waitgraph_settle();
    if (atomic_load(&s->queue))
      mts_upcalls.state_released(s);
    mts_lock_destroy(&s->lock);
    if (s->name != s->space)
      free(s->name);
    free(s->time_limit);
    free(s);
  }
}

void mts_state_unhold_other(mts_State *s)
{
  mts_State *inner = atomic_load(&mts_self.held);
  while (inner->outer_held != s)
    inner = inner->outer_held;
  inner->outer_held = s->outer_held;
}

void mts_state_describe(const mts_State *s, char text[MTS_DESCRIPTION_SIZE])
{
  char name[MTS_QUOTED_SIZE];
  if (!s)
    snprintf(text, MTS_DESCRIPTION_SIZE, "promise");
  else if (s->is_host && !atomic_load(&s->is_here))
    snprintf(text, MTS_DESCRIPTION_SIZE, "host program");
  else if (atomic_load(&s->has_name)) {
    mts_util_quote(name, s->name, s->name_length);
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(name=%s,id=%lld)", name,
             (long long)s->id);
  }
  else
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(id=%lld)", (long long)s->id);
}

/* ======================================================================= */
/* Enter and leave                                                         */
/* ======================================================================= */

mts_Status mts_state_enter_first(mts_State *s, double timeout)
{
  mts_Status status;
  if (mts_thread_is_too_deep(mts_self.nesting))
    return MTS_TOO_DEEP;
  status = mts_lock_enter(&s->lock, mts_thread_id(), timeout);
  if (status == MTS_OK) {
    mts_state_hold(s);
    mts_usage_begin(&s->usage);
    s->depth++;
    mts_self.nesting++;
  }
  return status;
}

bool mts_state_park(mts_State *s)
{
  mts_usage_end(&s->usage);
  mts_state_unhold(s);
  if (!mts_lock_pass(&s->lock, mts_thread_id(), mts_lock_parker(&s->lock))) {
    mts_state_hold(s);
    return false;
  }
  mts_self.nesting--;
  return true;
}

bool mts_state_unpark(mts_State *s)
{
  if (!mts_lock_pass(&s->lock, mts_lock_parker(&s->lock), mts_thread_id()))
    return false;
  mts_state_hold(s);
  mts_usage_begin(&s->usage);
  mts_self.nesting++;
  return true;
}

/* The hook may have spared the nested call (see hook.c). */
void mts_state_leave_nested(mts_State *s)
{
  mts_interrupt_check(s);
}

void mts_state_note_memory(mts_State *s, lua_State *L)
{
  mts_heap_note(&s->heap, 1024 * (size_t)lua_gc(L, LUA_GCCOUNT, 0) +
                              (size_t)lua_gc(L, LUA_GCCOUNTB, 0));
}

void mts_state_end_leave(mts_State *s, mts_LockLeft left)
{
  switch (left) {
  case MTS_LOCK_LEFT:
    break;
  case MTS_LOCK_LEFT_REQUESTED:
    mts_upcalls.state_left(s);
    break;
  case MTS_LOCK_LEFT_CLOSED:
    mts_state_finish_close(s);
    break;
  case MTS_LOCK_KEPT:
    mts_state_close_taken(s);
    break;
  }
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

void mts_state_fail_requests(mts_State *s)
{
  if (atomic_load(&s->queue))
    mts_upcalls.state_closed(s);
}

void mts_state_keep_for_closing(mts_State *s)
{
  atomic_store(&s->has_last, true);
  mts_lock_keep_for_closing(&s->lock);
}

uintptr_t mts_state_closer(const mts_State *s)
{
  uintptr_t own = atomic_load(&s->own_thread);
  if (s->is_host)
    return mts_lock_parker(&s->lock);
  if (own == 0 && s->team && mts_upcalls.has_workers())
    return mts_lock_parker(&s->lock);
  if (own == 0 || own == MTS_STATE_POOL || !mts_upcalls.has_own_threads())
    return mts_thread_id();
  while (own == MTS_STATE_STARTING) { /* not for long */
    mts_clock_pause();
    own = atomic_load(&s->own_thread);
  }
  return own;
}

void mts_state_follow_close(mts_State *s, mts_LockClose close,
                            uintptr_t closer)
{
  switch (close) {
  case MTS_LOCK_CLOSED:
    mts_state_finish_close(s);
    break;
  case MTS_LOCK_TAKEN:
    if (closer == mts_thread_id())
      mts_state_close_taken(s);
    else
      mts_state_fail_requests(s); /* and wakes that thread */
    break;
  case MTS_LOCK_DEFERRED:
    mts_state_fail_requests(s);
    mts_interrupt_finish_wait(s);
    break;
  case MTS_LOCK_WAS_CLOSED:
  case MTS_LOCK_IN_USE:
    break;
  }
}

void mts_state_close_when_free(mts_State *s)
{
  const uintptr_t closer = mts_state_closer(s);
  mts_state_follow_close(s, mts_lock_close_deferred(&s->lock, closer), closer);
}

void mts_state_close_taken(mts_State *s)
{
  mts_registry_withdraw(s);
  mts_state_fail_requests(s);
  mts_state_hold(s);
  s->depth = 1;
  mts_self.nesting++;
  (void)mts_interrupt_request(s, MTS_INTERRUPT_NONE); /* that was before */
  if (atomic_load(&s->queue))
    mts_upcalls.close_tasks(s);
  mts_call_last(s);
  mts_self.nesting--;
  s->depth = 0;
  mts_state_unhold(s);
  (void)mts_lock_leave(&s->lock, mts_thread_id()); /* which closes it now */
  mts_state_finish_close(s);
}

void mts_state_finish_close(mts_State *s)
{
  (void)mts_thread_id(); /* can be the first use of a state in this thread */
  mts_state_fail_requests(s);
  mts_state_retain(s);
  s->next_closed = mts_self.closed;
  mts_self.closed = s;
  if (mts_thread_is_too_deep(mts_self.closing))
    return;
  mts_self.closing++;
  mts_timelimit_pause(); /* of the code that closes it */
  while ((s = mts_self.closed) != NULL) {
    mts_self.closed = s->next_closed;
    mts_timelimit_end(s);
    /* Closing ends interrupts. */
    atomic_store(&s->interrupt.level, MTS_INTERRUPT_NONE);
    mts_trace_begin(MTS_TRACE_CLOSE, s);
    mts_memory_begin_close(s);
    if (s->L && !s->is_host)
      lua_close(s->L);
    mts_heap_close(&s->heap);
    mts_trace_end();
    atomic_store(&s->has_ended, true); /* a queue can be made meanwhile */
    if (atomic_load(&s->queue))
      mts_upcalls.state_ended(s);
    mts_state_release(s);
  }
  mts_timelimit_resume();
  mts_self.closing--;
}
