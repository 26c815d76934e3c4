/*
** usage.h - how often states are called, and how long they are in use
*/
#ifndef MTS_USAGE_H
#define MTS_USAGE_H

#include "base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

MTS_BEGIN_HIDDEN

/*
** Part of a state; written by the thread that holds it, so that others can
** read it.  Times are nanoseconds.
*/
typedef struct mts_Usage {
  atomic_size_t calls;  /* of its callback, requests included */
  atomic_ullong began;  /* about when the present use, or the last one, began;
                        ** a point of the clock */
  atomic_size_t errors; /* calls that have failed */
  atomic_ullong used;   /* what has been noted of all uses */
  atomic_ullong told;   /* the most that others were told of that; written by
                        ** anybody */
} mts_Usage;

/* About what the clock says, 0: nobody knows, or 1: nobody has to. */
extern atomic_ullong mts_usage_tick;

/*
** Times are measured from now on.  Can be called again.
** Locks: none.
*/
void mts_usage_open(void);

/* Parts of the functions below. */
unsigned long long mts_usage_start_tick(void);
void mts_usage_add(mts_Usage *usage);

/*
** The state is used from now on, and is not any more.
** Locks: can take the mutex of the watcher.
*/
static inline void mts_usage_begin(mts_Usage *usage)
{
  unsigned long long tick =
      atomic_load_explicit(&mts_usage_tick, memory_order_relaxed);
  if (__builtin_expect(tick == 0, 0))
    tick = mts_usage_start_tick();
  atomic_store_explicit(&usage->began, tick, memory_order_relaxed);
}

static inline void mts_usage_end(mts_Usage *usage)
{
  if (__builtin_expect(
          atomic_load_explicit(&mts_usage_tick, memory_order_relaxed) !=
              atomic_load_explicit(&usage->began, memory_order_relaxed),
          0))
    mts_usage_add(usage);
}

/* A use ends, and another one begins, unless it has just found the tick 0. */
static inline void mts_usage_begin_next(mts_Usage *usage)
{
  if (atomic_load_explicit(&usage->began, memory_order_relaxed) !=
      atomic_load_explicit(&mts_usage_tick, memory_order_relaxed) + 1) {
    mts_usage_end(usage);
    mts_usage_begin(usage);
  }
}

/* The callback is called, and such a call has failed. */
static inline void mts_usage_note_call(mts_Usage *usage)
{
  atomic_store_explicit(
      &usage->calls,
      atomic_load_explicit(&usage->calls, memory_order_relaxed) + 1,
      memory_order_relaxed);
}
void mts_usage_note_error(mts_Usage *usage);

/* Whether this is one of each sixteen calls, for what is looked at seldom. */
static inline bool mts_usage_is_sample(const mts_Usage *usage)
{
  return (atomic_load_explicit(&usage->calls, memory_order_relaxed) & 15) == 0;
}

/*
** Seconds that the present use has taken, if there is one, and that all uses
** have taken, the present one included if is_used is true.
*/
double mts_usage_present(const mts_Usage *usage);
double mts_usage_total(mts_Usage *usage, bool is_used);

/* To be called in the child after fork. */
void mts_usage_after_fork_in_child(void);

MTS_END_HIDDEN

#endif
