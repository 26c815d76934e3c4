/*
** wait.pml - a model of waits, cancel and promises, for the checker spin
**
** `make model` tries all interleavings.  A worker runs two requests of a
** state, one after the other.  Each does a few operations: it runs Lua code,
** or waits for one future, with a deadline or without.  A thread that is no
** worker waits for that future, too.  The future belongs to promises in two
** threads, which answer it or do not, and are dropped then; another thread
** cancels it.  Others cancel the requests, or close the state.
**
** The inlines have the names of functions in src/core/wait.c, interrupt.c and
** hook.c, and src/sched/future.c, promise.c, cancel.c and serve.c, without
** mts_, and are to be read side by side with them.  Each read or change of
** something that threads share is a step of its own, unless only the thread
** that has the mutex sees it.  One step, too, are a compare-and-swap, and what
** happens under the mutex of a queue.
**
** Left open, so that all is tried, are: what a request does, when a deadline
** passes, and what becomes of a promise.
**
** Checked are
** - the assertions: a wait ends for a reason that is true; nobody touches the
**   record of a wait that has returned, nor a future that is freed; a future
**   is answered once, by one of those that try, and freed once; a request that
**   is cancelled before it begins never begins; `cancelled` is raised in the
**   request that was cancelled, no more often than that was done; an operation
**   that begins when the request is cancelled raises;
** - when nothing can happen any more: all threads have ended, so each wait
**   does; all futures are freed, and no flag is left.
**
** Not in the model: weak memory (all of this is sequentially consistent), how
** the hook is set (lock.pml), calls of other states, and nested waits.
*/

#ifndef OPERATIONS
#define OPERATIONS 2 /* of each request */
#endif
#ifndef CANCELS
#define CANCELS 2 /* threads: the first cancels request 1, the second any */
#endif
#ifndef CLOSERS
#define CLOSERS 1
#endif
#ifndef WAITERS
#define WAITERS 1 /* that are no requests */
#endif
#ifndef PROMISES
#define PROMISES 2
#endif
#ifndef PROMISE_CANCELS
#define PROMISE_CANCELS 1
#endif

#define REQUESTS 2

/* mts_Wait; number 0: of the request that runs, 1: of the waiter. */
mtype = {WAITING, ANSWERED, CANCELLED, CLOSED, TIMEOUT};
mtype outcome[2];
bool is_over[2];  /* the event */
bool is_alive[2]; /* the record, which is on the stack of its thread */

/* The future of the promises, and its list of waits. */
bool is_future_locked;
bool is_claimed, is_answered;
bool is_listed[2];
byte promises = PROMISES;
byte references = 2 + WAITERS + PROMISES + PROMISE_CANCELS;
bool is_freed;
bool is_kept; /* a promise */

/* The state: the mutex of its lock, its word, and mts_InterruptNode. */
bool is_locked;
bool is_closing;
bool is_aimed;
bool is_registered; /* wait 0 */
byte task;          /* the request that runs, or 0 */

/* The requests. */
mtype = {QUEUED, BEGUN, WITHDRAWN};
mtype place[3] = QUEUED;
bool is_cancelled[3];
bool is_done[3]; /* answered */
byte holders[3] = 1 + CANCELS; /* references */

/* What is only observed: the request was cancelled since it last raised that,
** and its next operation has to raise it. */
bool has_cause, must_raise;
bool has_to; /* the same, for the one that has begun */
bool has_ended[3], never_begins[3]; /* the request */

inline lock(mutex)
{
  atomic { !mutex -> mutex = true }
}

inline unlock(mutex)
{
  assert(mutex);
  mutex = false
}

/* ======================================================================= */
/* References                                                              */
/* ======================================================================= */

/* C: mts_future_release */
inline future_release()
{
  d_step {
    assert(references > 0 && !is_freed);
    references--;
    if
    :: references == 0 ->
       assert(is_answered && !is_listed[0] && !is_listed[1]);
       is_freed = true
    :: else
    fi
  }
}

inline request_release(r)
{
  d_step {
    assert(holders[r] > 0);
    holders[r]--;
    assert(holders[r] > 0 || (is_done[r] && task != r))
  }
}

/* ======================================================================= */
/* The record of a wait: wait.c                                            */
/* ======================================================================= */

/* Leaves its result in is_decided. */
/* C: mts_wait_decide */
inline wait_decide(w, reason)
{
  atomic {
    assert(is_alive[w]);
    is_decided = outcome[w] == WAITING;
    if
    :: is_decided -> outcome[w] = reason
    :: else
    fi
  }
}

/* C: mts_wait_finish */
inline wait_finish(w, reason)
{
  wait_decide(w, reason);
  if
  :: is_decided -> d_step { assert(is_alive[w]); is_over[w] = true }
  :: else
  fi
}

