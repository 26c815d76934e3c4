/*
** lock.pml - a model of src/core/lock.c for the model checker spin
**
** `make model` tries all interleavings of three threads.  Each does what it
** likes, as often as it likes: enter (for ever, with a deadline, or without
** waiting), leave, abandon, close, doom, interrupt.  It stops when it likes,
** but not inside.  Signals arrive at any moment after they were sent; the hook
** that their handler sets can get lost; the watcher tries again.
**
** The inlines have the names of the functions of lock.c and are to be read
** side by side with those.  Each read or change of something that threads
** share is a step of its own, unless only who has the mutex sees it.  One
** step, too, are a compare-and-swap, taking the mutex, going to sleep together
** with releasing it, and waking a thread, which has to get the mutex first,
** together with the store before that.  A weak compare-and-swap does not fail
** for no reason here: it would be repeated.
**
** Left open, so that all is tried: when a turn comes, a deadline passes or a
** nap ends, whether there were many calls meanwhile, which calls look at the
** queue without being asked, and how often a thread tries before it sleeps.
**
** Checked are
** - the assertions: at most one thread is inside, and nobody once the Lua
**   state is closed, which happens once; who was pinned stays in while the
**   mutex is held; if there is a level, who runs Lua code has the hook, or will
**   get a signal, or is watched, or somebody has the mutex, so no interrupt is
**   lost; signals go to threads that hold the state; if the first in the queue sleeps, but for a nap, while
**   the mutex is free, somebody is inside and COME is set; at the end nobody
**   is queued or inside, the mutex is free, and no flag but COME or CLOSED is
**   left;
** - that nothing ends before all threads have stopped: no wake-up is lost and
**   no waiter left behind.  The others can stop at any moment, and wake-ups
**   without reason are limited, so they do not hide that;
** - that no thread that gets its turns is kept busy for ever within these
**   functions while nobody gets anything done (a run without progress).
**
** Not in the model: weak memory (all operations on the word are sequentially
** consistent), the wait graph, nested calls (a thread that is inside does not
** come to the lock), references, and that running threads may overtake those
** that wait.
*/

#ifndef THREADS
#define THREADS 3
#endif
#define NOBODY 0
#define WATCHER 4

/* The word: the thread that holds the lock, or NOBODY, and flags. */
#define HOLDER 3
#define COME 4
#define DOOMED 8
#define CLOSED 16

/* As mts_Status. */
#define OK 0
#define BUSY 1
#define IS_CLOSED 2

/* mts_Lock */
byte word;
byte mutex; /* who has it */
chan queue = [THREADS] of {byte};
bool holder_wants_mutex;
bool is_backing_off;

/* Interrupts that may still come, if their number is limited. */
#ifndef INTERRUPTS
#define INTERRUPTS 0
#define MAY_INTERRUPT true
#else
#define MAY_INTERRUPT interrupts > 0
#endif
byte interrupts = INTERRUPTS;

#ifndef BACKING_OFF
#define BACKING_OFF true
#endif

/* mts_State */
bool level;      /* interrupt */
bool hook;       /* of the Lua thread that runs */
bool is_watched; /* by the watcher, */
bool is_trying_again; /* which has its mutex */
byte sent; /* interrupters that have sent a signal and not looked after it */

/* mts_Thread, mts_Self */
bool is_signalled[4];
bool holds[4]; /* the state is in the thread's list */

/* mts_Waiter of each thread */
bool is_turn;                 /* of the first in the queue */
bool is_asleep[4];  /* on its condition wake_up */
bool is_napping[4]; /* the same, not longer than BACK_OFF */

bool is_lua_closed; /* mts_state_finish_close has run */
byte inside;        /* threads between enter and leave, */
byte stopped;       /* and those at their end */

#ifndef SPURIOUS
#define SPURIOUS 1
#endif
byte spurious = SPURIOUS; /* wake-ups without reason that may still come */

#ifndef LOST
#define LOST 0
#endif
byte lost = LOST; /* hooks that may still get lost */

/* ======================================================================= */
/* Atomic operations, mutex and condition                                  */
/* ======================================================================= */

/* old is the variable `word` of the C code. */
inline compare_exchange(new)
{
  atomic {
    is_swapped = word == old;
    if
    :: is_swapped -> word = new
    :: else -> old = word
    fi
  }
}

