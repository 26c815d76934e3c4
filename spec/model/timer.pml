/*
** timer.pml - a model of who looks at the timers, for the checker spin
**
** `make model` tries all interleavings.  Timers are added by workers, while
** they serve, and by a thread that is no worker.  What is due makes an item,
** which a worker serves; there is one at the beginning, too.  A worker that
** serves an item can wait in line before it begins, or compute, for ever.
** Parked workers that are too many end.  The watcher ticks as long as the
** monitor is on.
**
** The inlines have the names of functions in src/sched/timer.c, worker.c,
** workerthread.c, monitor.c and serve.c, without mts_, and are to be read side
** by side with them.  What happens under the mutex of the timers is one step,
** and so is what happens under the run mutex, but for the monitor, since other
** threads look at what that changes without the mutex.
**
** Left open, so that all is tried, are: how far the clock goes, and when,
** which parked worker is woken, and what an item does.
**
** Checked is, when nothing can happen any more at that time, whatever computes
** or waits for ever: no timer is left that is due.  The watcher does something
** only if it finds something to do, so it does not hide that.
**
** Not in the model: weak memory (all of this is sequentially consistent), how
** late timers are, tokens, slots, searching and workers that are replaced
** (park.pml), what the monitor does for items that wait, what becomes of tasks
** (task.pml), and timers that are taken out.
**
** -DPLANT=n plants a mistake:
**  1 nobody looks for a keeper before a turn waits in line
**  2 a keeper that ends leaves the timers to nobody
**  3 a thread that is no worker tells nobody of its timer
**  4 a keeper is not woken for a timer that is due earlier
**  5 who parks looks at the timers first and enters the list then
**  6 a worker that was the keeper still counts as one when it serves
**  7 the monitor goes off without looking once more
**  8 the monitor goes off though there are timers without a keeper
**  9 a worker that serves does not look for a keeper before each request
** 10 there is no monitor where no worker is parked
*/

#ifndef PLANT
#define PLANT 0
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ADDERS
#define ADDERS 1 /* that are no workers */
#endif
#ifndef LINE
#define LINE true /* whether a turn can wait in line for ever */
#endif
#ifndef ENDS
#define ENDS 1 /* of parked workers */
#endif

/* Timer n is due when the clock shows n. */
#define TIMERS 2
#define FOREVER 3
byte now;
byte heap;  /* a set of them */
byte added; /* the same, ever */
byte ends = ENDS;

#define NEXT \
  (heap & (1 << 1) -> 1 : (heap & (1 << 2) -> 2 : FOREVER))

/* mts_Pool: guarded by the run mutex, but the last two can be read without. */
byte run_queue = 1;
bool is_parked[4], is_woken[4]; /* woken: the event */
byte keeper, keeper_until;

#define KEEPER_UNTIL (keeper != 0 -> keeper_until : FOREVER)
#define PARKED(w) (w <= WORKERS && is_parked[w])

/* The monitor. */
bool is_watch_locked;
bool is_on, is_watched;

/* ======================================================================= */
/* The monitor                                                             */
/* ======================================================================= */

/* C: mts_monitor_start */
inline monitor_start()
{
  if
  :: atomic { !is_on -> is_on = true };
     atomic { !is_watch_locked -> is_watched = true }
  :: is_on
  fi
}

#define LACKS_KEEPER (NEXT < KEEPER_UNTIL)

/* Each read is a step. */
/* C: lacks_keeper */
inline look_for_keeper()
{
  next = NEXT;
  if
  :: keeper != 0 -> lacks = next < keeper_until
  :: keeper == 0 -> lacks = next != FOREVER
  fi;
  next = 0
}

/* C: mts_monitor_note_timers */
inline monitor_note_timers()
{
  if
  :: NEXT != FOREVER ->
     look_for_keeper();
     if
     :: lacks -> lacks = false; monitor_start()
     :: else
     fi
  :: else
  fi
}

/* ======================================================================= */
/* Items                                                                   */
/* ======================================================================= */

/* C: mts_pool_unpark */
inline unpark(w)
{
  is_parked[w] = false;
  is_woken[w] = true
}

/* wake_searcher.  The keeper only if there is no other one, but oneself. */
/* C: wake_searcher */
inline wake_searcher()
{
  if
  :: PARKED(self) -> unpark(self)
  :: !PARKED(self) && PARKED(1) && keeper != 1 -> unpark(1)
  :: !PARKED(self) && PARKED(2) && keeper != 2 -> unpark(2)
  :: !PARKED(self) && PARKED(3) && keeper != 3 -> unpark(3)
  :: else ->
     if
     :: PARKED(1) -> unpark(1)
     :: PARKED(2) -> unpark(2)
     :: PARKED(3) -> unpark(3)
     :: else
     fi
  fi
}

/* C: mts_worker_schedule */
inline worker_schedule()
{
  atomic { run_queue++; wake_searcher() }
}

/* ======================================================================= */
/* Timers                                                                  */
/* ======================================================================= */

/* timer_look: what is due is taken out, and makes an item each. */
/* C: mts_timer_look */
inline timer_look()
{
  do
  :: atomic { NEXT <= now ->
       if
       :: heap & (1 << 1) -> heap = heap & ~(1 << 1)
       :: else -> heap = heap & ~(1 << 2)
       fi
     };
     worker_schedule()
  :: NEXT > now -> break
  od
}

