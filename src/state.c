/*
** state.c - references, call lock and closing of a state
**
** The call lock is one word: 0, or the thread that holds the state, plus
** flags.  Getting in and out without competition is one compare-and-swap
** each.  Everything else happens under s->mutex, which no thread holds while
** it runs Lua code:
**
** 1. A thread that does not get in sets QUEUED, so that the holder's swap
**    back to 0 fails and it comes to the mutex too, joins the queue and
**    sleeps on a condition of its own.
** 2. Who leaves with QUEUED set frees the word and wakes the first in the
**    queue, which keeps its place until it gets in: a running thread may get
**    in before it (that is much cheaper than a change of threads for each
**    call).  But one that has waited long is given the state directly: the
**    word passes from thread to thread without being free in between.
** 3. QUEUED is set exactly while the queue is not empty, and changed only
**    under the mutex.  So no wake-up is lost: a thread that has joined the
**    queue and set QUEUED tries once more.  Either it gets in, or there is a
**    holder, and that one cannot leave any more without taking the mutex,
**    which is not free before the thread sleeps.  Who is woken and gives up
**    because of its deadline tries a last time, too.
** 4. DOOMED is set by who wants to close a state that is in use.  All who
**    wait are sent away, and who leaves closes it.
** 5. CLOSED ends it all; the word never changes again.  The mutex is taken to
**    set it, so whoever finds the word without CLOSED under the mutex can
**    rely on s->L until the mutex is released.
**
** lua_close runs finalizers, and those can drop the last owner of the next
** state: a thread that is already closing a state only puts further ones on
** a list, and the outermost one works through it.
*/
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "waitgraph.h"

/* Who has waited this long (seconds) is served before running threads. */
#define PATIENCE 1e-3

/* Tries to get in before a thread goes to sleep. */
#define SPINS 50

/* As deep as Lua lets its own C calls nest. */
#define MAX_NESTING 200

struct mts_Waiter {
  uintptr_t thread;
  double since;
  bool is_granted; /* the word names this thread already */
  bool is_woken;   /* since it last tried */
  mts_Cond wake_up;
  mts_Waiter *next, *previous;
};

/* Of each thread; its address is what identifies the thread. */
static _Thread_local struct {
  unsigned nesting; /* states that the thread is in */
  bool is_closing;
  mts_State *closed; /* list: to be closed by this thread */
} self;

_Static_assert(_Alignof(mts_State *) > MTS_WORD_FLAGS,
               "no room for flags in the address of a thread");

uintptr_t mts_state_thread(void)
{
  return (uintptr_t)&self;
}

static bool is_held_by(uintptr_t word, uintptr_t thread)
{
  return (word & ~MTS_WORD_FLAGS) == thread;
}

/* ======================================================================= */
/* References                                                              */
/* ======================================================================= */

mts_Status mts_state_new(lua_Integer id, const char *name, size_t length,
                         mts_State **created)
{
  mts_State *s;
  if (self.nesting >= MAX_NESTING)
    return MTS_TOO_DEEP;
  s = (mts_State *)calloc(1, sizeof(*s));
  if (!s)
    return MTS_NO_MEMORY;
  if (name) {
    s->name = (char *)malloc(length + 1);
    if (!s->name) {
      free(s);
      return MTS_NO_MEMORY;
    }
    memcpy(s->name, name, length);
    s->name[length] = '\0';
    s->name_length = length;
    s->name_hash = mts_util_hash(name, length);
  }
  s->id = id;
  s->depth = 1;
  atomic_init(&s->word, mts_state_thread());
  atomic_init(&s->creator, 0);
  atomic_init(&s->running, NULL);
  atomic_init(&s->interrupt, MTS_INTERRUPT_NONE);
  atomic_init(&s->references, 1);
  mts_mutex_init(&s->mutex);
  self.nesting++;
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
    mts_mutex_destroy(&s->mutex);
    free(s->name);
    free(s);
  }
}

