/*
** usage.c - how often states are called, and how long they are in use
**
** A look at the clock would take as long as a tenth of a call does.  So there
** is a tick, a number that is about what the clock says:
**
** - It is 0 if nobody knows.  A thread that begins to use a state and finds 0
**   looks at the clock, and stores what that says.
** - While it is not 0 the watcher (watch.c) makes it 0 again, every PERIOD.
**   If it has been 0 all the time there is nothing to do: the watcher sleeps,
**   and the next thread that finds 0 wakes it.
**
** A use begins at the tick, which is PERIOD too early at most.  If the tick is
** the same at the end of the use, nothing is added to the sum.  If it is not,
** the time from then to the new tick is added, or to now if that is 0.  So of
** short uses the tick takes samples, and what one thread adds never overlaps,
** as the tick only grows.  A use that finds 0 would end before the tick is
** cleared, always if there are pauses between: it begins at an odd number,
** which no tick is, so at its end the clock is looked at, too, and the tick
** made what that says.
**
** It takes a thread to do that, which a program that has one thread, and calls
** states only, must not get.  So in the beginning the tick is UNMEASURED, and
** nothing is added, until mts_usage_open is called.
**
** The thread that looked at the clock stores the tick, and then looks whether
** the watch is on; the watcher notes that it is off, and then looks at the
** tick once more.  Without a watcher, as in the child after a fork, the tick
** stays 0, and the clock is looked at each time.
**
** Takes no locks but the mutex of the watcher.
*/
#include "core/usage.h"

#include "async_util.h"
#include "core/watch.h"

#define PERIOD 0.01 /* seconds */

/* No point of the clock. */
#define UNMEASURED 1ULL

atomic_ullong mts_usage_tick = UNMEASURED;

static atomic_ullong opened; /* the point of the clock when that ended */

static mts_Watch watch;
static atomic_bool is_on;
static atomic_bool has_no_thread;

/* Returns: an even number. */
static unsigned long long read_clock(void)
{
  return (unsigned long long)(mts_clock_now() * 1e9) & ~1ULL;
}

void mts_usage_open(void)
{
  unsigned long long tick = UNMEASURED;
  unsigned long long never = 0;
  if (atomic_load_explicit(&mts_usage_tick, memory_order_relaxed) != tick)
    return;
  (void)atomic_compare_exchange_strong(&opened, &never, read_clock());
  (void)atomic_compare_exchange_strong(&mts_usage_tick, &tick, 0);
}

/* When the present use has begun, or was measured first. */
static unsigned long long begin_of(const mts_Usage *usage)
{
  const unsigned long long began = atomic_load(&usage->began);
  return began != UNMEASURED ? began : atomic_load(&opened);
}

/* Called by the watcher. */
static double clear_tick(mts_Watch *unused)
{
  bool goes_on = atomic_exchange(&mts_usage_tick, 0) != 0;
  (void)unused;
  if (!goes_on) {
    atomic_store(&is_on, false);
    goes_on = atomic_load(&mts_usage_tick) != 0;
    atomic_store(&is_on, goes_on);
  }
  return goes_on ? PERIOD : 0;
}

static bool start_watching(void)
{
  return atomic_load(&is_on) || atomic_exchange(&is_on, true) ||
         mts_watch_start(&watch, clear_tick, mts_clock_now() + PERIOD) ||
         mts_watch_is_on(&watch);
}

unsigned long long mts_usage_start_tick(void)
{
  const unsigned long long now = read_clock();
  if (atomic_load(&has_no_thread))
    return now + 1;
  atomic_store(&mts_usage_tick, now);
  if (!start_watching()) {
    atomic_store(&has_no_thread, true);
    atomic_store(&mts_usage_tick, 0);
  }
  return now + 1;
}

/* The tick, or the clock if there is none. */
static unsigned long long look(void)
{
  const unsigned long long tick = atomic_load(&mts_usage_tick);
  return tick != 0 ? tick : read_clock();
}

void mts_usage_add(mts_Usage *usage)
{
  const unsigned long long began = begin_of(usage);
  const bool has_started_tick = began % 2 != 0;
  const unsigned long long now = has_started_tick ? read_clock() : look();
  unsigned long long tick = began - 1;
  if (has_started_tick)
    (void)atomic_compare_exchange_strong(&mts_usage_tick, &tick, now);
  if (now > began) {
    const unsigned long long used =
        atomic_load_explicit(&usage->used, memory_order_relaxed);
    atomic_store(&usage->began, now); /* first; see mts_usage_total */
    atomic_store(&usage->used, used + (now - began));
  }
}

void mts_usage_note_error(mts_Usage *usage)
{
  atomic_store(&usage->errors, atomic_load(&usage->errors) + 1);
}

static unsigned long long since(unsigned long long began)
{
  const unsigned long long now = read_clock();
  return now > began ? now - began : 0;
}

double mts_usage_present(const mts_Usage *usage)
{
  return (double)since(begin_of(usage)) * 1e-9;
}

/* The present use can end with less than it was before, by the tick. */
double mts_usage_total(mts_Usage *usage, bool is_used)
{
  unsigned long long used, began, told, total;
  do { /* what ends meanwhile is missing for a moment, but never told twice */
    began = begin_of(usage);
    used = atomic_load(&usage->used);
  } while (began != begin_of(usage));
  total = used + (is_used ? since(began) : 0);
  told = atomic_load(&usage->told);
  while (told < total &&
         !atomic_compare_exchange_weak(&usage->told, &told, total))
    ;
  return (double)(told < total ? total : told) * 1e-9;
}

void mts_usage_after_fork_in_child(void)
{
  atomic_store(&has_no_thread, true);
  atomic_store(&mts_usage_tick, 0);
}