#define SLEEPS_FIRST(t) (queue?[t] && is_asleep[t] && !is_napping[t])

inline mutex_lock()
{
  atomic {
    mutex == NOBODY -> mutex = self;
    assert(!(SLEEPS_FIRST(1) || SLEEPS_FIRST(2) || SLEEPS_FIRST(3)) ||
           ((word & COME) && (word & HOLDER)))
  }
}

inline mutex_unlock()
{
  assert(mutex == self);
  mutex = NOBODY
}

inline cond_wait_until(for_nap)
{
  atomic {
    is_asleep[self] = true;
    is_napping[self] = for_nap;
    mutex_unlock()
  }
  if
  :: atomic { !is_asleep[self] -> skip }
  :: atomic { is_napping[self] -> skip }
  :: atomic { has_deadline -> is_in_time = false }
  :: atomic { spurious > 0 -> spurious-- }
  fi;
  atomic {
    is_asleep[self] = false;
    is_napping[self] = false
  };
  mutex_lock()
}

/* ======================================================================= */
/* The queue; all under the mutex                                          */
/* ======================================================================= */

/* Once true it remains so until there is another first. */
inline is_starving()
{
  if
  :: true -> is_turn = true
  :: !is_turn -> skip
  fi
}

inline wake(thread)
{
  is_asleep[thread] = false
}

inline look_after_first()
{
  if
  :: !is_backing_off -> lock_pin()
  :: is_backing_off
  fi;
  d_step {
    if
    :: pinned == NOBODY -> queue?<thread>; wake(thread)
    :: pinned != NOBODY
    fi;
    pinned = NOBODY;
    thread = NOBODY
  }
}

inline join_queue()
{
  queue!self
}

inline quit_queue()
{
  d_step {
    is_first = queue?[eval(self)];
    is_turn = is_turn && !is_first;
    queue??eval(self)
  };
  if
  :: is_first && nempty(queue) -> look_after_first()
  :: !is_first || empty(queue)
  fi;
  is_first = false
}

inline wake_all()
{
  d_step {
    thread = 1;
    do
    :: thread <= THREADS ->
       if
       :: queue??[eval(thread)] -> wake(thread)
       :: !queue??[eval(thread)]
       fi;
       thread++
    :: thread > THREADS -> break
    od;
    thread = NOBODY
  }
}

inline serve_queue()
{
  atomic {
    if
    :: nempty(queue) -> queue?<thread>; is_starving()
    :: empty(queue) -> is_backing_off = false
    fi;
    if
    :: is_turn -> holder_wants_mutex = true
    :: !is_turn
    fi
  };
  atomic {
    if
    :: is_turn -> word = thread
    :: !is_turn && (is_backing_off || thread == NOBODY) -> word = 0
    :: !is_turn && !is_backing_off && thread != NOBODY -> word = COME
    fi;
    if
    :: is_turn || !is_backing_off -> wake(thread)
    :: !is_turn && is_backing_off
    fi;
    thread = NOBODY
  }
}

/* ======================================================================= */
/* Enter and leave                                                         */
/* ======================================================================= */

inline try_to_enter()
{
  old = word;
  do
  :: old & (CLOSED | DOOMED) -> status = IS_CLOSED; break
  :: else ->
     if
     :: old & HOLDER -> status = BUSY; break
     :: else -> compare_exchange(old | self)
     fi;
     if
     :: is_swapped -> status = OK; break
     :: else
     fi
  od;
  old = 0
}

inline expect_lock()
{
  mutex_unlock();
  mutex_lock()
}

inline nap()
{
  word = word & ~COME;
  cond_wait_until(true);
  if
  :: is_turn = true;
     lock_pin();
     if
     :: pinned != NOBODY -> pinned = NOBODY; expect_lock()
     :: pinned == NOBODY
     fi
  :: is_backing_off = false
  fi
}

