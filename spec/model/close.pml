/*
** close.pml - a model of how a state with a last function is closed, for spin
**
** `make model` tries all interleavings.  A state, whose setup returned a
** function `__close` or did not, is served by a worker or by a thread of its
** own.  It gets requests; if there is no such thread, another thread calls it,
** too.  A request or a call can use quit().  Two threads close the state: at
** once, or when it is done, with a timeout that passes at any moment; or the
** owner drops it.
**
** The inlines have the names of functions in src/core/lock.c and registry.c,
** src/state.c, and src/sched/closing.c, queueclose.c, queue.c, serve.c and
** ownthread.c, without mts_, and are to be read side by side with them.  What
** happens under a mutex is one step.  How threads wait for the lock is in
** lock.pml, how they wait for events in wait.pml.
**
** Checked are
** - the assertions: one thread at most is inside; the last function runs once,
**   before the Lua state is closed, which happens once; nothing else runs when
**   it has begun; each request is done, refused, or failed, and only one of
**   these; none is accepted or begins when a thread has closed the state, or
**   after quit(); closing is never refused because of a request;
** - when nothing can happen any more: all threads have ended, the worker is
**   idle, and the thread of the state has ended if that is closed, and sleeps
**   with nothing to do if not; a state that somebody has closed is closed;
**   no request is left.
**
** Not in the model: weak memory (all is sequentially consistent), references
** and room (requests.pml), and waits that closing ends (wait.pml).
*/

#ifndef OWN
#define OWN 0 /* whether the state has a thread of its own */
#endif
#ifndef LAST
#define LAST 1 /* whether there is a last function */
#endif
#ifndef SENDS
#define SENDS 2
#endif
#ifndef CALLERS
#define CALLERS 1
#endif
#ifndef CLOSERS
#define CLOSERS 2
#endif
#ifndef OWNERS
#define OWNERS 1
#endif
#ifndef QUITS
#define QUITS 1 /* how often quit() is used */
#endif
byte quits_left = QUITS;

/* Threads: 1 is the worker or the thread of the state. */
#define SERVER 1
#define CALLER 2
#define OWNER 5

/* mts_Lock: the word, and what its mutex guards. */
#define HOLDER 7
#define CLOSING 8
#define CLOSED 16
#define REQUESTED 32
byte word;
bool is_kept = LAST;
bool is_taken;
bool quits;
bool serves; /* the server serves requests, or is about to */

mtype = {OK, BUSY, IS_CLOSED};
mtype = {LEFT, LEFT_REQUESTED, LEFT_CLOSED, KEPT};
mtype = {NOW, TAKEN, DEFERRED, WAS_CLOSED, IN_USE}; /* mts_LockClose */

/* mts_Queue */
mtype = {IDLE, SCHEDULED, BLOCKED};
mtype queue_status = IDLE;
byte queue; /* set of requests */
bool is_under_way;
bool is_queue_closed, closes_when_idle;
byte closers;
byte closing, told; /* sets of threads that wait until it is idle */
byte scheduled;     /* how often it is in the run queue */

/* The thread of the state. */
bool is_own_woken, has_own_ended;

bool is_registered = true;
byte owners = 1;

/* What is only observed. */
byte inside, ended;
byte taken; /* how often the lock was taken, or kept, to close the state */
bool has_last_run, is_lua_closed, must_close, has_quit, is_refused;

#define IS_ENDING ((word & (CLOSING | CLOSED)) != 0)
#define CLOSER (OWN -> SERVER : self)

/* C: mts_queue_end_request */
inline end_request(set)
{
  assert((ended & (set)) == 0);
  ended = ended | (set)
}

/* C: mts_worker_schedule */
inline worker_schedule()
{
  if
  :: OWN -> is_own_woken = true
  :: !OWN -> scheduled++
  fi
}

/* ======================================================================= */
/* The lock: lock.c                                                        */
/* ======================================================================= */

inline get_inside()
{
  inside++;
  assert(inside == 1 && !is_lua_closed)
}

/* C: mts_lock_enter mts_lock_enter_slow */
inline lock_enter(may_wait, has_deadline)
{
  atomic {
    if
    :: IS_ENDING -> status = IS_CLOSED
    :: !IS_ENDING && (word & HOLDER) == 0 ->
       word = word | self;
       get_inside();
       status = OK
    :: !IS_ENDING && (word & HOLDER) != 0 && (!may_wait || has_deadline) ->
       status = BUSY
    fi
  }
}

