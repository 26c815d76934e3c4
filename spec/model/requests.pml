/*
** requests.pml - a model of the requests of one state, for the checker spin
**
** One sender sends two requests and waits for room as long as it takes.
** Another awaits the answer to one; its deadline passes at any moment, while
** it waits for room or for the answer.  A request may send one to its own
** state.  Workers run the requests.  A caller enters the state and leaves it,
** as often as it likes, waiting or not.  The state is closed, or its owner
** drops it, at any moment, or never.  The monitor wakes senders.
**
** The inlines have the names of functions in src/sched/queue.c, room.c and
** serve.c, src/core/lock.c and registry.c, and src/state.c, without mts_, and
** are to be read side by side with them.  What happens under the mutex of the
** queue is one step, as nothing in it is shared with who has not got the
** mutex, but the number of references.  So is what happens under the mutex of
** the lock, but for lock_request.  How threads wait for the lock is in
** lock.pml: here one that waits can get in whenever the lock is free.
**
** That senders are told in time is not checked: but for closing, each would be
** told at the latest when its own request begins.
**
** Left open, so that all is tried, are: which requests a turn runs before it
** ends, when a deadline passes, which worker has the next turn, and whether
** waiting in line for the lock fails.
**
** Checked are
** - the assertions: each request is done, refused, withdrawn, or failed by
**   closing, and only one of these; those of one sender are done in order; at
**   most one thread is inside, and none once the Lua state is closed, which
**   happens once; the invariants of queue.c, each time that its mutex is
**   released; the flag REQUESTED is not set in a word without a holder; nobody
**   touches the queue after the last reference to the state was given back;
** - whenever nothing can happen any more: all threads have ended or wait for
**   work; so no sender waits for ever; the queue is idle, no turn is due, each
**   request has ended; a state that was closed or has no owner is closed, and
**   the last without owner is freed; else its lock is free;
** - that no worker has turns for ever in which it does nothing, while other
**   threads may go on.
**
** Not in the model: weak memory (all is sequentially consistent), who runs the
** workers (park.pml), time, a limit above one, and the fork of a process.
*/

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SENDS
#define SENDS 2
#endif
#ifndef OWN_REQUESTS
#define OWN_REQUESTS false /* whether a request sends one to its own state */
#endif
#ifndef MONITOR
#define MONITOR true /* false: no thread can be had for it */
#endif
#ifndef CALLERS
#define CALLERS 1
#endif
#ifndef CLOSERS
#define CLOSERS 1
#endif
#ifndef OWNERS
#define OWNERS 1 /* 0: the owner keeps the state */
#endif
#define LIMIT 1

/* The requests, and their senders.  Number 3 is awaited. */
#define REQUESTS 4
#define AWAITED 3
#define OWN 4 /* takes no room */

byte ended; /* set of those that are done, refused, withdrawn, or failed */
bool is_first_done;

/* The word of the lock: the thread that holds it, or 0, and flags. */
#define HOLDER 3
#define CONTENDED 4
#define REQUESTED 8
#define CLOSING 16
#define CLOSED 32
byte word;
bool is_lock_mutex_taken;
bool serves[4]; /* mts_self.served of each thread is this lock */

#define IS_ENDING ((word & (CLOSING | CLOSED)) != 0)

/* mts_Status, mts_LockLeft and mts_TurnEnd */
mtype = {OK, BUSY, IS_CLOSED, FAILS};
mtype = {LEFT, LEFT_REQUESTED, LEFT_CLOSED};
mtype = {AGAIN, IS_IDLE, CLOSES};

/* mts_Queue */
mtype = {IDLE, RUNNABLE, RUNNING, BLOCKED};
#ifndef HAS_QUEUE
#define HAS_QUEUE true
#endif
bool has_queue = HAS_QUEUE; /* the state */
chan queue = [REQUESTS] of {byte};
chan waiting = [REQUESTS] of {byte}; /* senders without room */
byte granted;   /* set of senders that have room and are not told */
byte told, dismissed; /* sets of senders that are told: OK; CLOSED */
mtype queue_status = IDLE;
bool was_refused, queue_is_closed, closes_when_idle;

