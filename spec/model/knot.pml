/*
** knot.pml - a model of deadlocks of what waits for pools, for the checker
** spin
**
** `make model` tries all interleavings of three tasks.  Each of the first ones
** keeps a member of a pool of two until it ends; the last one is somewhere
** else.  Each waits as it likes, without timeout, up to WAITS times: for the
** end of another one, or for the answer to a request to the pool, which any
** member begins that is free.
**
** The inlines have the names of functions in src/core/waitgraph.c and
** src/sched/blocker.c, and are to be read side by side with them.  What
** happens under the mutex of a queue is one step, so each look at what one
** task or member waits for; who searches does so in any order.
**
** Checked are
** - the assertions: who is told of a deadlock waits for itself, on each way
**   from there all wait, and nothing is about to end that;
** - when nothing can happen any more: all tasks have ended, so no deadlock was
**   missed.
**
** Not in the model: weak memory (all is sequentially consistent), threads that
** wait, which are simpler: they make that known under the mutex of the graph.
*/

#ifndef WAITS
#define WAITS 2
#endif

#define TASKS 3
#define MEMBERS 2
#define POOL 0
#define NOTHING 255

#define OPEN 0
#define ANSWERED 1
#define DEADLOCK 2

/* Of each task: what it waits for, a task, POOL or NOTHING. */
byte target[TASKS + 1] = NOTHING;
byte outcome[TASKS + 1];
bool is_begun[TASKS + 1]; /* the request to the pool that it waits for */
bool has_ended[TASKS + 1];

byte graph_mutex;

#define BIT(t) (1 << (t))

/* ======================================================================= */
/* The search                                                              */
/* ======================================================================= */

#define WAITS_FOR(t) \
  (outcome[t] == OPEN && !is_begun[t] -> target[t] : NOTHING)

/* C: meet */
inline meet()
{
  if
  :: next == NOTHING -> waits = false
  :: else ->
     leads_back = leads_back || next == self;
     met = met | BIT(next)
  fi;
  next = 0
}

/* C: block_begin mts_blocker_find_member */
inline meet_member(m)
{
  d_step {
    if
    :: has_ended[m] -> next = NOTHING /* a request can begin */
    :: else -> next = m
    fi;
    meet()
  }
}

inline look_at(t)
{
  d_step { seen = seen | BIT(t); next = WAITS_FOR(t); meet() }
}

/* Leaves its result in leads_back. */
/* C: leads_back meet_ways is_stuck meet_members follow block_task */
/* C: mts_blocker_find */
inline search()
{
  waits = true;
  leads_back = false;
  d_step { next = WAITS_FOR(self); meet() };
  do
  :: waits && (met & ~seen & BIT(POOL)) ->
     seen = seen | BIT(POOL);
     meet_member(1);
     meet_member(2)
  :: waits && (met & ~seen & BIT(1)) -> look_at(1)
  :: waits && (met & ~seen & BIT(2)) -> look_at(2)
  :: waits && (met & ~seen & BIT(3)) -> look_at(3)
  :: else -> break
  od;
  leads_back = leads_back && waits;
  met = 0;
  seen = 0;
  waits = false
}

/* What is so, seen in one step. */
inline assert_knot()
{
  d_step {
    waits = true;
    leads_back = false;
    next = WAITS_FOR(self);
    meet();
    do
    :: met & ~seen & BIT(POOL) ->
       seen = seen | BIT(POOL);
       assert(!has_ended[1] && !has_ended[2]);
       met = met | BIT(1) | BIT(2);
       leads_back = leads_back || self <= MEMBERS
    :: met & ~seen & BIT(1) -> look_at(1)
    :: met & ~seen & BIT(2) -> look_at(2)
    :: met & ~seen & BIT(3) -> look_at(3)
    :: else -> break
    od;
    assert(waits && leads_back);
    met = 0;
    seen = 0;
    waits = false
  }
}

/* C: mts_waitgraph_ends_task is_cycle look_for_deadlock */
inline end_task()
{
  atomic { graph_mutex == 0 -> graph_mutex = self };
  search();
  if
  :: leads_back -> search()
  :: else
  fi;
  if
  :: leads_back -> assert_knot(); outcome[self] = DEADLOCK
  :: else
  fi;
  leads_back = false;
  graph_mutex = 0
}

/* ======================================================================= */
/* Tasks and members                                                       */
/* ======================================================================= */

#define IS_WAITED_FOR(t) (target[t] == self && outcome[t] == OPEN)

inline finish()
{
  d_step {
    has_ended[self] = true;
    if :: IS_WAITED_FOR(1) -> outcome[1] = ANSWERED :: else fi;
    if :: IS_WAITED_FOR(2) -> outcome[2] = ANSWERED :: else fi;
    if :: IS_WAITED_FOR(3) -> outcome[3] = ANSWERED :: else fi
  }
}

active [TASKS] proctype task()
{
  byte self = _pid + 1, count, next, met, seen;
  bool waits, leads_back;
  do
  :: count < WAITS ->
     count++;
     if
     :: target[self] = POOL
     :: atomic { !has_ended[1] -> target[self] = 1 }
     :: atomic { !has_ended[2] -> target[self] = 2 }
     :: atomic { !has_ended[3] -> target[self] = 3 }
     fi;
     end_task();
     outcome[self] != OPEN;
     d_step {
       target[self] = NOTHING;
       outcome[self] = OPEN;
       is_begun[self] = false
     }
  :: break
  od;
  finish()
}

#define IS_QUEUED(t) \
  (target[t] == POOL && outcome[t] == OPEN && !is_begun[t])

/* The request can be looked at while it runs. */
inline serve(asker)
{
  atomic { IS_QUEUED(asker) -> is_begun[asker] = true };
  d_step { assert(outcome[asker] == OPEN); outcome[asker] = ANSWERED }
}

/* A member whose task has ended. */
active [MEMBERS] proctype member()
{
  has_ended[_pid - TASKS + 1];
end:
  do
  :: serve(1)
  :: serve(2)
  :: serve(3)
  od
}

active proctype judge()
{
  timeout;
  assert(has_ended[1] && has_ended[2] && has_ended[3] && graph_mutex == 0)
}
