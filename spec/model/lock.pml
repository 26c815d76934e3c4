/*
** lock.pml - a model of the call lock and of interrupts, for the checker spin
**
** `make model` tries all interleavings of three threads.  Each does anything
** in any order and as often as it likes: enter (for ever, with a deadline, or
** without waiting), leave, close, close deferred, close held, interrupt, and
** a limited number of times, request.  It stops at any moment when it does not
** hold the lock.  A signal arrives at any moment after it was sent; the hook
** that its handler sets can get lost; the watcher tries again.
**
** The inlines have the names of functions in src/core/lockword.h, lock.c,
** lockqueue.c and interrupt.c, without mts_, and are to be read side by side
** with them.  Each read or change of something that threads share is a step of
** its own, unless only the thread that has the mutex sees it.  One step, too,
** are: a compare-and-swap; taking the mutex; going to sleep together with
** releasing it; waking a thread, which has to get the mutex first, together
** with the store before that.  A weak compare-and-swap never fails without a
** reason here, since it would be repeated.
**
** Left open, so that all is tried, are: when a hand-off is due, a deadline
** passes or backing off ends; whether there were many calls meanwhile; which
** calls look at the queue without being asked to; and how often a thread tries
** before it sleeps.
**
** Checked are
** - the assertions: at most one thread is inside, and none once the Lua state
**   is closed, which happens once; a pinned thread stays inside while the
**   mutex is held; no interrupt is lost: if there is a level, the thread that
**   runs Lua code has the hook, or will get a signal, or is watched, or a
**   thread has the mutex; signals go to threads that hold the state; what was
**   requested is reported, once; if the first in the queue sleeps, not backing
**   off, while the mutex is free, a thread is inside and CONTENDED is set; at
**   the end no thread is queued or inside, the mutex is free, and no flag but
**   CONTENDED or CLOSED is left;
** - that nothing ends before all threads have stopped: no wake-up is lost and
**   no waiter is left behind.  This is not hidden by the other threads, since
**   they can stop at any moment, nor by spurious wake-ups, which are limited;
** - that there is no run without progress: no thread that the scheduler lets
**   run stays for ever within these functions while no thread gets anything
**   done.
**
** Not in the model: weak memory (all operations on the word are sequentially
** consistent), the wait graph, nested calls (a thread that is inside does not
** use the lock), references, and how often running threads barge in.
*/

#ifndef THREADS
#define THREADS 3
#endif
#define NOBODY 0
#define WATCHER 4

/* The word: the thread that holds the lock, or NOBODY, and flags. */
#define HOLDER 3
#define CONTENDED 4
#define CLOSING 8
#define CLOSED 16
#define REQUESTED 32

/* As mts_Status. */
#define OK 0
#define BUSY 1
#define IS_CLOSED 2

/* mts_Lock */
byte word;
byte mutex; /* the thread that has it */
chan queue = [THREADS] of {byte};
bool holder_wants_mutex;
bool is_backing_off;

/* How often somebody requests that leaving is reported.  There is one such
** request at a time, as the queue of the state is blocked then. */
#ifndef REQUESTS
#define REQUESTS 0
#endif
byte requests = REQUESTS;
bool is_report_due;

/* Interrupts that may still be requested, if their number is limited. */
#ifndef INTERRUPTS
#define INTERRUPTS 0
#define MAY_INTERRUPT true
#else
#define MAY_INTERRUPT interrupts > 0
#endif
byte interrupts = INTERRUPTS;

#ifndef MAY_BACK_OFF
#define MAY_BACK_OFF true
#endif

/* mts_InterruptNode */
bool level;
bool hook;       /* set in the running Lua thread */
bool is_watched; /* by the watcher, */
bool is_trying_again; /* which has its mutex */
byte sent; /* interrupters between sending a signal and starting a watch */

/* mts_Thread */
bool is_signalled[4];
bool holds[4]; /* the state is in the thread's list of held ones */

/* mts_Waiter of each thread */
bool is_handoff_due; /* of the first in the queue, once it is starving */
bool is_asleep[4];  /* on its condition wake_up */
bool backs_off[4]; /* the same, for BACK_OFF_TIME at most */

bool is_lua_closed; /* mts_state_finish_close has run */
byte inside;        /* threads between enter and leave, */
byte stopped;       /* and those at their end */

#ifndef SPURIOUS
#define SPURIOUS 1
#endif
byte spurious = SPURIOUS; /* spurious wake-ups that are left */

#ifndef LOST
#define LOST 0
#endif
byte lost = LOST; /* lost hooks that are left */

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

#define SLEEPS_FIRST(t) (queue?[t] && is_asleep[t] && !backs_off[t])

inline mutex_lock()
{
  atomic {
    mutex == NOBODY -> mutex = self;
    assert(!(SLEEPS_FIRST(1) || SLEEPS_FIRST(2) || SLEEPS_FIRST(3)) ||
           ((word & CONTENDED) && (word & HOLDER)))
  }
}

inline mutex_unlock()
{
  assert(mutex == self);
  mutex = NOBODY
}

