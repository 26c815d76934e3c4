/*
** park.pml - a model of workers, tokens and parking, for the checker spin
**
** `make model` tries all interleavings.  Two producers, which are no workers,
** schedule items; a worker that serves one can schedule more, wait inside the
** module, or be stuck in foreign code, for a while or for ever.  An item stands
** for a queue that is runnable; what is left of it after its turn is another
** item.  Threads can be started up to a number; a start can fail before that,
** once or from then on always.  Parked workers that are too many end at any
** moment.  The number of tokens changes.
**
** The inlines have the names of functions in src/sched/pool.c, worker.c,
** workerthread.c and monitor.c, without mts_, and are to be read side by side
** with them.  What happens while a thread has the run mutex is one step, but
** for changes of what is used without it, too.  The event of a worker is set
** in the step in which it is not parked any more, so it needs no variable.
**
** Left open, so that all is tried, are: which parked worker is woken; whether
** the slot or the run queue goes first; for how long a worker searches; which
** workers seem to compute too long.
**
** Checked are
** - the assertions: each item is served once; tokens add up, and no worker has
**   two or serves without one, unless it was replaced; one worker searches at
**   most; if there is something in the run queue while the mutex is free, then
**   a worker searches or is just being started, or the monitor is on (or going
**   to be) because either no token is idle or no thread can be had;
** - when nothing can happen any more, but for what waits or is stuck for ever:
**   that all items have been served or begun.  The monitor does something only
**   if it finds something to do, so it does not hide that.  Items can be left
**   only if no thread can be started and one is stuck for ever: waiting alone
**   never leaves items behind;
** - that all comes to an end: there are no cycles.
**
** Not in the model: weak memory (all is sequentially consistent), the first
** workers (here each is started when there is something to do), the end of the
** process, forks, senders that wait for room (requests.pml), and how many
** workers are replaced at most.
*/

#ifndef THREADS
#define THREADS 3
#endif
#ifndef WANTED
#define WANTED 2
#endif
#ifndef ITEMS
#define ITEMS 3
#endif
#define PRODUCED 2 /* items of the producers, one each; workers make others */

/* How often it can happen. */
#ifndef WAITS
#define WAITS 1
#endif
#ifndef STICKS
#define STICKS 1
#endif
#ifndef COMPUTES
#define COMPUTES 0 /* workers that seem to compute too long */
#endif
#ifndef FAILS
#define FAILS 0 /* starts of a thread */
#endif
#ifndef ENDS
#define ENDS 1 /* parked workers */
#endif
#ifndef CHANGES
#define CHANGES 0 /* of the number of workers */
#endif
#ifndef MAY_RUN_OUT
#define MAY_RUN_OUT false /* of threads, for ever */
#endif
byte waits = WAITS, sticks = STICKS, computes = COMPUTES, fails = FAILS;
byte ends = ENDS;
bool has_run_out;

#define NOBODY 0
#define OTHER (THREADS + 1) /* who has the mutex and is no worker */

/* What a thread does. */
#define ABSENT 0
#define FRESH 1 /* has been started */
#define LOOKING 2
#define SERVING 3
#define WAITING 4 /* inside the module */
#define STUCK 5   /* in foreign code */
#define PARKED 6

/* mts_Pool and what is guarded by its mutex. */
byte mutex;
byte run_queue; /* how many there are in it */
short idle = WANTED;
short wanted = WANTED;
byte searcher; /* the code only knows that there is one */
byte doing[5];
bool has_token[5];
bool has_failed; /* the last start of a thread */

/* Used without the mutex, too. */
bool slot[5];
bool is_replaced[5];
bool is_on; /* the monitor */
byte late;  /* threads that are about to start it */

/* Items so far: all, those that have begun, those in the hands of workers. */
byte made, begun, held;

#define TOKENS (has_token[1] + has_token[2] + has_token[3] + has_token[4])
#define SLOTS (slot[1] + slot[2] + slot[3] + slot[4])
#define REPLACED \
  (is_replaced[1] + is_replaced[2] + is_replaced[3] + is_replaced[4])
