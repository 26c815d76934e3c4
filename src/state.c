/*
** state.c - references, nested use and closing of a state
**
** References keep the memory of a state, owners keep it open (see registry.c).
** A state is busy while a thread holds its call lock (see lock.c); only that
** thread uses s->L and s->depth.  If it enters the state again, it goes one
** level deeper without taking the lock.
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

#include "util.h"

/* ======================================================================= */
/* References                                                              */
/* ======================================================================= */

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
  if (name) {
    memcpy(s->name, name, length); /* zeros follow */
    s->has_name = true;
    s->name_length = length;
    s->name_hash = mts_util_hash(name, length);
  }
  s->id = id;
  s->depth = 1;
  mts_lock_init(&s->lock, thread);
  atomic_init(&s->registry.creator, 0);
  atomic_init(&s->interrupt.running, NULL);
  atomic_init(&s->interrupt.level, MTS_INTERRUPT_NONE);
  atomic_init(&s->interrupt.progress, MTS_INTERRUPT_REQUESTED);
  atomic_init(&s->references, 1);
  atomic_init(&s->queue, NULL);
  s->queue_limit = MTS_STATE_QUEUE_LIMIT;
  mts_state_hold(s);
  mts_self.nesting++;
  *created = s;
  return MTS_OK;
}

void mts_state_retain(mts_State *s)
{
  atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void mts_state_release(mts_State *s)
{
  if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) ==
      1) {
    if (atomic_load(&s->queue))
      mts_upcalls.state_released(s);
    mts_lock_destroy(&s->lock);
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
  if (s->has_name) {
    mts_util_quote(name, s->name, s->name_length);
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(name=%s,id=%lld)", name,
             (long long)s->id);
  }
  else
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(id=%lld)", (long long)s->id);
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

void mts_state_fail_requests(mts_State *s)
{
  if (atomic_load(&s->queue))
    mts_upcalls.state_closed(s);
}

void mts_state_end_leave(mts_State *s, mts_LockLeft left)
{
  if (left == MTS_LOCK_LEFT_CLOSED)
    mts_state_finish_close(s);
  else
    mts_upcalls.state_left(s);
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
  while ((s = mts_self.closed) != NULL) {
    mts_self.closed = s->next_closed;
    /* Closing ends interrupts. */
    atomic_store(&s->interrupt.level, MTS_INTERRUPT_NONE);
    if (s->L)
      lua_close(s->L);
    mts_state_release(s);
  }
  mts_self.closing--;
}

void mts_state_close_when_free(mts_State *s)
{
  if (mts_lock_close_deferred(&s->lock))
    mts_state_finish_close(s);
  else
    mts_state_fail_requests(s);
}
