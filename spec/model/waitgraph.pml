/*
** waitgraph.pml - a model of how deadlocks are found, for the checker spin
**
** `make model` tries all interleavings of three threads.  Two are workers:
** each serves one state, and runs a request there.  The third one calls a
** state, or does not.  From there all of them wait as they like, without
** timeout: each calls a state, or awaits the answer of one, several times.
**
** The inlines have the names of functions in src/core/waitgraph.c, lock.c and
** wait.c, and src/sched/future.c, without mts_, and are to be read side by
** side with them.  Each read of a word or an outcome is a step of its own, as
** is what happens under the mutex of a lock or a future.
**
** Left open, so that all is tried, is whether a lock is handed to a thread
** that waits for it, or is free when that wakes up.
**
** Checked are
** - the assertions: if the graph says that there is a cycle, then each thread
**   in it waits for the next one, and none of them is about to go on; the
**   search ends;
** - when nothing can happen any more: all threads have ended, so no cycle was
**   missed.
**
** Not in the model: weak memory (all is sequentially consistent), timed waits,
** which are not in the graph, cancel, and closing.
*/

#ifndef WAITS
#define WAITS 1 /* of each thread, at most */
#endif
#ifndef CALLS
#define CALLS true /* whether threads wait for locks, too */
#endif

#define THREADS 3
#define STATES 2

/* Of each state: the word of its lock, and the future of its request. */
byte word[3]; /* the thread that holds it */
bool is_answered[3];

/* mts_WaitEdge of each thread. */
bool has_edge[4];
byte edge_word[4];
bool edge_has_outcome[4];
bool is_decided[4]; /* the outcome */

/* Threads that wait for the lock, or are in the list of the future. */
bool waits_for_lock[4];
bool is_listed[4];
byte waits_for[4]; /* the state */

byte graph_mutex;

/* ======================================================================= */
/* waitgraph.c                                                             */
/* ======================================================================= */

/* Leaves its result in next. */
/* C: add_ways_of_thread */
inline blocking_thread(t)
{
  next = word[edge_word[t]];
  if
  :: edge_has_outcome[t] && is_decided[t] -> next = 0
  :: else
  fi
}

/* What is so, seen in one step: whether a thread waits, and for which one. */
#define REALLY_WAITS(t) \
  ((waits_for_lock[t] && word[waits_for[t]] != t) || \
   (is_listed[t] && !is_decided[t]))
#define HOLDER_FOR(t) \
  ((waits_for_lock[t] || is_listed[t]) -> word[waits_for[t]] : 0)

inline assert_cycle()
{
  d_step {
    thread = self;
    steps = 0;
    do
    :: assert(REALLY_WAITS(thread));
       thread = HOLDER_FOR(thread);
       assert(thread != 0 && steps < THREADS);
       steps++;
       if
       :: thread == self -> break
       :: else
       fi
    od;
    steps = 0
  }
}

/* Leaves its result in is_cyclic. */
/* C: is_deadlock is_tied add_ways */
inline find_cycle()
{
  blocking_thread(self);
  thread = next;
  do
  :: thread == 0 || thread == self -> break
  :: else ->
     steps++;
     assert(steps <= THREADS);
     if
     :: has_edge[thread] -> blocking_thread(thread)
     :: else -> next = 0
     fi;
     if
     :: next == thread -> thread = 0
     :: else -> thread = next
     fi
  od;
  steps = 0;
  if
  :: thread == self -> blocking_thread(self); is_cyclic = next != 0
  :: else -> is_cyclic = false
  fi;
  thread = 0;
  next = 0
}

/* Leaves its result in is_cyclic. */
/* C: mts_waitgraph_add */
inline waitgraph_add(with_outcome)
{
  atomic { graph_mutex == 0 -> graph_mutex = self };
  d_step {
    edge_word[self] = state;
    edge_has_outcome[self] = with_outcome
  };
  find_cycle();
  if
  :: is_cyclic -> assert_cycle()
  :: else -> has_edge[self] = true
  fi;
  graph_mutex = 0
}

/* C: mts_waitgraph_remove */
inline waitgraph_remove()
{
  atomic { graph_mutex == 0 -> has_edge[self] = false }
}