/* C: mts_lock_leave mts_lock_leave_slow leave_closing */
inline lock_leave()
{
  atomic {
    assert(inside == 1 && (word & HOLDER) == self);
    inside--;
    if
    :: word == self -> word = 0; left = LEFT
    :: else -> left = 0
    fi
  };
  if
  :: left == 0 ->
     atomic {
       if
       :: (IS_ENDING || quits) && !is_kept && !quits ->
          word = CLOSED;
          left = LEFT_CLOSED
       :: (IS_ENDING || quits) && (is_kept || quits) ->
          is_kept = false;
          is_taken = true;
          quits = false;
          word = word | CLOSING;
          left = KEPT
       :: !IS_ENDING && !quits ->
          left = (word & REQUESTED -> LEFT_REQUESTED : LEFT);
          word = 0
       fi
     }
  :: else
  fi
}

/* C: mts_lock_request */
inline lock_request()
{
  atomic {
    is_held = (word & HOLDER) != 0;
    if
    :: is_held -> word = word | REQUESTED
    :: else
    fi
  }
}

/* Leaves its result in close. */
/* C: close_lock */
inline close_lock(has_to_be_served)
{
  if
  :: word & CLOSED -> close = WAS_CLOSED
  :: !(word & CLOSED) && (word & HOLDER) == 0 ->
     if
     :: is_kept || OWN ->
        is_kept = false;
        is_taken = true;
        word = CLOSER | CLOSING;
        close = TAKEN
     :: else -> word = CLOSED; close = NOW
     fi
  :: !(word & CLOSED) && (word & HOLDER) != 0 ->
     if
     :: is_taken && (word & HOLDER) != self -> close = WAS_CLOSED
     :: !(is_taken && (word & HOLDER) != self) && has_to_be_served &&
        !((word & HOLDER) == SERVER && serves && self != SERVER) ->
        close = IN_USE
     :: else ->
        close = (IS_ENDING -> WAS_CLOSED : DEFERRED);
        word = word | CLOSING
     fi
  fi
}

/* C: mts_lock_quit */
inline lock_quit()
{
  atomic {
    if
    :: quits_left > 0 ->
       quits_left--;
       quits = true;
       must_close = true;
       has_quit = true;
       word = word | REQUESTED
    :: skip
    fi
  }
}

/* ======================================================================= */
/* The queue: queue.c, queueclose.c                                        */
/* ======================================================================= */

/* C: mts_queueturn_make_runnable */
inline make_runnable()
{
  is_runnable = queue_status == IDLE;
  if
  :: is_runnable -> queue_status = SCHEDULED
  :: else
  fi
}

inline schedule_if_runnable()
{
  atomic {
    if
    :: is_runnable -> worker_schedule(); is_runnable = false
    :: else
    fi
  }
}

/* C: mts_request_put */
inline request_put(request)
{
  atomic {
    if
    :: is_queue_closed || closers > 0 -> end_request(request)
    :: else ->
       assert(!is_lua_closed && !is_refused);
       queue = queue | request;
       make_runnable()
    fi
  };
  schedule_if_runnable()
}

/* C: mts_queueclose_tell_closers finish_list */
inline queue_tell_closers()
{
  d_step { told = told | closing; closing = 0 }
}

/* C: mts_queueclose_close */
inline queue_close()
{
  d_step {
    is_queue_closed = true;
    end_request(queue);
    queue = 0;
    if
    :: queue_status == BLOCKED -> queue_status = IDLE
    :: else
    fi;
    is_idle = queue_status == IDLE
  };
  if
  :: is_idle -> queue_tell_closers(); is_idle = false
  :: else
  fi;
  if
  :: OWN -> is_own_woken = true
  :: else
  fi
}

/* C: mts_queueclose_by_turn */
inline queue_close_by_turn()
{
  atomic {
    if
    :: !is_queue_closed -> make_runnable()
    :: else
    fi;
    closes_when_idle = true
  }
}

/* Leaves its result in turn_end: 0 for once more. */
/* C: mts_queueturn_end */
inline queue_end_turn()
{
  d_step {
    assert(queue_status == SCHEDULED);
    turn_end = 0;
    if
    :: queue == 0 ->
       queue_status = IDLE;
       turn_end = IDLE;
       if
       :: !is_queue_closed && closes_when_idle -> turn_end = IS_CLOSED
       :: else
       fi;
       closes_when_idle = false
    :: else
    fi
  };
  if
  :: turn_end != 0 -> queue_tell_closers()
  :: else
  fi
}

/* ======================================================================= */
/* The state: state.c, registry.c                                          */
/* ======================================================================= */