#define COUNTED (len(queue) - (queue??[OWN] -> 1 : 0))

/* Where the queue is known: by threads that are about to schedule it or to
** begin its turn, in the run queue, by threads that serve it. */
byte in_hands, scheduled, served;

bool has_senders; /* the monitor is to wake senders */

/* The future of the awaited request. */
byte future_references = 2;
bool is_answered;

/* One for each thread that has a state object, and one for the future. */
byte references = 3 + (SENDS > 0) + CALLERS + CLOSERS;
bool is_freed;

byte inside; /* threads that are inside */
bool is_lua_closed, is_dropped;

/* ======================================================================= */
/* Under the mutex of the queue                                            */
/* ======================================================================= */

/* To be called before the mutex is released. */
inline check_queue()
{
  assert(!is_freed);
  assert(queue_status != IDLE || (empty(queue) && in_hands == 0));
  assert(in_hands + scheduled == (queue_status == RUNNABLE));
  assert(served == (queue_status == RUNNING));
  assert(queue_is_closed || empty(waiting) || COUNTED >= LIMIT);
  assert(COUNTED <= LIMIT);
  assert(!queue_is_closed || empty(queue))
}

/* C: mts_queue_end_request */
inline end_request(request)
{
  d_step {
    assert(!(ended & (1 << request)));
    ended = ended | (1 << request)
  }
}

/* C: mts_room_grant */
inline room_grant()
{
  do
  :: nempty(waiting) && COUNTED < LIMIT ->
     waiting?r;
     queue!r;
     granted = granted | (1 << r)
  :: empty(waiting) || COUNTED >= LIMIT -> break
  od;
  r = 0
}

/* C: mts_room_tell */
inline room_tell()
{
  told = told | granted;
  granted = 0
}

/* ======================================================================= */
/* References                                                              */
/* ======================================================================= */

/* C: mts_state_retain */
inline state_retain()
{
  assert(!is_freed);
  references++
}

/* C: mts_state_release */
inline state_release()
{
  d_step {
    assert(!is_freed && references > 0);
    references--;
    if
    :: references == 0 ->
       assert(queue_status == IDLE && empty(queue) && empty(waiting));
       assert(word == CLOSED && is_lua_closed && inside == 0);
       is_freed = true
    :: else
    fi
  }
}

/* C: mts_future_release */
inline future_release()
{
  d_step {
    future_references--;
    is_last = future_references == 0
  };
  if
  :: is_last -> is_last = false; state_release()
  :: else
  fi
}

/* ======================================================================= */
/* The lock: lock.c                                                        */
/* ======================================================================= */

/* Waits if status is BUSY when it begins. */
/* C: mts_lock_enter mts_lock_enter_slow */
inline lock_enter(may_wait)
{
  atomic {
    if
    :: IS_ENDING -> status = IS_CLOSED
    :: !IS_ENDING && (word & HOLDER) == 0 ->
       word = word | self;
       inside++;
       assert(inside == 1 && !is_lua_closed && !is_freed);
       status = OK
    :: !IS_ENDING && (word & HOLDER) != 0 && !may_wait -> status = BUSY
    fi
  }
}

/* C: mts_lock_leave mts_lock_leave_slow leave_closing */
inline lock_leave()
{
  atomic {
    assert(inside == 1 && !is_lua_closed && (word & HOLDER) == self);
    inside--;
    if
    :: word == self -> word = 0; left = LEFT
    :: else -> left = 0
    fi
  };
  if
  :: left == 0 ->
     atomic {
       !is_lock_mutex_taken;
       if
       :: IS_ENDING -> word = CLOSED; left = LEFT_CLOSED
       :: !IS_ENDING && (word & REQUESTED) -> word = 0; left = LEFT_REQUESTED
       :: !IS_ENDING && !(word & REQUESTED) -> word = 0; left = LEFT
       fi
     }
  :: else
  fi
}