void mts_state_describe(const mts_State *s, char text[MTS_DESCRIPTION_SIZE])
{
  char name[MTS_QUOTED_SIZE];
  if (s->name) {
    mts_util_quote(name, s->name, s->name_length);
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(name=%s,id=%lld)", name,
             (long long)s->id);
  }
  else
    snprintf(text, MTS_DESCRIPTION_SIZE, "state(id=%lld)", (long long)s->id);
}

/* ======================================================================= */
/* The queue                                                               */
/* ======================================================================= */

static void join_queue(mts_State *s, mts_Waiter *waiter) MTS_REQUIRES(s->mutex)
{
  waiter->next = NULL;
  waiter->previous = s->last_waiter;
  if (s->last_waiter)
    s->last_waiter->next = waiter;
  else
    s->first_waiter = waiter;
  s->last_waiter = waiter;
  atomic_fetch_or(&s->word, MTS_WORD_QUEUED);
}

static void quit_queue(mts_State *s, mts_Waiter *waiter) MTS_REQUIRES(s->mutex)
{
  if (waiter->next)
    waiter->next->previous = waiter->previous;
  else
    s->last_waiter = waiter->previous;
  if (waiter->previous)
    waiter->previous->next = waiter->next;
  else
    s->first_waiter = waiter->next;
  if (!s->first_waiter)
    atomic_fetch_and(&s->word, ~MTS_WORD_QUEUED);
}

static void wake(mts_Waiter *waiter)
{
  if (!waiter->is_woken) {
    waiter->is_woken = true;
    mts_cond_signal(&waiter->wake_up);
  }
}

static void wake_all(mts_State *s) MTS_REQUIRES(s->mutex)
{
  mts_Waiter *waiter;
  for (waiter = s->first_waiter; waiter; waiter = waiter->next)
    wake(waiter);
}

/*
** Passes the state on, or frees it, for the thread that leaves it.
*/
static void serve_queue(mts_State *s) MTS_REQUIRES(s->mutex)
{
  mts_Waiter *first = s->first_waiter;
  if (first && mts_clock_now() - first->since > PATIENCE) {
    atomic_store(&s->word, first->thread | MTS_WORD_QUEUED);
    quit_queue(s, first);
    first->is_granted = true;
    mts_cond_signal(&first->wake_up);
  }
  else {
    atomic_store(&s->word, first ? MTS_WORD_QUEUED : 0);
    if (first)
      wake(first);
  }
}

/* ======================================================================= */
/* Enter and leave                                                         */
/* ======================================================================= */

/*
** One try to get in.  MTS_BUSY: somebody else holds the state.
*/
static mts_Status try_to_enter(mts_State *s, uintptr_t thread)
{
  uintptr_t word = atomic_load(&s->word);
  for (;;) {
    if (word & (MTS_WORD_CLOSED | MTS_WORD_DOOMED))
      return MTS_CLOSED;
    if (!is_held_by(word, 0))
      return MTS_BUSY;
    if (atomic_compare_exchange_weak(&s->word, &word, word | thread))
      return MTS_OK;
  }
}

/*
** Sleeps in the queue until the state is free for this thread, is closed, or
** the deadline has passed.
*/
static mts_Status wait_until_free(mts_State *s, uintptr_t thread,
                                  double deadline) MTS_REQUIRES(s->mutex)
{
  mts_Status status;
  mts_Waiter waiter = {.thread = thread, .since = mts_clock_now()};
  bool is_in_time = true;
  mts_cond_init(&waiter.wake_up);
  join_queue(s, &waiter);
  for (;;) {
    status = waiter.is_granted ? MTS_OK : try_to_enter(s, thread);
    if (status != MTS_BUSY || !is_in_time)
      break;
    waiter.is_woken = false;
    is_in_time = mts_cond_wait_until(&waiter.wake_up, &s->mutex, deadline);
  }
  if (!waiter.is_granted)
    quit_queue(s, &waiter);
  mts_cond_destroy(&waiter.wake_up);
  return status;
}