/* C: mts_call_last */
inline call_last()
{
  d_step {
    assert(!has_last_run && !is_lua_closed && inside == 1);
    has_last_run = true
  };
  lock_quit()
}

/* The lock is left in the end, which can have it kept once more. */
/* C: mts_state_close_taken */
inline state_close_taken()
{
  is_registered = false;
  queue_close();
  d_step {
    assert((word & HOLDER) == self && (word & CLOSING));
    get_inside();
    taken++;
    assert(taken <= 2) /* twice, if the last function uses quit() */
  };
  if
  :: LAST && !has_last_run -> call_last()
  :: else
  fi;
  lock_leave()
}

/* C: mts_state_finish_close */
inline state_finish_close()
{
  queue_close();
  d_step {
    assert(word == CLOSED && inside == 0 && !is_lua_closed);
    assert(has_last_run || !LAST);
    is_lua_closed = true
  }
}

/* What follows lock_leave. */
/* C: mts_state_end_leave */
inline state_end_leave()
{
  do
  :: left == KEPT -> state_close_taken()
  :: left == LEFT_REQUESTED -> state_left(); left = LEFT
  :: left == LEFT_CLOSED -> state_finish_close(); left = LEFT
  :: left == LEFT -> break
  od;
  left = 0
}

/* C: state_left */
inline state_left()
{
  atomic {
    is_runnable = queue_status == BLOCKED;
    if
    :: is_runnable -> queue_status = SCHEDULED
    :: else
    fi
  };
  schedule_if_runnable()
}

/* C: mts_state_leave */
inline state_leave()
{
  lock_leave();
  state_end_leave()
}

/* C: mts_state_follow_close */
inline state_follow_close()
{
  left = LEFT;
  if
  :: close == NOW -> state_finish_close()
  :: close == TAKEN && CLOSER == self -> left = KEPT
  :: (close == TAKEN && CLOSER != self) || close == DEFERRED -> queue_close()
  :: close == WAS_CLOSED || close == IN_USE
  fi;
  state_end_leave()
}

/* C: mts_registry_close */
inline registry_close()
{
  atomic {
    close_lock(true);
    is_registered = is_registered && close == IN_USE;
    must_close = must_close || close != IN_USE;
    assert(close != IN_USE || (word & HOLDER) != SERVER)
  };
  state_follow_close();
  is_refused = is_refused || (close != IN_USE && close != WAS_CLOSED)
}

/* Of a state that has lost its last owner. */
/* C: mts_state_close_when_free */
inline state_close_when_free()
{
  atomic { close_lock(false); must_close = true };
  state_follow_close()
}

/* C: mts_registry_close_unowned */
inline registry_close_unowned()
{
  atomic {
    closes = is_registered && owners == 0 && queue_status == IDLE;
    if
    :: closes -> is_queue_closed = true; is_registered = false
    :: !closes && is_registered && owners == 0 -> closes_when_idle = true
    :: else
    fi
  };
  if
  :: closes -> closes = false; state_close_when_free()
  :: else
  fi
}

/* ======================================================================= */
/* Serving: serve.c                                                        */
/* ======================================================================= */

inline run_request()
{
  atomic {
    if
    :: queue & 1 -> request = 1
    :: !(queue & 1) && (queue & 2) -> request = 2
    :: queue == 0 -> request = 0
    fi;
    queue = queue & ~request;
    is_under_way = request != 0;
    assert(request == 0 || (!has_quit && !is_refused))
  };
  if
  :: request != 0 ->
     lock_quit();
     d_step {
       assert(inside == 1 && !has_last_run && !is_lua_closed);
       end_request(request);
       is_under_way = false
     }
  :: else
  fi
}

/* C: run_requests */
inline run_requests()
{
  do
  :: run_request();
     if
     :: request == 0 || quits -> break
     :: else
     fi
  od;
  request = 0
}

/* C: enter_to_serve */
inline enter_to_serve()
{
  do
  :: lock_enter(false, false);
     if
     :: status != BUSY -> break
     :: else ->
        queue_status = BLOCKED;
        lock_request();
        if
        :: is_held -> is_held = false; break
        :: else ->
           atomic {
             if
             :: queue_status == BLOCKED -> queue_status = SCHEDULED
             :: else -> break
             fi
           }
        fi
     fi
  od
}

/* C: mts_serve_turn */
inline serve_turn()
{
  serves = true;
  enter_to_serve();
  if
  :: status == OK -> run_requests(); state_leave()
  :: else
  fi;
  serves = false;
  turn_end = IDLE;
  if
  :: status != BUSY -> queue_end_turn()
  :: else
  fi;
  status = 0;
  if
  :: turn_end == IS_CLOSED -> registry_close_unowned()
  :: else
  fi
}