/* Wakes the keeper, or any parked worker; w is 0 if there is none. */
inline wake_keeper(deadline)
{
  w = keeper;
  if
  :: w != 0
  :: w == 0 && PARKED(1) -> w = 1
  :: w == 0 && PARKED(2) -> w = 2
  :: w == 0 && PARKED(3) -> w = 3
  :: else
  fi;
  if
  :: w != 0 && deadline < KEEPER_UNTIL && (PLANT != 4 || keeper == 0) ->
     is_woken[w] = true
  :: else
  fi
}

/* C: mts_worker_note_timer */
inline worker_note_timer(deadline)
{
  if
  :: PLANT == 3 && self == 0
  :: self != 0 /* looks itself, before the next request */
  :: else ->
     atomic { wake_keeper(deadline) };
     if
     :: w == 0 && PLANT != 10 -> monitor_start()
     :: else
     fi;
     w = 0
  fi
}

/* C: mts_timer_start */
inline timer_start(n)
{
  atomic {
    !(added & (1 << n)) ->
    added = added | (1 << n);
    heap = heap | (1 << n);
    is_next = NEXT == n
  };
  if
  :: is_next -> is_next = false; worker_note_timer(n)
  :: else
  fi
}

/* ======================================================================= */
/* Workers                                                                 */
/* ======================================================================= */

/* Leaves in end when the worker has to wake up for a timer. */
/* C: next_timer */
inline next_timer()
{
  end = NEXT;
  if
  :: end == FOREVER || end >= KEEPER_UNTIL -> end = FOREVER
  :: else -> keeper_until = end; keeper = self
  fi
}

inline forget_keeper()
{
  if
  :: keeper == self && PLANT != 6 -> keeper = 0
  :: else
  fi
}

/* Ends if the worker has been unparked, or is to end: then has_ended. */
/* C: park */
inline park()
{
  do
  :: atomic {
       is_parked[self] ->
       if
       :: PLANT != 5 -> next_timer()
       :: else
       fi
     };
end_parked:
     if
     :: atomic { is_woken[self] -> is_woken[self] = false }
     :: end != FOREVER && now >= end
     :: atomic { ends > 0 -> ends--; has_ended = true } /* for long enough */
     fi;
     end = 0;
     timer_look();
     atomic {
       forget_keeper();
       has_ended = has_ended && is_parked[self];
       if
       :: has_ended -> is_parked[self] = false
       :: else
       fi
     };
     if
     :: has_ended -> break
     :: else
     fi
  :: !is_parked[self] -> break
  od
}

/* hand_timers_over, and the last act of a worker. */
/* C: hand_timers_over */
inline hand_over()
{
  atomic {
    if
    :: NEXT < KEEPER_UNTIL -> wake_keeper(NEXT); w = 0
    :: else
    fi
  };
  if
  :: PLANT != 2 -> monitor_note_timers()
  :: else
  fi
}

/* What it serves computes for ever, in one request after others, each of which
** can add a timer. */
/* C: run_requests */
inline run_requests()
{
  do
  :: if
     :: PLANT != 9 -> monitor_note_timers()
     :: else
     fi;
     if
     :: timer_start(1)
     :: timer_start(2)
     :: break
     :: goto end_stuck
     fi
  od
}

/* C: mts_serve_turn */
inline serve_turn()
{
  if
  :: PLANT != 1 -> monitor_note_timers()
  :: else
  fi;
  if
  :: skip
  :: LINE -> goto end_stuck /* waits for the state */
  fi;
  run_requests();
  timer_look()
}

active [WORKERS] proctype worker()
{
  byte self = _pid + 1;
  byte next, end, w;
  bool lacks, is_next, has_taken, has_ended;
  do
  :: atomic {
       if
       :: PLANT == 5 -> next_timer()
       :: else
       fi
     };
     atomic {
       has_taken = run_queue > 0;
       if
       :: has_taken -> run_queue--
       :: else -> is_parked[self] = true
       fi
     };
     if
     :: has_taken -> has_taken = false; serve_turn()
     :: else -> park()
     fi;
     if
     :: has_ended -> break
     :: else
     fi
  od;
  hand_over();
  goto stop;
end_stuck: false;
stop: skip
}

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

/* The main program, or the own thread of a state. */
active [ADDERS] proctype adder()
{
  byte self = 0;
  byte next, w;
  bool is_next;
end:
  if
  :: timer_start(1)
  :: timer_start(2)
  fi
}

active proctype clock()
{
  do
  :: now < TIMERS -> now++
  :: break
  od
}

/* A tick; it keeps the mutex of the watcher. */
active proctype watcher()
{
  byte self = 0;
  byte next;
  bool goes_on;
end:
  do
  :: atomic {
       is_watched && !is_watch_locked && (NEXT <= now || !LACKS_KEEPER) ->
       is_watched = false;
       is_watch_locked = true
     };
     timer_look();
     goes_on = LACKS_KEEPER && PLANT != 8;
     if
     :: goes_on
     :: else ->
        is_on = false;
        goes_on = LACKS_KEEPER && PLANT != 7 && PLANT != 8;
        is_on = goes_on
     fi;
     atomic { is_watched = goes_on; goes_on = false; is_watch_locked = false }
  od
}

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(NEXT > now);
  assert(!is_watch_locked)
}