#define NUMBER(what)                         \
  ((doing[1] == what) + (doing[2] == what) + \
   (doing[3] == what) + (doing[4] == what))
#define CAN_START (NUMBER(ABSENT) > 4 - THREADS && !has_run_out)

inline lock()
{
  mutex == NOBODY -> mutex = self
}

inline unlock()
{
  assert(mutex == self && TOKENS + idle == wanted);
  assert(made == begun + held + run_queue + SLOTS);
  assert(run_queue == 0 || searcher != NOBODY || NUMBER(FRESH) > 0 ||
         ((is_on || late > 0) && (idle <= 0 || has_failed)));
  mutex = NOBODY
}

/* ======================================================================= */
/* pool.c                                                                  */
/* ======================================================================= */

/* C: mts_pool_flush */
inline flush(t)
{
  if
  :: slot[t] -> slot[t] = false; run_queue++
  :: else
  fi
}

/* C: mts_pool_give_token */
inline give_token(t)
{
  idle = idle + has_token[t];
  has_token[t] = false
}

/* C: mts_pool_take_token */
inline take_token(t)
{
  assert(!has_token[t]);
  has_token[t] = true;
  idle--
}

/* workerthread_start.  Leaves the thread, or nobody, in thread. */
/* C: mts_workerthread_start */
inline start_thread()
{
  thread = 1;
  if
  :: CAN_START ->
     do
     :: doing[thread] == ABSENT -> break
     :: else -> thread++
     od;
     doing[thread] = FRESH;
     take_token(thread)
  :: CAN_START && fails > 0 -> fails--; thread = NOBODY
  :: CAN_START && MAY_RUN_OUT && NUMBER(ABSENT) < 4 ->
     has_run_out = true;
     thread = NOBODY
  :: !CAN_START -> thread = NOBODY
  fi
}

/* C: mts_pool_unpark */
inline unpark(t)
{
  doing[t] = LOOKING;
  take_token(t)
}

/* C: wake_searcher */
inline wake_searcher()
{
  if
  :: doing[1] == PARKED -> thread = 1
  :: doing[2] == PARKED -> thread = 2
  :: doing[3] == PARKED -> thread = 3
  :: doing[4] == PARKED -> thread = 4
  :: else
  fi;
  if
  :: thread != NOBODY -> searcher = thread; unpark(thread)
  :: else -> start_thread()
  fi;
  has_failed = thread == NOBODY;
  thread = NOBODY
}

/* C: mts_pool_balance */
inline balance()
{
  if
  :: run_queue > 0 && searcher == NOBODY && idle > 0 ->
     wake_searcher();
     is_late = has_failed
  :: run_queue > 0 && searcher == NOBODY && idle <= 0 -> is_late = true
  :: else
  fi;
  late = late + is_late
}

/* After unlocking. */
/* C: mts_pool_settle */
inline settle()
{
  if
  :: atomic { is_late -> is_on = true; is_late = false; late-- }
  :: else
  fi
}

/* ======================================================================= */
/* worker.c                                                                */
/* ======================================================================= */

inline push_new_item()
{
  atomic { lock(); made++; run_queue++; balance(); unlock() }
  settle()
}

/* By a worker; together with making the item. */
/* C: mts_worker_schedule */
inline schedule()
{
  if
  :: is_replaced[self] -> push_new_item()
  :: !is_replaced[self] ->
     if
     :: atomic { !slot[self] -> made++; slot[self] = true }
        is_on = true
     :: slot[self] -> push_new_item()
     fi
  fi
}

#define HAS_WORKER_LEFT \
  (4 - NUMBER(ABSENT) > NUMBER(WAITING) + REPLACED)

