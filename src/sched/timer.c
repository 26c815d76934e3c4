/*
** timer.c - waits of suspended tasks that are over at a point of the clock
**
** A heap of timers, the next one at its root, behind one mutex.  Each node has
** four children, which are neighbours in memory.
**
** Who looks at it: workers between turns; the one that parked first, while it
** is parked, until the deadline of the next timer (workerthread.c); and the
** watcher, each time that it looks after workers that take long (monitor.c).
** So a timer that is added by a worker is seen when that has nothing else to
** do, and for one that is added by another thread a parked worker is woken, if
** it would sleep longer.
**
** The deadline at the root can be read without the mutex.
*/
#include "sched/timer.h"

#include <stdlib.h>
#include <string.h>

#include "core/thread.h"
#include "sched/worker.h"

#define CHILDREN 4

/* How many waits are finished in one step. */
#define MOST_AT_ONCE 64

typedef struct Node {
  double deadline;
  mts_Timer *timer;
} Node;

static mts_Mutex timer_mutex = MTS_MUTEX_INIT;

/* Guarded by it; nodes[0] is the root, whose place is 1. */
static Node *nodes;
static size_t count, room;

/* Bits of the deadline at the root, which order as the numbers do. */
static _Atomic double next_deadline = MTS_FOREVER;

/* ======================================================================= */
/* The heap                                                                */
/* ======================================================================= */

static void set_node(size_t i, Node node)
{
  nodes[i] = node;
  node.timer->place = i + 1;
}

/* Moves the node up from i to where it belongs. */
static void rise(size_t i, Node node)
{
  while (i > 0) {
    const size_t parent = (i - 1) / CHILDREN;
    if (nodes[parent].deadline <= node.deadline)
      break;
    set_node(i, nodes[parent]);
    i = parent;
  }
  set_node(i, node);
}

/* Moves the node down from i to where it belongs. */
static void sink(size_t i, Node node)
{
  for (;;) {
    const size_t first = i * CHILDREN + 1;
    size_t child, least = first;
    if (first >= count)
      break;
    for (child = first + 1; child < first + CHILDREN && child < count; child++)
      if (nodes[child].deadline < nodes[least].deadline)
        least = child;
    if (node.deadline <= nodes[least].deadline)
      break;
    set_node(i, nodes[least]);
    i = least;
  }
  set_node(i, node);
}

static void note_next(void)
{
  atomic_store(&next_deadline, count > 0 ? nodes[0].deadline : MTS_FOREVER);
}

static void remove_node(size_t i)
{
  const Node last = nodes[--count];
  nodes[i].timer->place = 0;
  if (i < count) {
    if (i > 0 && last.deadline < nodes[(i - 1) / CHILDREN].deadline)
      rise(i, last);
    else
      sink(i, last);
  }
  note_next();
}

static bool make_place(void)
{
  const size_t wanted = room > 0 ? room + room / 2 : 64;
  Node *larger;
  if (count < room)
    return true;
  larger = realloc(nodes, wanted * sizeof(*nodes));
  if (!larger)
    return false;
  nodes = larger;
  room = wanted;
  return true;
}

/* ======================================================================= */
/* Timers                                                                  */
/* ======================================================================= */

bool mts_timer_start(mts_Timer *timer, double deadline)
{
  bool has_room, is_next;
  mts_mutex_lock(&timer_mutex);
  has_room = make_place();
  if (has_room) {
    rise(count++, (Node){deadline, timer});
    note_next();
  }
  is_next = timer->place == 1;
  mts_mutex_unlock(&timer_mutex);
  if (is_next)
    mts_worker_note_timer(deadline);
  return has_room;
}

void mts_timer_stop(mts_Timer *timer)
{
  mts_mutex_lock(&timer_mutex);
  if (timer->place > 0)
    remove_node(timer->place - 1);
  mts_mutex_unlock(&timer_mutex);
}

double mts_timer_next(void)
{
  return atomic_load_explicit(&next_deadline, memory_order_relaxed);
}

/* Returns: whether more are due. */
static bool run_some(double now)
{
  mts_Wakes wakes = MTS_NO_WAKES;
  int finished = 0;
  bool are_more;
  mts_mutex_lock(&timer_mutex);
  while (count > 0 && nodes[0].deadline <= now && finished < MOST_AT_ONCE) {
    mts_Wait *wait = nodes[0].timer->wait;
    remove_node(0);
    (void)mts_wait_finish(wait, MTS_BUSY, &wakes);
    finished++;
  }
  are_more = count > 0 && nodes[0].deadline <= now;
  mts_mutex_unlock(&timer_mutex);
  mts_wakes_wake(&wakes);
  return are_more;
}

void mts_timer_run_due(void)
{
  const double now = mts_clock_now();
  while (run_some(now))
    ;
}

size_t mts_timer_count(void)
{
  size_t timers;
  mts_mutex_lock(&timer_mutex);
  timers = count;
  mts_mutex_unlock(&timer_mutex);
  return timers;
}
