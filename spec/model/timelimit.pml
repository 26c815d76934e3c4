/*
** timelimit.pml - a model of time limits, for the checker spin
**
** `make model` tries all interleavings.  A thread makes calls of a state with
** a limit, one after another.  Each of them ends when it likes, or computes for
** ever; it can wait in between, when its time does not go on.  The watcher
** sleeps until its watch of the state is due.  The clock goes on when it likes.
**
** The inlines have the names of functions in src/core/timelimit.c, watch.c,
** interrupt.c and hook.c, without mts_, and are to be read side by side with
** them.  What happens with a mutex held is one step only where nobody looks at
** it without the mutex.
**
** Checked is: no code is hit before its time is over (an assertion); and when
** nothing can happen any more at that time, no code computes whose time is
** over, but that which has been hit for good, where the hook stays set.  Code
** can take the hook away then, once; in any case the watch is on.
**
** Not in the model: weak memory (all of this is sequentially consistent),
** signals and hooks that get lost (lock.pml), who holds the state, and several
** states, whose watches have nothing to do with each other but the heap.
**
** -DPLANT=n plants a mistake:
**  1 a thread looks at the watch first and publishes the deadline then
**  2 the watcher looks at the deadline first and takes the watch off then
**  3 the hook does not look at the clock
**  4 a watch that is due earlier does not wake the watcher
**  5 code that has no time left goes on without the watcher knowing
**  6 the hook takes a level back that is for good
**  7 clean-up has its time without the watcher knowing
**  8 code that is hit for good is not watched any more
*/

#ifndef PLANT
#define PLANT 0
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef LAST
#define LAST 4 /* what the clock shows last */
#endif
#ifndef WAITS
#define WAITS 1 /* of each call */
#endif
#ifndef CLEANS
#define CLEANS 1 /* whether clean-up has the same time again */
#endif

#define LIMIT 1
#define FOREVER 9

byte now;

/* mts_TimeLimit. */
byte deadline = FOREVER;
byte due = FOREVER; /* of the watch; FOREVER: it is off */

/* The watcher, and the event on which it sleeps. */
bool watch_mutex;
byte sleeps_until = FOREVER;
bool wake_up;

/* The lock and the interrupts of the state. */
bool state_mutex;
bool level, hook, signal;

/* mts_Runtime, for the thread alone. */
mtype = { running, cleaning, over };
mtype stage;
byte left;   /* of the limit, when it began to run */
byte end_at; /* when that will be used up */
bool is_on;  /* it runs */
bool is_taken; /* that code has taken the hook away */

#define LOCK(mutex) atomic { !mutex -> mutex = true }
#define UNLOCK(mutex) mutex = false

/* ======================================================================= */
/* The thread that holds the state                                         */
/* ======================================================================= */

/* mts_watch_start, where the watch is due later or off. */
/* C: mts_watch_start mts_watch_is_needed */
inline watch_start(at)
{
  LOCK(watch_mutex);
  if
  :: at < due -> due = at
  :: else
  fi;
  wakes = at < sleeps_until && PLANT != 4;
  UNLOCK(watch_mutex);
  if
  :: wakes -> wake_up = true
  :: else
  fi
}

/* C: publish_deadline */
inline publish(at)
{
  if
  :: PLANT != 1 ->
     deadline = at;
     if
     :: at < due -> watch_start(at)
     :: else
     fi
  :: else ->
     if
     :: at < due -> watch_start(at)
     :: else
     fi;
     deadline = at
  fi
}

/* C: mts_interrupt_note_late */
inline hit_at_once()
{
  LOCK(state_mutex);
  level = true;
  hook = true;
  UNLOCK(state_mutex)
}

/* Code that has no time left is hit at once. */
/* C: mts_timelimit_begin */
inline start()
{
  end_at = now + left;
  is_on = true;
  if
  :: left == 0 -> hit_at_once()
  :: else
  fi;
  if
  :: left == 0 && PLANT == 5
  :: else -> publish(end_at)
  fi
}