/* ======================================================================= */
/* Locks: lock.c                                                           */
/* ======================================================================= */

/* Leaves its result in is_inside.  The mutex of the lock is held meanwhile. */
/* C: mts_lock_enter mts_lock_enter_slow */
inline lock_enter()
{
  atomic {
    if
    :: word[state] == 0 -> word[state] = self; is_inside = true
    :: else -> waits_for_lock[self] = true; waits_for[self] = state
    fi
  };
  if
  :: !is_inside ->
     waitgraph_add(false);
     if
     :: !is_cyclic ->
        if
        :: atomic { word[state] == self -> waits_for_lock[self] = false }
        :: atomic {
             word[state] == 0 ->
             word[state] = self;
             waits_for_lock[self] = false
           }
        fi;
        is_inside = true;
        waitgraph_remove()
     :: else ->
        waits_for_lock[self] = false;
        is_cyclic = false
     fi
  :: else
  fi
}

#define WAITS_FOR_LOCK(t, s) (waits_for_lock[t] && waits_for[t] == s)

/* C: mts_lock_leave mts_lock_leave_slow leave_closing */
inline lock_leave(s)
{
  atomic {
    assert(word[s] == self);
    if
    :: word[s] = 0
    :: WAITS_FOR_LOCK(1, s) && has_edge[1] -> word[s] = 1
    :: WAITS_FOR_LOCK(2, s) && has_edge[2] -> word[s] = 2
    :: WAITS_FOR_LOCK(3, s) && has_edge[3] -> word[s] = 3
    fi
  }
}

/* ======================================================================= */
/* Futures: future.c, wait.c                                               */
/* ======================================================================= */

/* C: mts_future_wait */
inline future_wait()
{
  atomic {
    if
    :: !is_answered[state] -> is_listed[self] = true; waits_for[self] = state
    :: else
    fi
  };
  if
  :: is_listed[self] ->
     waitgraph_add(true);
     if
     :: !is_cyclic -> is_decided[self]; waitgraph_remove()
     :: else -> is_cyclic = false
     fi;
     d_step { is_listed[self] = false; is_decided[self] = false }
  :: else
  fi
}

#define IS_ASKER(t, s) (is_listed[t] && waits_for[t] == s)

/* C: mts_future_answer */
inline future_answer(s)
{
  d_step {
    is_answered[s] = true;
    is_decided[1] = is_decided[1] || IS_ASKER(1, s);
    is_decided[2] = is_decided[2] || IS_ASKER(2, s);
    is_decided[3] = is_decided[3] || IS_ASKER(3, s)
  }
}

/* ======================================================================= */
/* The threads                                                             */
/* ======================================================================= */

inline wait_somewhere(own)
{
  if
  :: state = 1
  :: state = 2
  fi;
  if
  :: CALLS && state != own ->
     lock_enter();
     if
     :: is_inside -> is_inside = false; lock_leave(state)
     :: else
     fi
  :: future_wait()
  fi;
  state = 0
}

inline wait_often(own)
{
  do
  :: count < WAITS -> wait_somewhere(own); count++
  :: break
  od;
  count = 0
}

active [STATES] proctype worker()
{
  byte self = _pid + 1, state, thread, next, count, steps;
  bool is_inside, is_cyclic;
  atomic { word[self] == 0 -> word[self] = self };
  wait_often(self);
  future_answer(self);
  lock_leave(self)
}

active proctype caller()
{
  byte self = 3, state, thread, next, count, steps, held;
  bool is_inside, is_cyclic;
  if
  :: held = 1
  :: held = 2
  :: skip
  fi;
  if
  :: held != 0 ->
     atomic { word[held] == 0 -> word[held] = self }
  :: else
  fi;
  wait_often(held);
  if
  :: held != 0 -> lock_leave(held)
  :: else
  fi
}

active proctype judge()
{
  timeout;
  assert(word[1] == 0 && word[2] == 0 && is_answered[1] && is_answered[2]);
  assert(!has_edge[1] && !has_edge[2] && !has_edge[3] && graph_mutex == 0)
}