/* Leaves its result in is_held. */
/* C: mts_lock_request */
inline lock_request()
{
  atomic {
    !is_lock_mutex_taken;
    is_held = (word & HOLDER) != 0;
    if
    :: is_held -> word = word | CONTENDED; is_lock_mutex_taken = true
    :: else
    fi
  };
  if
  :: is_held ->
     atomic {
       word = word | REQUESTED;
       assert(word & HOLDER);
       is_lock_mutex_taken = false
     }
  :: else
  fi
}

/* Of a thread that does not hold the lock. */
/* C: mts_lock_close close_lock close_or_pin */
inline lock_close()
{
  atomic {
    !is_lock_mutex_taken;
    if
    :: word & CLOSED -> status = IS_CLOSED
    :: !(word & CLOSED) && (word & HOLDER) == 0 -> word = CLOSED; status = OK
    :: !(word & CLOSED) && (word & HOLDER) != 0 ->
       word = word | CONTENDED;
       if
       :: serves[word & HOLDER] ->
          is_deferred = true;
          status = (IS_ENDING -> IS_CLOSED : OK);
          word = word | CLOSING
       :: else -> status = BUSY
       fi
    fi
  }
}

/* status: OK if the lock has been closed by this call. */
/* C: mts_lock_close_deferred */
inline lock_close_deferred()
{
  atomic {
    !is_lock_mutex_taken;
    if
    :: word & CLOSED -> status = IS_CLOSED
    :: !(word & CLOSED) && (word & HOLDER) == 0 -> word = CLOSED; status = OK
    :: !(word & CLOSED) && (word & HOLDER) != 0 ->
       word = word | CONTENDED | CLOSING;
       status = BUSY
    fi
  }
}

/* ======================================================================= */
/* Put and take: queue.c, room.c                                           */
/* ======================================================================= */

/* C: mts_worker_schedule */
inline worker_schedule()
{
  d_step {
    assert(!is_freed);
    in_hands--;
    scheduled++
  }
}

/* C: make_queue */
inline make_queue()
{
  if
  :: has_queue
  :: atomic { !has_queue -> has_queue = true };
     if
     :: IS_ENDING -> queue_close()
     :: else
     fi
  fi
}

inline append_or_enlist(request)
{
  d_step {
    if
    :: queue_is_closed -> status = IS_CLOSED
    :: !queue_is_closed && request != OWN &&
       (nempty(waiting) || COUNTED >= LIMIT) ->
       waiting!request;
       status = BUSY
    :: !queue_is_closed &&
       (request == OWN || (empty(waiting) && COUNTED < LIMIT)) ->
       queue!request;
       is_runnable = queue_status == IDLE;
       status = OK
    fi;
    if
    :: is_runnable ->
       queue_status = RUNNABLE;
       state_retain();
       in_hands++
    :: else
    fi;
    check_queue()
  }
}

#define IS_TOLD(request) ((told | dismissed) & (1 << request))

/* C: mts_room_begin mts_room_end */
inline room_wait(request)
{
  if
  :: IS_TOLD(request)
  :: atomic {
       has_deadline && !IS_TOLD(request) ->
       if
       :: granted & (1 << request) ->
          granted = granted & ~(1 << request);
          told = told | (1 << request)
       :: else -> waiting??eval(request)
       fi;
       check_queue()
     }
  fi;
  d_step {
    status = BUSY;
    if
    :: told & (1 << request) -> status = OK
    :: dismissed & (1 << request) -> status = IS_CLOSED
    :: else
    fi;
    told = told & ~(1 << request);
    dismissed = dismissed & ~(1 << request)
  }
}

/* C: mts_request_put */
inline request_put(request)
{
  make_queue();
  append_or_enlist(request);
  if
  :: is_runnable -> is_runnable = false; worker_schedule()
  :: else
  fi;
  if
  :: status == BUSY -> room_wait(request)
  :: else
  fi;
  if
  :: status != OK -> end_request(request)
  :: else
  fi
}