/*
** Waits for a state that another thread holds.
*/
static mts_Status wait_to_enter(mts_State *s, uintptr_t thread, double timeout)
{
  double deadline = mts_clock_deadline(timeout);
  mts_Status status;
  mts_Wait wait;
  mts_mutex_lock(&s->mutex);
  if (deadline != MTS_FOREVER)
    status = wait_until_free(s, thread, deadline);
  else if (mts_waitgraph_add(&wait, &s->word)) {
    status = wait_until_free(s, thread, deadline);
    mts_waitgraph_remove(&wait);
  }
  else
    status = MTS_DEADLOCK;
  mts_mutex_unlock(&s->mutex);
  return status;
}

/*
** The slow path of mts_state_enter: the word was not 0.
*/
static mts_Status enter_slowly(mts_State *s, uintptr_t thread, double timeout)
{
  mts_Status status = try_to_enter(s, thread);
  int spins;
  if (timeout <= 0)
    return status;
  for (spins = 0; status == MTS_BUSY && spins < SPINS; spins++) {
    mts_spin_pause();
    status = try_to_enter(s, thread);
  }
  return status == MTS_BUSY ? wait_to_enter(s, thread, timeout) : status;
}

mts_Status mts_state_enter(mts_State *s, double timeout)
{
  uintptr_t thread = mts_state_thread();
  uintptr_t word = 0;
  if (self.nesting >= MAX_NESTING)
    return MTS_TOO_DEEP;
  if (!atomic_compare_exchange_strong(&s->word, &word, thread) &&
      !is_held_by(word, thread)) {
    mts_Status status = enter_slowly(s, thread, timeout);
    if (status != MTS_OK)
      return status;
  }
  s->depth++;
  self.nesting++;
  return MTS_OK;
}

void mts_state_leave(mts_State *s)
{
  uintptr_t word = mts_state_thread();
  self.nesting--;
  if (--s->depth > 0)
    return;
  if (!atomic_compare_exchange_strong(&s->word, &word, 0)) {
    bool is_doomed;
    mts_mutex_lock(&s->mutex);
    is_doomed = (atomic_load(&s->word) & MTS_WORD_DOOMED) != 0;
    if (!is_doomed)
      serve_queue(s);
    mts_mutex_unlock(&s->mutex);
    if (is_doomed)
      mts_state_finish_close(s);
  }
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

mts_Status mts_state_begin_close(mts_State *s)
{
  uintptr_t word = atomic_load(&s->word);
  if (word & MTS_WORD_CLOSED)
    return MTS_CLOSED;
  return try_to_enter(s, mts_state_thread()) == MTS_OK ? MTS_OK : MTS_BUSY;
}

void mts_state_finish_close(mts_State *s)
{
  mts_mutex_lock(&s->mutex);
  atomic_store(&s->word,
               MTS_WORD_CLOSED | (s->first_waiter ? MTS_WORD_QUEUED : 0));
  wake_all(s);
  mts_mutex_unlock(&s->mutex);

  mts_state_retain(s);
  s->next_closed = self.closed;
  self.closed = s;
  if (self.is_closing)
    return;
  self.is_closing = true;
  while ((s = self.closed) != NULL) {
    self.closed = s->next_closed;
    if (s->L)
      lua_close(s->L);
    mts_state_release(s);
  }
  self.is_closing = false;
}

void mts_state_close_when_free(mts_State *s)
{
  uintptr_t thread = mts_state_thread();
  uintptr_t word = atomic_load(&s->word);
  uintptr_t mark = 0;
  mts_mutex_lock(&s->mutex);
  while (!(word & (MTS_WORD_CLOSED | MTS_WORD_DOOMED))) {
    mark = is_held_by(word, 0) ? thread : MTS_WORD_DOOMED;
    if (atomic_compare_exchange_weak(&s->word, &word, word | mark))
      break;
    mark = 0;
  }
  if (mark == MTS_WORD_DOOMED)
    wake_all(s);
  mts_mutex_unlock(&s->mutex);
  if (mark == thread)
    mts_state_finish_close(s);
}