/* Who has decided otherwise can still be about to set the event. */
/* C: end_early */
inline end_early(reason)
{
  wait_decide(self, reason);
  if
  :: is_decided -> is_decided = false
  :: else -> is_over[self]
  fi
}

/* C: mts_wait_sleep */
inline wait_sleep()
{
  skip;
end_sleep:
  if
  :: is_over[self]
  :: has_deadline -> end_early(TIMEOUT)
  fi
}

/* C: mts_wait_begin */
inline wait_begin()
{
  d_step {
    assert(!is_alive[self]);
    is_alive[self] = true;
    outcome[self] = WAITING
  };
  if
  :: self == 0 -> interrupt_begin_wait()
  :: else -> is_waiting = true
  fi
}

/* C: mts_wait_end */
inline wait_end()
{
  if
  :: self == 0 -> interrupt_end_wait()
  :: else
  fi
}

/* ======================================================================= */
/* The future: future.c                                                    */
/* ======================================================================= */

/* Leaves its result in is_waiting. */
/* C: mts_future_enlist */
inline enlist()
{
  lock(is_future_locked);
  d_step {
    assert(!is_freed);
    is_waiting = !is_answered;
    is_listed[self] = is_waiting
  };
  unlock(is_future_locked)
}

/* C: mts_future_delist */
inline delist()
{
  lock(is_future_locked);
  d_step { assert(!is_freed); is_listed[self] = false };
  unlock(is_future_locked)
}

/* C: wait_for_answer */
inline wait_for_answer()
{
  enlist();
  if
  :: is_waiting ->
     wait_sleep();
     status = outcome[self];
     if
     :: status != ANSWERED -> delist()
     :: else
     fi
  :: else -> status = ANSWERED
  fi;
  wait_end()
}

/* Leaves the reason in status. */
/* C: mts_future_wait */
inline future_wait()
{
  wait_begin();
  if
  :: is_waiting -> wait_for_answer()
  :: else -> status = outcome[self]
  fi;
  d_step {
    assert(!is_listed[self] && (self == 1 || !is_registered));
    assert(status == ANSWERED || status == TIMEOUT || self == 0);
    assert(status != ANSWERED || is_answered);
    assert(status != TIMEOUT || has_deadline);
    assert(status != CLOSED || is_closing);
    assert(status != WAITING);
    status = 0;
    is_alive[self] = false;
    is_over[self] = false;
    is_waiting = false;
    has_deadline = false
  }
}

inline tell_waiting(w)
{
  if
  :: is_listed[w] -> is_listed[w] = false; wait_finish(w, ANSWERED)
  :: else
  fi
}

/* C: mts_future_answer */
inline future_answer()
{
  lock(is_future_locked);
  d_step {
    assert(!is_freed && !is_answered);
    is_answered = true
  };
  tell_waiting(0);
  tell_waiting(1);
  is_decided = false;
  unlock(is_future_locked);
  future_release() /* that of the promise, which is not answered any more */
}

/* Leaves its result in has_claimed. */
inline future_claim()
{
  d_step {
    assert(!is_freed);
    has_claimed = !is_claimed;
    is_claimed = true
  }
}

inline claim_and_answer()
{
  future_claim();
  if
  :: has_claimed -> future_answer()
  :: else
  fi;
  has_claimed = false
}

/* ======================================================================= */
/* Promises: promise.c                                                     */
/* ======================================================================= */

/* C: mts_promise_release */
inline promise_release()
{
  d_step {
    assert(!is_freed);
    assert(promises > 0);
    promises--;
    is_last = promises == 0
  };
  if
  :: is_last -> claim_and_answer()
  :: else
  fi;
  future_release()
}

/* ======================================================================= */
/* Cancel: interrupt.c, hook.c, future.c                                   */
/* ======================================================================= */

/* To be used with the mutex. */
inline note_raised()
{
  assert(has_cause);
  has_cause = false;
  must_raise = false;
  has_to = false
}

/* Leaves its result in outcome, and in is_waiting. */
/* C: mts_interrupt_begin_wait */
inline interrupt_begin_wait()
{
  lock(is_locked);
  d_step {
    if
    :: is_aimed ->
       is_aimed = false;
       note_raised();
       outcome[self] = CANCELLED
    :: !is_aimed && is_closing -> outcome[self] = CLOSED
    :: else -> is_registered = true; is_waiting = true
    fi
  };
  unlock(is_locked)
}

/* C: mts_interrupt_end_wait */
inline interrupt_end_wait()
{
  lock(is_locked);
  d_step {
    is_registered = false;
    if
    :: outcome[self] == CANCELLED && status == CANCELLED -> note_raised()
    :: outcome[self] == CANCELLED && status != CANCELLED -> is_aimed = true
    :: else
    fi
  };
  unlock(is_locked)
}

/* C: interrupt_hook */
inline interrupt_hook()
{
  lock(is_locked);
  d_step {
    if
    :: is_aimed -> is_aimed = false; note_raised()
    :: else
    fi
  };
  unlock(is_locked)
}

