/*
** notices.pml - a model of the notices of states, for the checker spin
**
** `make model` tries all interleavings.  Native threads add notices to two
** states, without taking a mutex; one state gets a request, too.  The watcher
** has the queues served, and workers run the callback.
**
** The inlines have the names of functions in src/sched/notices.c, queue.c and
** serve.c, and src/core/watch.c, without mts_, and are to be read side by side
** with them.  Each atomic operation is a step; what happens under the mutex of
** a queue is one.
**
** Checked are
** - the assertions: a queue is in the list once at most, and each queue is
**   scheduled, or served, in one place; the counter is never below zero; the
**   references that the list has add up;
** - when nothing can happen any more: there were as many runs as notices, the
**   queues are idle, the list is empty, and the watcher and workers sleep.
**
** Not in the model: weak memory (all is sequentially consistent), entering the
** state (requests.pml), who runs the workers (park.pml), and closing.
*/

#ifndef NOTIFIERS
#define NOTIFIERS 2
#endif
#ifndef NOTICES
#define NOTICES 2 /* of each thread */
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef STATES
#define STATES 2
#endif

/* mts_Queue; number 0 is none. */
byte notices[3];
bool is_noticed[3];
byte next_noticed[3];
bool has_request[3];
mtype = {IDLE, SCHEDULED};
mtype queue_status[3] = IDLE;

byte first_noticed; /* the list */
bool is_woken;      /* the event of the watcher */
bool is_scheduled[3]; /* in the run queue */

/* What is only observed. */
byte added, runs, requests;
byte references[3]; /* that the list has, or the watcher */
byte served[3];

/* ======================================================================= */
/* notices.c                                                               */
/* ======================================================================= */

/* C: enlist_noticed */
inline enlist_noticed()
{
  first = first_noticed;
  atomic { was_noticed = is_noticed[queue]; is_noticed[queue] = true };
  if
  :: was_noticed
  :: else ->
     d_step { references[queue]++; assert(references[queue] <= 2) };
     do
     :: next_noticed[queue] = first;
        atomic {
          if
          :: first_noticed == first -> first_noticed = queue; break
          :: else -> first = first_noticed
          fi
        }
     od
  fi;
  first = 0;
  was_noticed = false
}

/* C: mts_notices_add */
inline notices_add()
{
  d_step {
    added++;
    is_first = notices[queue] == 0;
    notices[queue]++
  };
  if
  :: is_first -> enlist_noticed(); is_woken = true
  :: else
  fi;
  is_first = false
}

/* C: mts_notices_take */
inline notices_take()
{
  if
  :: notices[queue] == 0
  :: else ->
     d_step { assert(notices[queue] > 0); notices[queue]--; runs++ }
  fi
}

/* C: mts_notices_schedule */
inline notices_schedule()
{
  atomic { queue = first_noticed; first_noticed = 0 };
  do
  :: queue != 0 ->
     next = next_noticed[queue];
     is_noticed[queue] = false;
     queue_schedule();
     d_step {
       assert(references[queue] > 0);
       references[queue]--;
       queue = next
     }
  :: else -> break
  od;
  next = 0
}

/* ======================================================================= */
/* queue.c, serve.c                                                        */
/* ======================================================================= */

/* C: mts_queueturn_schedule */
inline queue_schedule()
{
  atomic {
    if
    :: queue_status[queue] == IDLE -> queue_status[queue] = SCHEDULED
    :: else -> goto scheduled
    fi
  };
  worker_schedule();
scheduled: skip
}

/* C: mts_worker_schedule */
inline worker_schedule()
{
  d_step {
    assert(!is_scheduled[queue] && served[queue] == 0);
    is_scheduled[queue] = true
  }
}

/* One notice, then one request; as often as it likes. */
/* C: run_requests */
inline run_requests()
{
  do
  :: notices_take();
     d_step {
       if
       :: has_request[queue] -> has_request[queue] = false; requests++
       :: else
       fi
     };
     if
     :: break
     :: notices[queue] > 0 || has_request[queue]
     fi
  od
}

/* C: mts_queueturn_end */
inline queue_end_turn()
{
  d_step {
    assert(served[queue] == 1 && queue_status[queue] == SCHEDULED);
    served[queue]--;
    is_over = !has_request[queue] && notices[queue] == 0;
    if
    :: is_over -> queue_status[queue] = IDLE
    :: else
    fi
  };
  if
  :: !is_over -> worker_schedule()
  :: else
  fi;
  is_over = false
}

/* ======================================================================= */
/* The threads                                                             */
/* ======================================================================= */

active proctype watcher()
{
  byte queue, next;
end_sleep:
  do
  :: atomic { is_woken -> is_woken = false };
     notices_schedule()
  od
}

active [WORKERS] proctype worker()
{
  byte queue;
  bool is_over;
end_sleep:
  do
  :: atomic {
       if
       :: is_scheduled[1] -> queue = 1
       :: is_scheduled[2] -> queue = 2
       fi;
       is_scheduled[queue] = false;
       served[queue]++
     };
     run_requests();
     queue_end_turn();
     queue = 0
  od
}

active [NOTIFIERS] proctype notifier()
{
  byte queue, first, count;
  bool is_first, was_noticed;
  do
  :: count < NOTICES ->
     if
     :: queue = 1
     :: STATES > 1 -> queue = 2
     fi;
     notices_add();
     count++
  :: else -> break
  od
}

active proctype sender()
{
  byte queue = 1;
  atomic { has_request[1] = true };
  queue_schedule() /* the part of mts_request_put that matters here */
}

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(runs == added && added == NOTIFIERS * NOTICES && requests == 1);
  assert(notices[1] == 0 && notices[2] == 0);
  assert(queue_status[1] == IDLE && queue_status[2] == IDLE);
  assert(first_noticed == 0 && !is_noticed[1] && !is_noticed[2]);
  assert(references[1] == 0 && references[2] == 0 && !is_woken)
}
