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
** The inlines are to be read side by side with src/core/knot.c, waitgraph.c and
** src/sched/blocker.c.  What happens under the mutex of a queue is one step, so
** each look at what one task or member needs; who searches does so in any
** order.
**
** Checked are
** - the assertions: who is told of a deadlock never goes on, as it waits for
**   itself, and nothing is about to end that;
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

/* C: mts_knot_add meet */
inline add(node)
{
  if
  :: node != NOTHING -> met = met | BIT(node)
  :: else
  fi
}

/* What the task needs; kept in way. */
/* C: visit_asked visit_wait */
inline look_at(t)
{
  way[t] = WAITS_FOR(t);
  add(way[t]);
  seen = seen | BIT(t)
}

/* What the member needs: its task, until that has ended; kept in is_free. */
/* C: visit_state visit_keeper */
inline look_at_member(m)
{
  if
  :: !has_ended[m] -> add(m)
  :: else
  fi;
  is_free[m] = has_ended[m]
}

/* C: is_tied add_ways visit_members */
inline look_at_all()
{
  d_step { look_at(self) };
  do
  :: met & ~seen & BIT(POOL) ->
     seen = seen | BIT(POOL);
     d_step { look_at_member(1) };
     d_step { look_at_member(2) }
  :: met & ~seen & BIT(1) -> d_step { look_at(1) }
  :: met & ~seen & BIT(2) -> d_step { look_at(2) }
  :: met & ~seen & BIT(3) -> d_step { look_at(3) }
  :: else -> break
  od
}

#define GOES_ON(t) \
  (seen & BIT(t) && (way[t] == NOTHING || on & BIT(way[t])))
#define POOL_GOES_ON \
  (seen & BIT(POOL) && \
   (is_free[1] || is_free[2] || on & BIT(1) || on & BIT(2)))

/* As if those in `on` did; leaves all that do there. */
/* C: find_what_goes_on count_needs let_go_on follow_back */
inline find_what_goes_on()
{
  do
  :: !(on & BIT(1)) && GOES_ON(1) -> on = on | BIT(1)
  :: !(on & BIT(2)) && GOES_ON(2) -> on = on | BIT(2)
  :: !(on & BIT(3)) && GOES_ON(3) -> on = on | BIT(3)
  :: !(on & BIT(POOL)) && POOL_GOES_ON -> on = on | BIT(POOL)
  :: else -> break
  od
}

/* Leaves its result in is_tied. */
/* C: mts_knot_is_tied */
inline find_whether_tied()
{
  on = BIT(self);
  find_what_goes_on();
  on = seen & ~on;
  find_what_goes_on();
  is_tied = !(on & BIT(self));
  on = 0;
  met = 0;
  seen = 0;
  way[1] = 0;
  way[2] = 0;
  way[3] = 0;
  is_free[1] = false;
  is_free[2] = false
}

inline search()
{
  look_at_all();
  skip;
  d_step { find_whether_tied() }
}

#define NEEDS(t, node) (target[t] == (node) && outcome[t] == OPEN)
#define IS_NEEDED(node) (NEEDS(1, node) || NEEDS(2, node) || NEEDS(3, node))

/* What is so, seen in one step. */
inline assert_tied()
{
  d_step {
    is_tied = false;
    seen = BIT(POOL);
    look_at(1);
    look_at(2);
    look_at(3);
    look_at_member(1);
    look_at_member(2);
    find_whether_tied();
    assert(is_tied);
    assert(IS_NEEDED(self) || (self <= MEMBERS && IS_NEEDED(POOL)))
  }
}

/* C: mts_waitgraph_ends_task is_deadlock look_for_deadlock */
inline end_task()
{
  atomic { graph_mutex == 0 -> graph_mutex = self };
  search();
  if
  :: is_tied -> search()
  :: else
  fi;
  if
  :: is_tied -> assert_tied(); outcome[self] = DEADLOCK
  :: else
  fi;
  is_tied = false;
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
  byte self = _pid + 1, count, met, seen, on;
  byte way[TASKS + 1];
  bool is_free[MEMBERS + 1], is_tied;
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