/* C: mts_interrupt_cancel */
inline interrupt_cancel(r)
{
  lock(is_locked);
  was_aimed = is_aimed;
  is_aimed = true;
  if
  :: task != r ->
     d_step {
       is_aimed = was_aimed;
       never_begins[r] = !has_ended[r]
     }
  :: else ->
     if
     :: is_registered -> wait_finish(0, CANCELLED)
     :: else
     fi;
     d_step {
       if
       :: is_registered && outcome[0] == CANCELLED -> is_aimed = false
       :: else
       fi;
       has_cause = true;
       must_raise = true;
       is_decided = false
     }
  fi;
  unlock(is_locked)
}

/* Leaves its result in is_withdrawn. */
/* C: mts_future_withdraw */
inline future_withdraw(r)
{
  atomic {
    is_withdrawn = place[r] == QUEUED;
    if
    :: is_withdrawn -> place[r] = WITHDRAWN
    :: else
    fi
  }
}

/* C: mts_future_cancel */
inline future_cancel(r)
{
  assert(holders[r] > 0);
  future_withdraw(r);
  if
  :: is_withdrawn ->
     d_step { is_done[r] = true; never_begins[r] = true };
     request_release(r)
  :: !is_withdrawn && is_done[r]
  :: !is_withdrawn && !is_done[r] ->
     is_cancelled[r] = true;
     interrupt_cancel(r)
  fi
}

/* ======================================================================= */
/* The worker: serve.c                                                     */
/* ======================================================================= */

inline operation()
{
  d_step {
    assert(!never_begins[request]);
    has_to = must_raise
  };
  if
  :: if
     :: is_aimed -> interrupt_hook()
     :: else
     fi
  :: if
     :: has_deadline = true
     :: skip
     fi;
     future_wait()
  fi;
  assert(!has_to)
}

/* C: mts_interrupt_end_task */
inline interrupt_end_task()
{
  d_step { task = 0; has_ended[request] = true };
  if
  :: is_aimed ->
     lock(is_locked);
     is_aimed = false;
     unlock(is_locked)
  :: else
  fi;
  d_step { assert(!is_registered); must_raise = false; has_cause = false }
}

inline run_request()
{
  task = request; /* interrupt_begin_task */
  if
  :: is_cancelled[request]
  :: else ->
     do
     :: count < OPERATIONS -> operation(); count++
     :: break
     od;
     count = 0
  fi;
  interrupt_end_task();
  d_step { assert(!is_done[request]); is_done[request] = true };
  request_release(request)
}

active proctype worker()
{
  byte self = 0;
  byte request = 1, count;
  mtype status;
  bool is_decided, has_deadline, is_waiting;
  do
  :: request <= REQUESTS ->
     atomic {
       if
       :: place[request] == QUEUED -> place[request] = BEGUN
       :: else
       fi
     };
     if
     :: place[request] == BEGUN -> run_request()
     :: else
     fi;
     request++
  :: else -> break
  od;
  future_release() /* the requests had an object of it */
}

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

active [WAITERS] proctype waiter()
{
  byte self = 1;
  mtype status;
  bool is_decided, has_deadline, is_waiting;
  if
  :: has_deadline = true
  :: skip
  fi;
  future_wait();
  future_release()
}

active [PROMISES] proctype promise()
{
  bool is_decided, has_claimed, is_last;
  if
  :: claim_and_answer() /* set, fail */
  :: skip
  :: is_kept = true; goto stop
  fi;
  promise_release();
stop: skip
}

active [PROMISE_CANCELS] proctype promise_canceller()
{
  bool is_decided, has_claimed;
  if
  :: claim_and_answer()
  :: skip
  fi;
  future_release()
}

#if CANCELS > 0
active proctype canceller()
{
  bool is_decided, was_aimed, is_withdrawn;
  future_cancel(1);
  request_release(1);
  request_release(2)
}
#endif

#if CANCELS > 1
active proctype second_canceller()
{
  bool is_decided, was_aimed, is_withdrawn;
  byte request;
  if
  :: request = 1
  :: request = 2
  fi;
  future_cancel(request);
  request_release(1);
  request_release(2)
}
#endif

active [CLOSERS] proctype closer()
{
  bool is_decided;
  lock(is_locked);
  is_closing = true;
  if
  :: is_registered -> wait_finish(0, CLOSED)
  :: else
  fi;
  unlock(is_locked)
}

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(!is_locked && !is_future_locked && !is_aimed);
  if
  :: is_kept && !is_answered ->
     assert(!is_registered || (!must_raise && !is_closing))
  :: else ->
     assert(is_freed == !is_kept && is_done[1] && is_done[2]);
     assert(holders[1] == 0 && holders[2] == 0 && task == 0)
  fi
}