/* C: mts_worker_begin_wait has_worker_left */
inline begin_wait()
{
  atomic {
    lock();
    flush(self);
    forget();
    doing[self] = WAITING;
    give_token(self);
    may_wait = HAS_WORKER_LEFT;
    if
    :: !may_wait ->
       start_thread();
       may_wait = thread != NOBODY;
       thread = NOBODY
    :: else
    fi;
    if
    :: may_wait ->
       assert(TOKENS + NUMBER(PARKED) > 0); /* who can be had */
       balance()
    :: !may_wait ->
       has_failed = true;
       doing[self] = SERVING;
       take_token(self)
    fi;
    unlock()
  }
  settle()
}

/* C: mts_worker_end_wait */
inline end_wait()
{
  atomic { lock(); doing[self] = SERVING; take_token(self); unlock() }
}

/* ======================================================================= */
/* workerthread.c                                                          */
/* ======================================================================= */

/* monitor_forget */
/* C: mts_monitor_forget */
inline forget()
{
  if
  :: is_replaced[self] -> is_replaced[self] = false; take_token(self)
  :: else
  fi
}

/* C: end_search */
inline end_search()
{
  if
  :: searcher == self -> searcher = NOBODY
  :: else
  fi
}

inline serve()
{
  do
  :: break
  :: atomic { made >= PRODUCED && made < ITEMS -> made++; held++ }
     again = true;
     break
  :: made >= PRODUCED && made < ITEMS -> schedule()
  :: atomic { waits > 0 -> waits-- }
     begin_wait();
     if
     :: may_wait -> end_wait()
     :: may_wait ->
end_waiting:
        false
     :: !may_wait
     fi;
     may_wait = false
  :: atomic { sticks > 0 -> sticks--; doing[self] = STUCK }
     if
     :: doing[self] = SERVING
     :: true ->
end_stuck:
        false
     fi
  od
}

/* C: run_worker find_work search pop_or_search park */
active [THREADS] proctype worker()
{
  byte self = _pid + 1;
  byte thread;
  bool is_late, may_wait, again, has_taken;

absent:
end_absent:
  doing[self] == FRESH;

find_work:
  atomic {
    lock();
    forget();
    doing[self] = LOOKING;
    if
    :: again -> again = false; held--; run_queue++
    :: else
    fi;
    if
    :: slot[self] && idle >= 0 -> slot[self] = false; held++; goto found
    :: true -> flush(self)
    fi
  }

take_work: /* has the mutex */
  atomic {
    if
    :: idle < 0 -> goto park
    :: idle >= 0 && run_queue > 0 -> run_queue--; held++; goto found
    :: idle >= 0 && run_queue == 0 ->
       if
       :: searcher == self || searcher == NOBODY ->
          searcher = self;
          unlock()
       :: else -> goto park
       fi
    fi
  }
  atomic { /* the search is over */
    lock();
    if
    :: idle >= 0 && run_queue > 0 -> run_queue--; held++; goto found
    :: else
    fi
  }

park:
  atomic {
    end_search();
    give_token(self);
    assert(!slot[self]);
    doing[self] = PARKED;
    balance();
    unlock()
  }
  settle();
end_parked:
  if
  :: atomic { doing[self] != PARKED && mutex == NOBODY -> lock() }
     goto take_work
  :: atomic { ends > 0 && doing[self] == PARKED && mutex == NOBODY &&
     NUMBER(PARKED) > idle ->
       ends--;
       lock();
       doing[self] = ABSENT;
       balance();
       unlock()
     }
     settle();
     goto absent
  fi;

found: /* has the mutex */
  atomic {
    end_search();
    doing[self] = SERVING;
    assert(has_token[self]);
    balance();
    unlock()
  }
  settle();
next:
  atomic { held--; begun++ }
  serve();
  if
  :: atomic { !again && !is_replaced[self] && slot[self] ->
       slot[self] = false;
       held++
     }
     goto next
  :: goto find_work
  fi
}

/* ======================================================================= */
/* monitor.c                                                               */
/* ======================================================================= */