/* The level, if there is one, is left to the hook of the next call. */
/* C: mts_timelimit_pause_one */
inline stop()
{
  is_on = false;
  left = (end_at > now -> end_at - now : 0);
  deadline = FOREVER
}

/*
** It waits, or calls another state, which can call this one back: the hook
** finds other code there.
*/
inline wait()
{
  waits++;
  stop();
  if
  :: hook ->
     LOCK(state_mutex);
     level = false;
     hook = false;
     UNLOCK(state_mutex)
  :: skip
  fi;
  start()
}

/* interrupt_hook, take_hit, mts_timelimit_take. */
/* C: interrupt_hook take_hit mts_timelimit_take mts_timelimit_follow */
inline run_hook()
{
  LOCK(state_mutex);
  arms = false;
  if
  :: level && (now >= end_at || stage == over || PLANT == 3) ->
     assert(now >= end_at);
     if
     :: stage == running && CLEANS ->
        stage = cleaning;
        end_at = now + LIMIT;
        deadline = end_at;
        level = false;
        arms = PLANT != 7
     :: else ->
        stage = over;
        deadline = (PLANT == 8 -> FOREVER : deadline);
        level = PLANT != 6
     fi
  :: else -> level = false
  fi;
  hook = level;
  UNLOCK(state_mutex);
  if
  :: arms && end_at < due -> watch_start(end_at)
  :: else
  fi
}

active proctype thread()
{
  bool wakes, arms;
  byte calls, waits;
  do
  :: calls < CALLS ->
     calls++;
     stage = running;
     left = LIMIT;
     waits = 0;
     start();
     do
     :: waits < WAITS -> wait()
     :: hook -> run_hook();
        if
        :: stage == over -> goto end_hit
        :: else
        fi
     :: break
     :: goto end_computes
     od;
     stop()
  :: else -> break
  od;
  goto done;
end_computes: /* for ever, unless it is hit for good */
  do
  :: hook -> run_hook();
     if
     :: stage == over -> goto end_hit
     :: else
     fi
  od;
end_hit: /* at every operation from now on; or it ends */
  if
  :: waits < WAITS -> wait(); goto end_hit
  :: hook && !is_taken -> is_taken = true; hook = false; goto end_computes
  :: calls < CALLS -> stop();
     calls++;
     stage = running;
     left = LIMIT;
     start();
     goto end_computes
  fi;
done: skip
}

/* The handler of the signal, in that thread. */
/* C: set_hooks_of_thread */
active proctype handler()
{
end:
  do
  :: atomic { signal -> signal = false; hook = hook || level }
  od
}

/* ======================================================================= */
/* The watcher                                                             */
/* ======================================================================= */

/* mts_interrupt_post_late: it need not be so any more. */
/* C: mts_interrupt_post_late */
inline post_late()
{
  LOCK(state_mutex);
  level = true;
  signal = true;
  UNLOCK(state_mutex)
}

/* try_watch, look_at_deadline; the delay can be so long that it is no help */
/* C: try_watch look_at_deadline */
inline try_watch()
{
  if
  :: PLANT != 2 -> due = FOREVER; seen = deadline
  :: else -> seen = deadline; due = FOREVER
  fi;
  if
  :: seen == FOREVER
  :: seen != FOREVER && seen > now -> due = seen
  :: else -> post_late(); due = LAST + 1
  fi
}

/* C: run_watcher try_due_watches */
active proctype watcher()
{
  byte seen;
  do
  :: LOCK(watch_mutex);
     if
     :: due <= now -> try_watch()
     :: else
     fi;
     sleeps_until = due;
     UNLOCK(watch_mutex);
end_sleeps:
     if
     :: atomic { wake_up -> wake_up = false }
     :: now >= sleeps_until && due <= now
     fi
  od
}

active proctype clock()
{
  do
  :: now < LAST -> now++
  :: break
  od
}

/* ======================================================================= */
/* When nothing can happen any more                                        */
/* ======================================================================= */

active proctype judge()
{
  timeout;
  assert(!is_on || stage == over || now < end_at);
  assert(!is_on || stage != over || is_taken || (level && hook));
  assert(!is_on || now < end_at || due != FOREVER)
}