inline wait_for_chance()
{
  atomic {
    is_first = queue?[eval(self)];
    if
    :: is_first && is_backing_off -> is_starving()
    :: !is_first || !is_backing_off
    fi
  };
  if
  :: !is_first -> cond_wait_until(false)
  :: is_first && is_backing_off && !is_turn -> nap()
  :: is_first && (!is_backing_off || is_turn) ->
     lock_pin();
     if
     :: pinned != NOBODY ->
        pinned = NOBODY;
        cond_wait_until(false);
        if
        :: BACKING_OFF -> is_backing_off = true
        :: skip
        fi
     :: pinned == NOBODY
     fi
  fi;
  is_first = false
}

inline wait_in_queue()
{
  is_in_time = true;
  join_queue();
  do
  :: if
     :: atomic { (word & HOLDER) == self -> status = OK }
     :: else -> try_to_enter()
     fi;
     if
     :: status != BUSY || !is_in_time -> break
     :: else
     fi;
     wait_for_chance()
  od;
  if
  :: status == OK -> holder_wants_mutex = false
  :: else
  fi;
  quit_queue();
  is_in_time = false
}

inline wait_to_enter()
{
  mutex_lock();
  wait_in_queue();
  mutex_unlock()
}

inline lock_enter()
{
  old = 0;
  compare_exchange(self);
  if
  :: is_swapped -> status = OK
  :: !is_swapped ->
     do
     :: try_to_enter();
        if
        :: status == BUSY && can_wait
        :: status == BUSY && can_wait -> wait_to_enter(); break
        :: status != BUSY || !can_wait -> break
        fi
     od
  fi
}

inline lock_come()
{
  holder_wants_mutex = true;
  mutex_lock();
  holder_wants_mutex = false
}

inline lock_leave()
{
  old = self;
  if
  :: compare_exchange(0)
  :: is_backing_off -> is_swapped = false /* looks without being asked */
  fi;
  if
  :: is_swapped -> old = 0
  :: !is_swapped ->
     old = 0;
     lock_come();
     is_over = (word & (DOOMED | CLOSED)) != 0;
     if
     :: is_over -> word = CLOSED
     :: !is_over -> serve_queue()
     fi;
     mutex_unlock();
     if
     :: is_over -> finish_close()
     :: !is_over
     fi;
     is_over = false
  fi
}