/* Leaves its result in request, 0 if there is none. */
/* C: mts_queue_take */
inline queue_take()
{
  d_step {
    if
    :: nempty(queue) ->
       queue?request;
       room_grant();
       if
       :: COUNTED <= LIMIT / 2 -> room_tell()
       :: else
       fi
    :: empty(queue) -> request = 0
    fi;
    has_granted = granted != 0;
    check_queue()
  };
  if
  :: has_granted -> has_senders = true; has_granted = false
  :: else
  fi
}

/* C: mts_room_tell_all */
inline room_tell_all()
{
  d_step {
    room_tell();
    check_queue()
  }
}

/* Leaves its result in is_queued. */
/* C: mts_queue_withdraw */
inline queue_withdraw(request)
{
  d_step {
    is_queued = queue??[eval(request)];
    if
    :: is_queued -> queue??eval(request); room_grant()
    :: else
    fi;
    check_queue()
  };
  if
  :: is_queued -> room_tell_all()
  :: else
  fi
}

/* ======================================================================= */
/* Turns: queue.c                                                          */
/* ======================================================================= */

inline queue_begin_turn()
{
  d_step {
    assert(queue_status == RUNNABLE);
    queue_status = RUNNING;
    in_hands--;
    served++;
    check_queue()
  }
}

/* Leaves its result in turn_end. */
/* C: mts_queueturn_end */
inline queue_end_turn()
{
  d_step {
    assert(queue_status == RUNNING);
    served--;
    if
    :: nempty(queue) -> queue_status = RUNNABLE; turn_end = AGAIN; in_hands++
    :: empty(queue) ->
       queue_status = IDLE;
       turn_end = IS_IDLE;
       if
       :: closes_when_idle && !queue_is_closed ->
          queue_is_closed = true;
          turn_end = CLOSES
       :: else
       fi
    fi;
    has_granted = granted != 0;
    check_queue()
  };
  if
  :: has_granted && turn_end != AGAIN -> room_tell_all()
  :: else
  fi;
  has_granted = false
}

/* C: mts_queueturn_block */
inline queue_block()
{
  d_step {
    assert(queue_status == RUNNING);
    queue_status = BLOCKED;
    served--;
    was_refused = true;
    check_queue()
  }
}

/* C: mts_queueturn_unblock */
inline queue_unblock()
{
  d_step {
    was_blocked = queue_status == BLOCKED;
    if
    :: was_blocked -> queue_status = RUNNABLE; in_hands++
    :: else
    fi;
    check_queue()
  }
}

inline queue_resume()
{
  d_step {
    was_blocked = queue_status == BLOCKED;
    if
    :: was_blocked -> queue_status = RUNNING; served++
    :: else
    fi;
    check_queue()
  }
}

/* ======================================================================= */
/* Close: queue.c, state.c, registry.c                                     */
/* ======================================================================= */

/* C: mts_room_dismiss */
inline room_dismiss()
{
  d_step {
    room_tell();
    do
    :: nempty(waiting) -> waiting?r; dismissed = dismissed | (1 << r)
    :: empty(waiting) -> break
    od;
    r = 0;
    check_queue()
  }
}

/* C: fail_all */
inline fail_all()
{
  do
  :: taken & (1 << 1) -> end_request(1); taken = taken & ~(1 << 1)
  :: taken & (1 << 2) -> end_request(2); taken = taken & ~(1 << 2)
  :: taken & (1 << OWN) ->
     end_request(OWN);
     taken = taken & ~(1 << OWN)
  :: taken & (1 << AWAITED) ->
     end_request(AWAITED);
     taken = taken & ~(1 << AWAITED);
     is_answered = true;
     future_release()
  :: taken == 0 -> break
  od
}