inline cond_wait_until(for_back_off)
{
  atomic {
    is_asleep[self] = true;
    backs_off[self] = for_back_off;
    mutex_unlock()
  }
  if
  :: atomic { !is_asleep[self] -> skip }
  :: atomic { backs_off[self] -> skip }
  :: atomic { has_deadline -> is_in_time = false }
  :: atomic { spurious > 0 -> spurious-- }
  fi;
  atomic {
    is_asleep[self] = false;
    backs_off[self] = false
  };
  mutex_lock()
}

/* ======================================================================= */
/* The word: lockword.h                                                    */
/* ======================================================================= */

/* C: mts_lockword_take */
inline lockword_take()
{
  old = word;
  do
  :: old & (CLOSED | CLOSING) -> status = IS_CLOSED; break
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

/* Leaves its result in pinned. */
/* C: mts_lockword_pin */
inline lockword_pin()
{
  old = word;
  do
  :: old & HOLDER ->
     compare_exchange(old | CONTENDED);
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
/* The queue, all under the mutex: lockqueue.c                             */
/* ======================================================================= */

/* Once it is due it remains so until there is another first. */
/* C: is_starving */
inline is_starving()
{
  if
  :: true -> is_handoff_due = true
  :: !is_handoff_due -> skip
  fi
}

inline wake(thread)
{
  is_asleep[thread] = false
}

/* C: start_first */
inline start_first()
{
  if
  :: !is_backing_off -> lockword_pin()
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

/* C: enqueue */
inline enqueue()
{
  queue!self
}

/* C: dequeue */
inline dequeue()
{
  d_step {
    is_first = queue?[eval(self)];
    is_handoff_due = is_handoff_due && !is_first;
    queue??eval(self)
  };
  if
  :: is_first && nempty(queue) -> start_first()
  :: !is_first || empty(queue)
  fi;
  is_first = false
}

/* C: mts_lockqueue_wake_all */
inline lockqueue_wake_all()
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

/* C: mts_lockqueue_release */
inline lockqueue_release()
{
  atomic {
    if
    :: nempty(queue) -> queue?<thread>; is_starving()
    :: empty(queue) -> is_backing_off = false
    fi;
    if
    :: is_handoff_due -> holder_wants_mutex = true
    :: !is_handoff_due
    fi
  };
  atomic {
    if
    :: is_handoff_due -> word = thread
    :: !is_handoff_due && (is_backing_off || thread == NOBODY) -> word = 0
    :: !is_handoff_due && !is_backing_off && thread != NOBODY ->
       word = CONTENDED
    fi;
    if
    :: is_handoff_due || !is_backing_off -> wake(thread)
    :: !is_handoff_due && is_backing_off
    fi;
    thread = NOBODY
  }
}

/* C: spin_for_handoff */
inline spin_for_handoff()
{
  mutex_unlock();
  mutex_lock()
}

/* C: back_off */
inline back_off()
{
  word = word & ~CONTENDED;
  cond_wait_until(true);
  if
  :: is_handoff_due = true;
     lockword_pin();
     if
     :: pinned != NOBODY -> pinned = NOBODY; spin_for_handoff()
     :: pinned == NOBODY
     fi
  :: is_backing_off = false
  fi
}

/* C: sleep_until_retry */
inline sleep_until_retry()
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
  :: is_first && is_backing_off && !is_handoff_due -> back_off()
  :: is_first && (!is_backing_off || is_handoff_due) ->
     lockword_pin();
     if
     :: pinned != NOBODY ->
        pinned = NOBODY;
        cond_wait_until(false);
        if
        :: MAY_BACK_OFF -> is_backing_off = true
        :: skip
        fi
     :: pinned == NOBODY
     fi
  fi;
  is_first = false
}

/* C: mts_lockqueue_wait */
inline lockqueue_wait()
{
  is_in_time = true;
  enqueue();
  do
  :: if
     :: atomic { (word & HOLDER) == self -> status = OK }
     :: else -> lockword_take()
     fi;
     if
     :: status != BUSY || !is_in_time -> break
     :: else
     fi;
     sleep_until_retry()
  od;
  if
  :: status == OK -> holder_wants_mutex = false
  :: else
  fi;
  dequeue();
  is_in_time = false
}

/* ======================================================================= */
/* Enter and leave: lock.c                                                 */
/* ======================================================================= */

/* C: wait_to_enter */
inline wait_to_enter()
{
  mutex_lock();
  lockqueue_wait();
  mutex_unlock()
}

/* C: mts_lock_enter mts_lock_enter_slow */
inline lock_enter()
{
  old = 0;
  compare_exchange(self);
  if
  :: is_swapped -> status = OK
  :: !is_swapped ->
     do
     :: lockword_take();
        if
        :: status == BUSY && can_wait
        :: status == BUSY && can_wait -> wait_to_enter(); break
        :: status != BUSY || !can_wait -> break
        fi
     od
  fi
}

/* state_left in serve.c or, if the lock is closed, state_closed. */
/* C: state_left */
inline report()
{
  d_step {
    assert(is_report_due);
    is_report_due = false;
    is_requested = false
  }
}

/* C: mts_lock_acquire_mutex */
inline lock_acquire_mutex()
{
  holder_wants_mutex = true;
  mutex_lock();
  holder_wants_mutex = false
}

/* C: mts_lock_leave mts_lock_leave_slow leave_closing */
inline lock_leave()
{
  old = self;
  if
  :: compare_exchange(0)
  :: is_backing_off -> is_swapped = false /* looks at the queue unasked */
  fi;
  if
  :: is_swapped -> old = 0
  :: !is_swapped ->
     old = 0;
     lock_acquire_mutex();
     is_ending = (word & (CLOSING | CLOSED)) != 0;
     is_requested = (word & REQUESTED) != 0;
     if
     :: is_ending -> word = CLOSED
     :: !is_ending -> lockqueue_release()
     fi;
     mutex_unlock();
     if
     :: is_requested -> report()
     :: !is_requested
     fi;
     if
     :: is_ending -> finish_close()
     :: !is_ending
     fi;
     is_ending = false
  fi
}

/* Of a thread that has found the lock held, as a rule. */
/* C: mts_lock_request */
inline lock_request()
{
  mutex_lock();
  lockword_pin();
  if
  :: pinned != NOBODY ->
     pinned = NOBODY;
     d_step {
       assert(word & HOLDER);
       word = word | REQUESTED;
       is_report_due = true
     }
  :: pinned == NOBODY
  fi;
  mutex_unlock()
}

/* ======================================================================= */
/* Close: lock.c                                                           */
/* ======================================================================= */

/* C: close_if_free */
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
     :: is_swapped -> lockqueue_wake_all(); status = OK; break
     :: else
     fi
  od;
  old = 0
}

/* C: mts_lock_close close_lock close_or_pin */
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

/* C: mts_lock_close_deferred defer_close */
inline lock_close_deferred()
{
  mutex_lock();
  do
  :: close_if_free();
     if
     :: status != BUSY -> break
     :: status == BUSY -> lockword_pin()
     fi;
     if
     :: pinned != NOBODY -> break
     :: pinned == NOBODY
     fi
  od;
  if
  :: status == BUSY ->
     word = word | CLOSING;
     lockqueue_wake_all()
  :: status != BUSY
  fi;
  pinned = NOBODY;
  mutex_unlock();
  if
  :: status == OK -> finish_close()
  :: else
  fi
}

/* C: mts_lock_close_held */
inline lock_close_held()
{
  mutex_lock();
  atomic {
    is_report_due = is_report_due && !(word & REQUESTED); /* state_closed */
    word = CLOSED;
    is_inside = false;
    is_running = false;
    inside--;
    finish_close()
  }
  lockqueue_wake_all();
  mutex_unlock()
}

/* ======================================================================= */
/* Interrupts: interrupt.c; and the threads                                */
/* ======================================================================= */

/* mts_state_finish_close */
/* C: mts_state_finish_close */
inline finish_close()
{
  assert(inside == 0 && !is_lua_closed);
  level = false;
  is_lua_closed = true
}

/* Leaves in pinned the thread that it has sent a signal. */
/* C: reach_holder */
inline reach_holder()
{
  lockword_pin();
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

/* Whether the hook is awaited makes no difference. */
/* C: mts_interrupt_request send_level watch_state */
inline interrupt_request()
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
/* C: mts_interrupt_check */
inline interrupt_check()
{
  if
  :: level ->
     lock_acquire_mutex();
     hook = level;
     mutex_unlock()
  :: else
  fi
}

/* C: interrupt_hook take_hit */
inline interrupt_hook()
{
  lock_acquire_mutex();
  level = false;
  hook = false;
  mutex_unlock()
}

active [THREADS] proctype thread_that_calls()
{
  byte self = _pid + 1;
  byte old, status, thread, pinned;
  bool is_swapped, is_first, is_inside, is_running, is_sent;
  bool can_wait, has_deadline, is_in_time, is_ending, is_requested;
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
     lock_close_held()
  :: lock_close(); status = 0
  :: lock_close_deferred(); status = 0
  :: atomic {
       MAY_INTERRUPT ->
       if
       :: interrupts > 0 -> interrupts--
       :: else
       fi
     }
     interrupt_request()
  :: atomic { !is_inside && requests > 0 && !is_report_due -> requests-- }
     lock_request()
  :: !is_inside -> break
  od;
  atomic {
    stopped++;
    if
    :: stopped == THREADS ->
       assert(empty(queue) && (mutex == NOBODY || mutex == WATCHER) &&
              inside == 0);
       assert((word & ~CONTENDED) == 0 || word == CLOSED);
       assert(!is_report_due);
       assert(is_lua_closed == (word == CLOSED))
    :: else
    fi
  }
}

/* ======================================================================= */
/* Signals and the watcher                                                 */
/* ======================================================================= */

/* The handler, in whatever its thread is doing. */
/* C: set_hooks_of_thread */
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
/* C: request_again */
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