/* Leaves its result in pinned. */
inline lock_pin()
{
  old = word;
  do
  :: old & HOLDER ->
     compare_exchange(old | COME);
     if
     :: is_swapped -> break
     :: else
     fi
  :: else -> break
  od;
  pinned = old & HOLDER;
  old = 0
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

inline close_if_free()
{
  old = word;
  do
  :: old & CLOSED -> status = IS_CLOSED; break
  :: else ->
     if
     :: old & HOLDER -> status = BUSY; break
     :: else -> compare_exchange(CLOSED)
     fi;
     if
     :: is_swapped -> wake_all(); status = OK; break
     :: else
     fi
  od;
  old = 0
}

inline lock_close()
{
  mutex_lock();
  close_if_free();
  mutex_unlock();
  if
  :: status == OK -> finish_close()
  :: else
  fi
}

inline lock_doom()
{
  mutex_lock();
  do
  :: close_if_free();
     if
     :: status != BUSY -> break
     :: status == BUSY -> lock_pin()
     fi;
     if
     :: pinned != NOBODY -> break
     :: pinned == NOBODY
     fi
  od;
  if
  :: status == BUSY ->
     word = word | DOOMED;
     wake_all()
  :: status != BUSY
  fi;
  pinned = NOBODY;
  mutex_unlock();
  if
  :: status == OK -> finish_close()
  :: else
  fi
}

inline lock_abandon()
{
  mutex_lock();
  atomic {
    word = CLOSED;
    is_inside = false;
    is_running = false;
    inside--;
    finish_close()
  }
  wake_all();
  mutex_unlock()
}

/* ======================================================================= */
/* The threads                                                             */
/* ======================================================================= */

/* mts_state_finish_close */
inline finish_close()
{
  assert(inside == 0 && !is_lua_closed);
  level = false;
  is_lua_closed = true
}

/* Leaves in pinned whom it has sent a signal. */
inline reach_holder()
{
  lock_pin();
  atomic {
    if
    :: pinned == NOBODY
    :: pinned != NOBODY && holder_wants_mutex -> pinned = NOBODY
    :: pinned == self && !holder_wants_mutex -> hook = true; pinned = NOBODY
    :: pinned != NOBODY && pinned != self && !holder_wants_mutex ->
       assert((word & HOLDER) == pinned);
       is_signalled[pinned] = true
    fi
  }
}

/* mts_interrupt_request; whether the hook is awaited makes no difference */
inline interrupt()
{
  mutex_lock();
  if
  :: !(word & CLOSED) -> level = true; reach_holder()
  :: else
  fi;
  atomic {
    if
    :: LOST && pinned != NOBODY -> is_sent = true; sent++
    :: else
    fi;
    pinned = NOBODY;
    mutex_unlock()
  }
  if
  :: is_sent ->
     atomic { !is_trying_again -> is_watched = level; is_sent = false; sent-- }
  :: else
  fi
}

/* mts_interrupt_check */
inline interrupt_check()
{
  if
  :: level ->
     lock_come();
     hook = level;
     mutex_unlock()
  :: else
  fi
}

inline interrupt_hook()
{
  lock_come();
  level = false;
  hook = false;
  mutex_unlock()
}

active [THREADS] proctype thread_that_calls()
{
  byte self = _pid + 1;
  byte old, status, thread, pinned;
  bool is_swapped, is_first, is_inside, is_running, is_sent;
  bool can_wait, has_deadline, is_in_time, is_over;
progress:
  do
  :: !is_inside ->
     if
     :: can_wait = false
     :: can_wait = true; has_deadline = false
     :: can_wait = true; has_deadline = true
     fi;
     lock_enter();
     atomic {
       if
       :: status == OK ->
          is_inside = true;
          inside++;
          assert(inside == 1 && !is_lua_closed)
       :: else
       fi;
       status = 0;
       can_wait = false;
       has_deadline = false
     };
     if
     :: is_inside ->
        holds[self] = true;
        interrupt_check();
        is_running = true
     :: else
     fi
  :: is_running ->
     atomic {
       assert(!level || hook || is_signalled[self] || sent > 0 ||
              is_watched || is_trying_again || mutex != NOBODY);
       if
       :: hook -> skip
       :: else -> goto next
       fi
     };
     interrupt_hook();
next: skip
  :: is_inside ->
     atomic {
       assert(inside == 1 && !is_lua_closed && (word & HOLDER) == self);
       is_inside = false;
       is_running = false;
       inside--
     }
     holds[self] = false;
     lock_leave()
  :: is_inside ->
     assert(inside == 1 && !is_lua_closed && (word & HOLDER) == self);
     lock_abandon()
  :: lock_close(); status = 0
  :: lock_doom(); status = 0
  :: atomic {
       MAY_INTERRUPT ->
       if
       :: interrupts > 0 -> interrupts--
       :: else
       fi
     }
     interrupt()
  :: !is_inside -> break
  od;
  atomic {
    stopped++;
    if
    :: stopped == THREADS ->
       assert(empty(queue) && (mutex == NOBODY || mutex == WATCHER) &&
              inside == 0);
       assert((word & ~COME) == 0 || word == CLOSED);
       assert(is_lua_closed == (word == CLOSED))
    :: else
    fi
  }
}

/* ======================================================================= */
/* Signals and the watcher                                                 */
/* ======================================================================= */

/* The handler, in whatever its thread is doing. */
inline handle_signal(t)
{
  is_signalled[t] = false;
  if
  :: level && holds[t] -> hook = true
  :: level && holds[t] && lost > 0 -> lost--
  :: !level || !holds[t]
  fi
}

active proctype signals()
{
end:
  do
  :: atomic { is_signalled[1] -> handle_signal(1) }
  :: atomic { is_signalled[2] -> handle_signal(2) }
  :: atomic { is_signalled[3] -> handle_signal(3) }
  od
}

/* request_again */
active proctype watcher()
{
  byte self = WATCHER;
  byte old, pinned;
  bool is_swapped;
end:
  do
  :: atomic { is_watched -> is_watched = false; is_trying_again = true }
     mutex_lock();
     if
     :: level -> reach_holder()
     :: else
     fi;
     atomic {
       is_watched = pinned != NOBODY;
       pinned = NOBODY;
       is_trying_again = false;
       mutex_unlock()
     }
  od
}