#if OWN
active proctype own_thread()
{
  byte self = SERVER;
  mtype status, left, close, turn_end;
  byte request;
  bool is_runnable, is_idle, is_held, closes;
  do
  :: (word & CLOSED) && queue_status != SCHEDULED -> break
  :: else ->
end_sleep:
     atomic { is_own_woken -> is_own_woken = false };
     if
     :: queue_status == SCHEDULED ->
        do
        :: serve_turn();
           if
           :: turn_end != 0 -> break
           :: else
           fi
        od;
        turn_end = 0
     :: else
     fi;
     if
     :: (word & HOLDER) == self -> left = KEPT; state_end_leave()
     :: else
     fi
  od;
  has_own_ended = true
}
#else
active proctype worker()
{
  byte self = SERVER;
  mtype status, left, close, turn_end;
  byte request;
  bool is_runnable, is_idle, is_held, closes;
end:
  do
  :: atomic { scheduled > 0 -> scheduled-- };
     serve_turn();
     if
     :: turn_end == 0 -> scheduled++
     :: else
     fi;
     turn_end = 0
  od
}
#endif

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

active proctype sender()
{
  bool is_runnable;
  if
  :: SENDS > 0 -> request_put(1)
  :: else
  fi;
  if
  :: SENDS > 1 -> request_put(2)
  :: else
  fi
}

#if CALLERS && !OWN
active proctype caller()
{
  byte self = CALLER;
  mtype status, left;
  bool is_runnable, is_idle;
  lock_enter(true, false);
  if
  :: status == OK -> lock_quit(); state_leave()
  :: else
  fi
}
#endif

/* closing.c */
/* The deadline is for what is to be done before. */
/* C: await_end */
inline await_end()
{
  is_lua_closed
}

/* C: mts_queueclose_await_idle await_in_list is_done */
inline queue_await_idle()
{
  atomic {
    if
    :: queue != 0 || is_under_way -> closing = closing | (1 << self)
    :: else -> told = told | (1 << self)
    fi
  };
  if
  :: told & (1 << self)
  :: has_deadline ->
     d_step {
       if
       :: !(told & (1 << self)) -> status = BUSY
       :: else
       fi;
       closing = closing & ~(1 << self)
     }
  fi;
  told = told & ~(1 << self)
}

/* C: mts_closing_close */
inline closing_close()
{
  registry_close();
  if
  :: OWN && close == TAKEN -> await_end()
  :: else
  fi
}

/* C: close_when_left */
inline close_when_left()
{
  closing_close();
  if
  :: close == IN_USE ->
     lock_enter(true, has_deadline);
     if
     :: status == OK ->
        atomic { quits = true; must_close = true; word = word | REQUESTED };
        state_leave()
     :: status == IS_CLOSED -> status = OK
     :: status == BUSY
     fi
  :: else
  fi
}

inline finish()
{
  status = OK;
  queue_await_idle();
  if
  :: status == OK -> close_when_left()
  :: else
  fi;
  if
  :: status == OK && OWN -> await_end()
  :: else
  fi;
  assert(status != OK || is_lua_closed || !OWN)
}

/* C: mts_closing_finish */
inline closing_finish()
{
  closers++;
  finish();
  if
  :: status == OK
  :: else -> registry_close()
  fi;
  closers--
}

#if CLOSERS
active [CLOSERS] proctype closer()
{
  byte self = _pid + (CALLERS && !OWN -> 0 : 1); /* 3, 4 */
  mtype status, left, close;
  bool is_runnable, is_idle, has_deadline;
  if
  :: closing_close()
  :: has_deadline = true; closing_finish()
  :: closing_finish()
  :: skip
  fi
}
#endif

#if OWNERS
active proctype owner()
{
  byte self = OWNER;
  mtype left, close;
  bool is_runnable, is_idle, closes;
  if
  :: owners = 0;
     if
     :: LAST ->
        queue_close_by_turn();
        schedule_if_runnable();
        must_close = true
     :: else -> registry_close_unowned()
     fi
  :: skip
  fi
}
#endif

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(ended == (SENDS > 0) + 2 * (SENDS > 1) && queue == 0);
  assert(queue_status == IDLE && scheduled == 0 && inside == 0);
  assert(is_lua_closed == must_close && is_lua_closed == (word == CLOSED));
  assert(has_last_run == (is_lua_closed && LAST));
  assert(has_own_ended == (OWN && is_lua_closed) && closers == 0);
  assert(is_lua_closed || word == 0)
}