/* C: mts_queueclose_close */
inline queue_close()
{
  d_step {
    queue_is_closed = true;
    do
    :: nempty(queue) -> queue?r; taken = taken | (1 << r)
    :: empty(queue) -> break
    od;
    r = 0;
    closes_blocked = queue_status == BLOCKED;
    if
    :: closes_blocked -> queue_status = IDLE
    :: else
    fi;
    assert(taken == 0 || CLOSERS || !HAS_QUEUE); /* the owner waits for all */
    check_queue()
  };
  room_dismiss();
  fail_all();
  if
  :: closes_blocked -> closes_blocked = false; state_release()
  :: else
  fi
}

/* C: mts_state_fail_requests */
inline state_fail_requests()
{
  if
  :: has_queue -> queue_close()
  :: !has_queue
  fi
}

/* C: mts_state_finish_close */
inline state_finish_close()
{
  state_fail_requests();
  d_step {
    assert(!is_freed && !is_lua_closed && inside == 0 && word == CLOSED);
    is_lua_closed = true
  }
}

/* C: mts_state_close_when_free */
inline state_close_when_free()
{
  lock_close_deferred();
  if
  :: status == OK -> state_finish_close()
  :: else -> state_fail_requests()
  fi
}

/* Leaves its result in is_busy. */
/* C: mts_queueclose_when_idle */
inline queue_close_when_idle()
{
  d_step {
    is_busy = queue_status != IDLE;
    if
    :: is_busy -> closes_when_idle = true
    :: else -> queue_is_closed = true
    fi;
    check_queue()
  }
}

inline state_close_when_idle()
{
  if
  :: has_queue -> queue_close_when_idle()
  :: !has_queue
  fi;
  if
  :: is_busy
  :: !is_busy -> state_close_when_free()
  fi
}

/* C: mts_registry_close */
inline registry_close()
{
  lock_close();
  if
  :: is_deferred -> is_deferred = false; state_fail_requests()
  :: !is_deferred && status == OK -> state_finish_close()
  :: !is_deferred && status != OK
  fi
}

/* state_left in serve.c */
/* C: state_left */
inline state_left()
{
  queue_unblock();
  if
  :: was_blocked -> was_blocked = false; worker_schedule()
  :: else
  fi
}

/* C: mts_state_leave */
inline state_leave()
{
  lock_leave();
  if
  :: left == LEFT
  :: left == LEFT_REQUESTED -> state_left()
  :: left == LEFT_CLOSED -> state_finish_close()
  fi;
  left = 0
}

/* ======================================================================= */
/* Workers: serve.c                                                        */
/* ======================================================================= */

inline run_request()
{
  d_step {
    assert(inside == 1 && !is_lua_closed);
    assert(request != 2 || is_first_done);
    is_first_done = is_first_done || request == 1;
    assert(!(ended & (1 << request)));
    ended = ended | (1 << request)
  };
  if
  :: OWN_REQUESTS && request == 1 ->
     request_put(OWN);
     assert(status == OK || CLOSERS) /* even without an owner */
  :: else
  fi;
  if
  :: request == AWAITED -> is_answered = true; future_release()
  :: else
  fi;
  request = 0
}

/* C: run_requests */
inline run_requests()
{
  do
  :: queue_take();
     if
     :: request != 0 -> run_request()
     :: request == 0 -> break
     fi;
     if
     :: break
     :: skip
     fi
  od
}

/* Leaves its result in is_blocked. */
inline wait_until_left()
{
  queue_block();
  lock_request();
  if
  :: is_held -> is_blocked = true; is_held = false
  :: else -> queue_resume(); is_blocked = !was_blocked; was_blocked = false
  fi
}

/* C: enter_to_serve */
inline enter_to_serve()
{
  status = BUSY;
  if
  :: was_refused ->
     was_refused = false;
     if
     :: lock_enter(true)
     :: status = FAILS
     fi
  :: !was_refused
  fi;
  do
  :: status == OK || status == IS_CLOSED || is_blocked -> break
  :: else ->
     lock_enter(false);
     if
     :: status == BUSY -> wait_until_left()
     :: else
     fi
  od
}

