/*
** here.pml - a model of how a main program gets to know what its state is to
** run, for the checker spin
**
** `make model` tries all interleavings.  Threads put requests into the queue
** of the state; one may close the state.  The thread of the program polls the
** descriptor, or waits for something else, or just tries, and each time runs a
** turn.
**
** The inlines have the names of functions in src/sched/host.c, queue.c and
** queueclose.c, without mts_, and are to be read side by side with them.  What
** happens under the mutex of the queue, or of the lock, is one step.
**
** Checked are
** - the assertions: who has found the descriptor raised has something to do,
**   and so has who was disturbed;
** - when nothing can happen any more: all requests were run, or have failed as
**   the state was closed; the closing state is closed; the descriptor is
**   lowered, and the program sleeps.
**
** Not in the model: weak memory (all is sequentially consistent), tasks and
** timers, which make the queue runnable as requests do, and what runs inside
** of a turn.
*/

#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* of each sender */
#endif

mtype = {IDLE, SCHEDULED}; /* mts_Queue */
mtype status = IDLE;
byte requests;
bool is_queue_closed;
bool is_raised; /* host_fd */
bool host_runs;

mtype = {NO_WAIT, OPEN, DISTURBED}; /* host_wait */
mtype host_wait = NO_WAIT;

bool lacks_closer; /* the lock: closing, and the parker has it */
bool is_closed;

/* What is only observed. */
byte put, done, failed;

#ifndef POLLS
#define POLLS 1
#endif
#ifndef WAITS
#define WAITS 1
#endif
#ifndef TRIES
#define TRIES 2
#endif
#ifndef CLOSES
#define CLOSES 1
#endif

#define has_something_to_do (status == SCHEDULED || lacks_closer)

/* ======================================================================= */
/* host.c                                                                  */
/* ======================================================================= */

/* C: update_descriptor */
inline update_descriptor()
{
  is_raised = !host_runs && has_something_to_do
}

/* C: mts_host_wake */
inline host_wake()
{
  d_step {
    update_descriptor();
    if
    :: host_wait == OPEN && has_something_to_do -> host_wait = DISTURBED
    :: else
    fi
  }
}

/* C: mts_host_attach */
inline host_attach()
{
  d_step {
    host_wait = OPEN;
    if
    :: has_something_to_do -> host_wait = DISTURBED
    :: else
    fi
  }
}

/* C: close_if_due */
inline close_if_due()
{
  d_step {
    if
    :: lacks_closer -> lacks_closer = false; is_closed = true
    :: else
    fi
  }
}

/* queue.c: takes requests, as many as it likes, and ends the turn. */
/* C: mts_serve_some */
inline serve_some()
{
  do
  :: d_step { requests > 0 -> requests--; done++ }
  :: break
  od;
  atomic {
    assert(status == SCHEDULED);
    if
    :: requests == 0 -> status = IDLE
    :: else
    fi
  }
}

/* C: mts_host_run */
inline host_run()
{
  d_step { host_runs = true; update_descriptor() }
  close_if_due();
  if
  :: status == SCHEDULED -> serve_some()
  :: else
  fi;
  close_if_due();
  d_step { host_runs = false; update_descriptor() }
}

/* ======================================================================= */
/* The threads                                                             */
/* ======================================================================= */

/* The program looks in these ways; TRIES times without a reason. */
active proctype program()
{
  byte tries;
end_sleep:
  do
  :: POLLS && is_raised ->
     assert(has_something_to_do);
     host_run()
  :: WAITS ->
     host_attach();
end_wait:
     if
     :: d_step {
          host_wait == DISTURBED -> host_wait = NO_WAIT;
          assert(has_something_to_do)
        }
     :: d_step {
          POLLS && is_raised && host_wait == OPEN -> host_wait = NO_WAIT
        }
     :: d_step {
          tries < TRIES && host_wait == OPEN -> host_wait = NO_WAIT; tries++
        }
     fi;
     host_run()
  :: tries < TRIES -> tries++; host_run()
  od
}

active [SENDERS] proctype sender()
{
  byte count;
  bool is_runnable;
  do
  :: count < REQUESTS ->
     d_step { /* mts_request_put */
       put++;
       is_runnable = false;
       if
       :: is_queue_closed -> failed++
       :: else ->
          requests++;
          is_runnable = status == IDLE;
          status = SCHEDULED
       fi
     };
     if
     :: is_runnable -> host_wake()
     :: else
     fi;
     count++
  :: else -> break
  od
}

#if CLOSES
active proctype closer()
{
  d_step { lacks_closer = true }; /* mts_lock_close */
  d_step { /* mts_queueclose_close */
    is_queue_closed = true;
    failed = failed + requests;
    requests = 0
  };
  host_wake()
}
#endif

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(requests == 0 && done + failed == put && put == SENDERS * REQUESTS);
  assert(status == IDLE && !lacks_closer && is_closed == CLOSES);
  assert(!is_raised && host_wait != DISTURBED)
}
