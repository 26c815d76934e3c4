/*
** timer.h - waits of suspended tasks that are over at a point of the clock
*/
#ifndef MTS_TIMER_H
#define MTS_TIMER_H

#include "base/compiler.h"

#include <stddef.h>

#include "core/wait.h"

MTS_BEGIN_HIDDEN

/* Part of what waits. */
typedef struct mts_Timer {
  mts_Wait *wait;
  size_t place; /* in the heap, from 1 on; 0: it is not there */
} mts_Timer;

/* Not in the heap. */
static inline void mts_timer_init(mts_Timer *timer, mts_Wait *wait)
{
  timer->wait = wait;
  timer->place = 0;
}

/*
** Adds the timer: when the clock has reached the deadline, and the wait is not
** over by then, it is finished with MTS_BUSY.
** Locks: takes the mutex of the timers, a leaf, and afterwards the run mutex.
** Returns: false if there is no memory.
*/
bool mts_timer_start(mts_Timer *timer, double deadline);

/*
** Takes the timer out, if it is there; then nobody touches it any more.
** Locks: takes the mutex of the timers.
*/
void mts_timer_stop(mts_Timer *timer);

/* The deadline of the next timer; MTS_FOREVER: there is none. */
double mts_timer_next(void);

/*
** Finishes the waits whose deadline has passed.
** Locks: takes the mutex of the timers; no mutex may be held.
*/
void mts_timer_run_due(void);

/* The same if there are any, for who looks often. */
static inline void mts_timer_look(void)
{
  const double next = mts_timer_next();
  if (next != MTS_FOREVER && next <= mts_clock_now())
    mts_timer_run_due();
}

/* How many there are. */
size_t mts_timer_count(void);

MTS_END_HIDDEN

#endif