/* C: end_turn */
inline end_turn()
{
  queue_end_turn();
  if
  :: turn_end == AGAIN -> worker_schedule()
  :: turn_end == IS_IDLE -> state_release()
  :: turn_end == CLOSES -> state_close_when_free(); state_release()
  fi;
  turn_end = 0
}

/* The first steps of serve_turn, as nobody can tell them from one. */
inline begin_to_serve()
{
  state_retain();
  queue_begin_turn();
  serves[self] = true
}

/* C: mts_serve_turn */
inline serve_turn()
{
  enter_to_serve();
  if
  :: status == OK ->
     run_requests();
     state_leave()
  :: else
  fi;
  serves[self] = false;
  if
  :: !is_blocked -> end_turn()
  :: is_blocked -> is_blocked = false
  fi;
  status = 0;
  state_release()
}

active [WORKERS] proctype worker()
{
  byte self = _pid + 1;
  mtype status, left, turn_end;
  byte request, r, taken;
  bool is_runnable, has_granted, was_blocked, closes_blocked, is_last;
  bool is_held, is_blocked, has_deadline;
end:
  do
  :: atomic { scheduled > 0 -> scheduled--; in_hands++; begin_to_serve() }
     serve_turn()
  od
}

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

#if SENDS
active proctype sender()
{
  mtype status;
  byte r, taken;
  bool is_runnable, closes_blocked, is_last, has_deadline;
  request_put(1);
  if
  :: status == OK && SENDS == 2 -> request_put(2)
  :: else -> ended = ended | (1 << 2)
  fi;
  status = 0;
  state_release()
}
#endif

/* The object of the state can be gone before there is an answer. */
active proctype awaiting_sender()
{
  mtype status;
  byte r, taken;
  bool is_runnable, closes_blocked, is_last, is_queued, has_deadline = true;
  request_put(AWAITED);
  if
  :: status == OK ->
     state_release();
     if
     :: is_answered
     :: queue_withdraw(AWAITED);
        if
        :: is_queued -> end_request(AWAITED); future_release()
        :: else
        fi
     fi;
     future_release()
  :: else -> state_release(); future_references = 0; state_release()
  fi;
  status = 0
}

#if CALLERS
/* Stops at any moment when it is not inside. */
active proctype caller()
{
  byte self = 3;
  mtype status, left;
  byte r, taken;
  bool is_runnable, was_blocked, closes_blocked, is_last;
progress:
  do
  :: if
     :: lock_enter(true)
     :: lock_enter(false)
     fi;
     if
     :: status == OK -> status = 0; state_leave()
     :: else -> status = 0
     fi
  :: break
  od;
  state_release()
}
#endif

#if CLOSERS
active proctype closer()
{
  mtype status;
  byte r, taken;
  bool closes_blocked, is_last, is_deferred;
progress:
  do
  :: registry_close(); status = 0
  :: break
  od;
  state_release()
}
#endif

#if OWNERS
active proctype owner()
{
  mtype status;
  byte r, taken;
  bool closes_blocked, is_last, is_busy;
  if
  :: is_dropped = true;
     state_close_when_idle();
     status = 0;
     is_busy = false;
     state_release()
  :: skip
  fi
}
#endif

active proctype monitor()
{
end:
  do
  :: MONITOR && has_senders ->
     has_senders = false;
     d_step {
       if
       :: !is_freed -> room_tell(); check_queue()
       :: is_freed /* the queue is not in the list of queues any more */
       fi
     }
  od
}

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(ended == ((SENDS > 0) << 1 | (SENDS > 0) << 2 | 1 << AWAITED |
                   (OWN_REQUESTS && is_first_done) << OWN));
  assert(queue_status == IDLE && in_hands + scheduled + served == 0 &&
         empty(waiting) && granted == 0);
  assert(is_lua_closed == (word == CLOSED));
  assert(is_freed == is_dropped && (is_freed || references == 1));
  assert(word == 0 || word == CLOSED)
}