#define LACKS_TOKEN (idle < run_queue)
#define BLOCKS(t) (doing[t] == STUCK && has_token[t])
#define HELPS_TO_REPLACE \
  (LACKS_TOKEN && idle + BLOCKS(1) + BLOCKS(2) + BLOCKS(3) + BLOCKS(4) > 0)

/* What there is to do at a tick, or else it would tick without end. */
#define IS_STUCK(t)                                  \
  ((BLOCKS(t) && (slot[t] || HELPS_TO_REPLACE)) ||   \
   (is_replaced[t] && slot[t]) ||                    \
   (computes > 0 && doing[t] == SERVING && has_token[t] && LACKS_TOKEN))
#define CAN_WAKE                                      \
  (run_queue > 0 && idle > 0 && searcher == NOBODY && \
   (NUMBER(PARKED) > 0 || CAN_START))
#define HAS_SOMETHING_DUE (run_queue > 0 || SLOTS > 0)
#define IS_TICK (is_on && mutex == NOBODY)

/* C: tick look_at_all replace_blocked replace_computing replace */
active proctype monitor()
{
  byte self = OTHER;
  byte thread, stuck;
  bool is_late, replaces;
end:
  do
  :: atomic {
       if
       :: IS_TICK && IS_STUCK(1) -> stuck = 1
       :: IS_TICK && IS_STUCK(2) -> stuck = 2
       :: IS_TICK && IS_STUCK(3) -> stuck = 3
       :: IS_TICK && IS_STUCK(4) -> stuck = 4
       fi;
       lock();
       flush(stuck);
       if
       :: doing[stuck] == SERVING && has_token[stuck] ->
          computes--;
          replaces = true
       :: else -> replaces = BLOCKS(stuck) && HELPS_TO_REPLACE
       fi
     }
     atomic { /* replace; it can have gone on */
       if
       :: replaces && has_token[stuck] ->
          is_replaced[stuck] = true;
          give_token(stuck)
       :: else
       fi;
       stuck = NOBODY;
       replaces = false;
       balance();
       late = late - is_late;
       is_late = false;
       unlock()
     }
  :: atomic { IS_TICK && CAN_WAKE -> lock() }
     atomic {
       balance();
       late = late - is_late;
       is_late = false;
       unlock()
     }
  :: atomic { IS_TICK && !HAS_SOMETHING_DUE -> lock() }
     is_on = false;
     atomic { is_on = is_on || HAS_SOMETHING_DUE; unlock() }
  od
}

/* ======================================================================= */
/* Others                                                                  */
/* ======================================================================= */

active [2] proctype producer()
{
  byte self = OTHER;
  byte thread;
  bool is_late;
  push_new_item()
}

#if CHANGES
/* worker_set_count */
/* C: mts_worker_set_count */
active proctype user()
{
  byte self = OTHER;
  byte thread;
  bool is_late;
  atomic {
    lock();
    if
    :: wanted > 1 -> wanted--; idle--
    :: wanted++; idle++
    fi;
    do
    :: doing[1] == PARKED -> unpark(1)
    :: doing[2] == PARKED -> unpark(2)
    :: doing[3] == PARKED -> unpark(3)
    :: doing[4] == PARKED -> unpark(4)
    :: else -> break
    od;
    do
    :: 4 - NUMBER(ABSENT) < wanted ->
       start_thread();
       if
       :: thread == NOBODY -> break
       :: else -> thread = NOBODY
       fi
    :: else -> break
    od;
    balance();
    unlock()
  }
  settle()
}
#endif

/* When nothing else can happen. */
active proctype judge()
{
  timeout;
  d_step {
    assert(mutex == NOBODY && searcher == NOBODY && late == 0);
    if
    :: run_queue > 0 || SLOTS > 0 ->
       assert(NUMBER(STUCK) > 0 && idle > 0 && NUMBER(PARKED) == 0 &&
              !CAN_START)
    :: else -> assert(made >= PRODUCED && begun == made && held == 0)
    fi
  }
}
