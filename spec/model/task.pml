/*
** task.pml - a model of suspended tasks, for the checker spin
**
** `make model` tries all interleavings.  Two requests of one state become
** tasks.  The first does a few operations: it runs Lua code, or waits for a
** future, each time for another one, with a deadline or without; the second
** does one less, and its wait is for the last of these futures.  A wait can
** count as one for room.  A worker has the turns of the queue.  Other threads
** put the second request, answer the futures or do not, pop what is due from
** the heap of timers, cancel the requests, close the state, now or when
** nothing is to be done any more, or drop the last owner.
**
** The inlines have the names of functions in src/sched and src/core, without
** mts_, and are to be read side by side with them.  What happens under the
** mutex of the queue is one step, as it is a leaf, and so is a
** compare-and-swap; each other read or change of what threads share is a step
** of its own, unless only the thread that has the mutex sees it.  The lists
** are sets here: their order does not matter.
**
** Left open, so that all is tried, are: what a task does, when a deadline
** passes, whether a future is answered, when a turn ends, and whether a ready
** task goes first or a request.
**
** Checked are
** - the assertions: a wait ends for a reason that is true, and of its own:
**   nothing that was meant for one wait ends the next one of the task; a task
**   is moved and resumed once for each time that it was suspended; it runs in
**   one thread, which has the state; nobody touches the wait of a task that
**   has ended or was closed, nor a queue that is freed; `cancelled` is raised
**   in the task that was cancelled, no more often than that was done; a task
**   that is cancelled before it begins, goes on or does something raises then,
**   or is aimed at; while a task waits for room no request begins; there are
**   no more tasks than there may be; a closed state has none;
** - when nothing can happen any more: each task has ended, or is suspended and
**   waits, without a deadline, for a future that has no answer, and was not
**   cancelled; the queue is idle, each request has begun unless it may not;
**   no aim and no flag is left; a state that was closed is freed, one without
**   an owner, too, when its tasks have ended.
**
** Not in the model: weak memory (all of this is sequentially consistent), how
** code is hit (lock.pml, wait.pml), waits that hold their thread (wait.pml),
** calls, and so blocked queues (requests.pml), who runs the turns (park.pml),
** who pops the timers (timer.pml), where coroutines are kept, what Lua code
** sees, and tasks that nothing can resume any more.
**
** -DPLANT=n plants a mistake:
**  1 a turn does not take the task out of the list of the future
**  2 a turn does not take the task out of the heap if it is not in it
**  3 a wait is in the list of the future before the task is suspended
**  4 who ends a wait does not look whether it is over
**  5 the aim is taken back without looking at it again under the mutex
**  6 nobody looks for an aim after the yield
**  7 cancel does not look at `untold` again under the mutex of the queue
**  8 cancel does not look for a suspended task
**  9 a task goes on without looking at `untold`
** 10 closing does not wait for tasks whose wait has just ended
** 11 closing leaves tasks in the heap and in lists
** 12 who ends a wait makes a closed queue runnable
** 13 a task waits for a future that is answered
** 14 who cancels takes back the aim of another one
** 15 the end of a turn looks at requests only
** 16 a state without owners is closed though a task is suspended
** 17 the task is not the running one any more before it is suspended, and
**    nobody looks at `untold` then
** 18 the future ends a wait when its mutex has been released
** 19 a queue that is idle forgets that it has no owner
*/

#ifndef PLANT
#define PLANT 0
#endif
#ifndef OPERATIONS
#define OPERATIONS 2 /* of the first request */
#endif
#ifndef DEADLINES
#define DEADLINES 1 /* tasks whose waits can have them: the first ones */
#endif
#ifndef ANSWERS
#define ANSWERS true
#endif
#ifndef CANCELS
#define CANCELS 1 /* threads: the first cancels request 1, the second any */
#endif
#ifndef CLOSERS
#define CLOSERS 0 /* that close now */
#endif
#ifndef FINISHERS
#define FINISHERS 0 /* that wait until all is done */
#endif
#ifndef MAY_GIVE_UP
#define MAY_GIVE_UP false /* whether those wait for a while only */
#endif
#ifndef OWNERS
#define OWNERS 0 /* 0: the owner keeps the state */
#endif
#ifndef LIMIT
#define LIMIT 2 /* of tasks */
#endif
#ifndef ROOM
#define ROOM 0 /* tasks whose waits can be for room: the first ones */
#endif

#define TASKS 2
#define FIRST_OF(t) (t == 1 -> 0 : 1) /* operations that it does not do */
#define WORKER 1
#define CLOSER 2

/* The lock of the state: its mutex, its word, and mts_InterruptNode. */
bool is_locked;
byte holder;
bool is_closing, is_closed;
bool is_aimed;
byte task; /* that the state runs, or 0 */
bool is_ended; /* the Lua state */

#define IS_ENDING (is_closing || is_closed)

/* mts_Queue */
mtype = {IDLE, SCHEDULED};
mtype queue_status = SCHEDULED;
byte queue = 1 << 1; /* sets of tasks, */
byte ready;          /* though the code takes them in their order */
byte tasks;   /* begun, and not ended */
byte roomers; /* suspended tasks that wait for room */
bool refuses; /* is_closed of the queue */
bool closes_when_idle;
byte finishers; /* that wait until it is idle, */
bool is_told;   /* and have been told */
bool has_reference = true;

byte scheduled = 1;
byte references = 2 + CLOSERS + OWNERS + FINISHERS + CANCELS;
bool is_freed;

#define MAY_BEGIN (queue != 0 && tasks < LIMIT && roomers == 0)
#define HAS_WORK (ready != 0 || MAY_BEGIN)
#define IS_DONE (queue == 0 && tasks == 0)

/* The requests, and the waits of their tasks.  Taken: out of `ready` or the
** queue. */
mtype = {QUEUED, TAKEN, SUSPENDED, READY, GONE};
mtype place[3] = QUEUED; /* the second one is not sent yet */
bool is_done[3]; /* answered */
bool is_untold[3];
mtype = {OPEN, ANSWERED, TIMEOUT, CANCELLED, ENDING};
mtype outcome[3];
byte operation[3];
bool has_deadline[3], is_for_room[3];
bool is_in_heap[3];

/* The future that operation n waits for, and its list: sets of tasks. */
bool is_future_locked[3];
bool is_answered[3];
byte listed[3];

bool is_timer_locked;

/* What is only observed. */
byte running;        /* the task whose code is being run */
bool is_gone[3];     /* the wait, with the task */
bool is_begun[3];
bool is_due[3];      /* the deadline of the present wait has passed */
byte cancels[3];     /* that have begun, */
byte raised[3];      /* and how often that was raised */
bool must_raise[3];  /* a cancel is done, and was not raised since */
bool has_to;         /* the same, for what the task is about to do */
bool is_dropped;     /* the last owner */
bool is_finished;    /* all that was to be done */

inline lock(mutex)
{
  atomic { !mutex -> mutex = true }
}

inline unlock(mutex)
{
  assert(mutex);
  mutex = false
}

inline touch(t)
{
  assert(!is_gone[t] && !is_freed)
}

/* ======================================================================= */
/* The queue                                                               */
/* ======================================================================= */

/* C: mts_state_release */
inline state_release()
{
  d_step {
    assert(references > 0 && !is_freed);
    references--;
    if
    :: references == 0 ->
       assert(is_ended && queue_status == IDLE && scheduled == 0);
       is_freed = true
    :: else
    fi
  }
}

/* C: mts_worker_schedule */
inline worker_schedule()
{
  d_step { assert(!is_freed); scheduled++ }
}

/* Leaves in is_runnable whether the caller has to schedule the queue. */
/* C: mts_queueturn_make_runnable */
inline make_runnable()
{
  is_runnable = queue_status == IDLE && (!refuses || PLANT == 12);
  if
  :: is_runnable -> queue_status = SCHEDULED
  :: else
  fi
}

inline schedule_if_runnable()
{
  if
  :: is_runnable -> is_runnable = false; worker_schedule()
  :: else
  fi
}

/* To be used with the mutex of the queue. */
inline make_ready(t)
{
  touch(t);
  assert(place[t] == SUSPENDED && outcome[t] != OPEN);
  place[t] = READY;
  ready = ready | (1 << t);
  make_runnable()
}

/* The last touch of the task by who has ended its wait. */
/* C: go_on */
inline go_on(t)
{
  d_step { make_ready(t) };
  schedule_if_runnable()
}

/* C: mts_request_put */
inline request_put(t)
{
  d_step {
    assert(!is_freed);
    if
    :: refuses || finishers > 0 -> place[t] = GONE; is_done[t] = true
    :: else -> place[t] = QUEUED; queue = queue | (1 << t); make_runnable()
    fi
  };
  schedule_if_runnable()
}

inline take_out(t)
{
  ready = ready & ~(1 << t);
  queue = queue & ~(1 << t);
  place[t] = TAKEN
}

/* Leaves the task in t, or 0. */
/* C: mts_queue_take */
inline queue_take()
{
  atomic {
    if
    :: refuses || !HAS_WORK -> t = 0
    :: !refuses && (ready & (1 << 1)) -> t = 1
    :: !refuses && (ready & (1 << 2)) -> t = 2
    :: !refuses && MAY_BEGIN && (queue & (1 << 1)) -> t = 1; tasks++
    :: !refuses && MAY_BEGIN && (queue & (1 << 2)) -> t = 2; tasks++
    fi;
    if
    :: t == 0
    :: t != 0 ->
       assert(place[t] == (outcome[t] == 0 -> QUEUED : READY));
       roomers = roomers - is_for_room[t];
       take_out(t)
    fi;
    assert(tasks <= LIMIT)
  }
}

/* C: mts_queueclose_tell_closers finish_list */
inline tell_finishers()
{
  if
  :: IS_DONE -> is_told = is_told || finishers > 0
  :: else
  fi
}

/* Leaves its result in turn_end. */
mtype = {AGAIN, IS_IDLE, UNOWNED, WAS_CLOSED};
/* C: mts_queueturn_end */
inline queue_end_turn()
{
  d_step {
    assert(queue_status == SCHEDULED && !is_freed);
    if
    :: !refuses &&
       (MAY_BEGIN || (ready != 0 && PLANT != 15)) -> turn_end = AGAIN
    :: else ->
       queue_status = IDLE;
       turn_end = IS_IDLE;
       tell_finishers();
       if
       :: refuses && has_reference -> has_reference = false;
          turn_end = WAS_CLOSED
       :: !refuses && closes_when_idle && (IS_DONE || PLANT == 16) ->
          closes_when_idle = false;
          turn_end = UNOWNED;
          references++
       :: else
       fi;
       closes_when_idle = closes_when_idle && PLANT != 19
    fi
  }
}

/* C: fail_all */
inline fail_queued(r)
{
  if
  :: queue & (1 << r) ->
     queue = queue & ~(1 << r);
     place[r] = GONE;
     is_done[r] = true
  :: else
  fi
}

/* Fails what has not begun. */
/* C: mts_queueclose_close */
inline queue_close()
{
  d_step {
    assert(!is_freed);
    refuses = true;
    fail_queued(1);
    fail_queued(2);
    is_last = queue_status == IDLE && has_reference;
    if
    :: is_last -> has_reference = false
    :: else
    fi;
    if
    :: queue_status == IDLE -> tell_finishers()
    :: else
    fi
  };
  if
  :: is_last -> is_last = false; state_release()
  :: else
  fi
}

/* ======================================================================= */
/* The end of a wait                                                       */
/* ======================================================================= */

/* Leaves in is_decided whether the caller has ended it. */
/* C: mts_wait_decide */
inline wait_decide(t, reason)
{
  atomic {
    touch(t);
    is_decided = outcome[t] == OPEN || PLANT == 4;
    if
    :: is_decided -> outcome[t] = reason
    :: else
    fi
  }
}

/* By a thread that has no mutex, and for which the task is kept. */
/* C: end_wait */
inline end_wait(t, reason)
{
  wait_decide(t, reason);
  if
  :: is_decided -> is_decided = false; go_on(t)
  :: else
  fi
}

/* Answers future f.  It is not gone through the list in an order. */
inline decide_if_listed(t)
{
  if
  :: listed[f] & (1 << t) ->
     listed[f] = listed[f] & ~(1 << t);
     if
     :: PLANT == 18 -> won = won | (1 << t)
     :: else ->
        wait_decide(t, ANSWERED);
        won = won | (is_decided << t);
        is_decided = false
     fi
  :: else
  fi
}

inline wake_if_won(t)
{
  if
  :: won & (1 << t) ->
     won = won & ~(1 << t);
     if
     :: PLANT == 18 -> end_wait(t, ANSWERED)
     :: else -> go_on(t)
     fi
  :: else
  fi
}

/* C: mts_future_answer */
inline future_answer()
{
  lock(is_future_locked[f]);
  is_answered[f] = true;
  decide_if_listed(1);
  decide_if_listed(2);
  unlock(is_future_locked[f]);
  wake_if_won(1);
  wake_if_won(2)
}

/* One that is due. */
inline timer_pop(t)
{
  atomic { !is_timer_locked && is_in_heap[t] ->
    is_timer_locked = true;
    is_in_heap[t] = false;
    is_due[t] = true
  };
  wait_decide(t, TIMEOUT);
  unlock(is_timer_locked);
  if
  :: is_decided -> is_decided = false; go_on(t)
  :: else
  fi
}

/* ======================================================================= */
/* Suspend and resume: the thread that has the state                       */
/* ======================================================================= */

/* To be used with the mutex of the lock, or by who has ended the wait. */
inline note_raised(t)
{
  assert(raised[t] < cancels[t]);
  raised[t]++;
  must_raise[t] = false;
  has_to = false
}

/* C: mts_future_enlist */
inline enlist()
{
  atomic { !is_future_locked[operation[t]] ->
    is_there = is_answered[operation[t]] && PLANT != 13;
    if
    :: is_there
    :: else -> listed[operation[t]] = listed[operation[t]] | (1 << t)
    fi
  };
  if
  :: is_there -> is_there = false; end_wait(t, ANSWERED)
  :: else
  fi
}

/* Leaves in is_there whether the code was not hit. */
/* C: mts_interrupt_suspend_task */
inline interrupt_suspend_task()
{
  if
  :: PLANT != 17 -> task = 0
  :: else
  fi;
  if
  :: is_aimed && PLANT != 6 ->
     atomic { !is_locked ->
       is_there = is_aimed || PLANT == 5;
       is_aimed = false
     }
  :: else
  fi
}

/* C: take_untold */
inline take_untold()
{
  d_step {
    is_there = is_there || is_untold[t];
    is_untold[t] = false
  }
}

/* C: link_suspended */
inline note_suspended()
{
  d_step {
    place[t] = SUSPENDED;
    roomers = roomers + is_for_room[t]
  }
}

#define IS_OVER (outcome[t] != OPEN)

/* After the yield. */
/* C: mts_suspend_task */
inline task_suspend()
{
  running = 0;
  if
  :: PLANT == 3 -> enlist()
  :: PLANT == 17 -> task = 0
  :: else
  fi;
  note_suspended();
  interrupt_suspend_task();
  if
  :: PLANT != 17 -> take_untold()
  :: else
  fi;
  if
  :: is_there -> is_there = false; end_wait(t, CANCELLED)
  :: else
  fi;
  if
  :: IS_ENDING -> end_wait(t, ENDING)
  :: else
  fi;
  if
  :: !IS_OVER && has_deadline[t] ->
     atomic { !is_timer_locked -> is_in_heap[t] = true }
  :: else
  fi;
  if
  :: !IS_OVER && PLANT != 3 -> enlist()
  :: else
  fi
}

/* The wait is over. */
/* C: mts_suspend_settle */
inline task_settle(t)
{
  if
  :: has_deadline[t] && outcome[t] != TIMEOUT &&
     (PLANT != 2 || is_in_heap[t]) ->
     atomic { !is_timer_locked -> is_in_heap[t] = false }
  :: else
  fi;
  if
  :: outcome[t] != ANSWERED && PLANT != 1 ->
     atomic { !is_future_locked[operation[t]] ->
       listed[operation[t]] = listed[operation[t]] & ~(1 << t)
     }
  :: else
  fi
}

/* Leaves in is_there whether the task is told that it is cancelled. */
/* C: begin_stretch */
inline begin_stretch()
{
  d_step { task = t; has_to = must_raise[t] };
  if
  :: PLANT != 9 -> take_untold()
  :: else
  fi
}

inline check_outcome()
{
  assert(outcome[t] != OPEN && (outcome[t] != ENDING || IS_ENDING));
  assert(outcome[t] != ANSWERED || is_answered[operation[t]]);
  assert(outcome[t] != TIMEOUT || is_due[t]);
  assert(!is_in_heap[t] && !(listed[operation[t]] & (1 << t)));
  if
  :: is_there || outcome[t] == CANCELLED -> note_raised(t)
  :: else
  fi;
  assert(!has_to || is_aimed);
  is_there = false;
  outcome[t] = 0;
  has_deadline[t] = false;
  is_for_room[t] = false;
  is_due[t] = false
}

inline resume()
{
  task_settle(t);
  begin_stretch();
  d_step { assert(running == 0 && holder == WORKER); running = t };
  d_step { check_outcome() }
}

inline begin()
{
  begin_stretch();
  d_step {
    assert(running == 0 && holder == WORKER);
    if
    :: is_there -> is_there = false; note_raised(t);
       operation[t] = OPERATIONS
    :: else -> is_begun[t] = true; running = t;
       operation[t] = FIRST_OF(t)
    fi;
    assert(!has_to || is_aimed)
  }
}

inline hook()
{
  if
  :: is_aimed ->
     atomic { !is_locked ->
       if
       :: is_aimed -> is_aimed = false; note_raised(t)
       :: else
       fi
     }
  :: else
  fi
}

/* C: end_task */
inline end_task()
{
  d_step { running = 0; task = 0 };
  if
  :: is_aimed ->
     atomic { !is_locked -> is_aimed = false }
  :: else
  fi;
  d_step {
    assert(place[t] == TAKEN && !is_done[t] && !is_gone[t]);
    place[t] = GONE;
    is_gone[t] = true;
    must_raise[t] = false;
    is_done[t] = true;
    tasks--
  }
}

/* Until the task is suspended, or has ended: then t is 0. */
/* C: run_task */
inline run_task()
{
  do
  :: operation[t] == OPERATIONS -> end_task(); break
  :: operation[t] < OPERATIONS -> /* runs code */
     d_step { operation[t]++; has_to = must_raise[t] };
     hook();
     assert(!has_to)
  :: operation[t] < OPERATIONS && !IS_ENDING ->
     d_step {
       operation[t]++;
       assert(outcome[t] == 0);
       outcome[t] = OPEN
     };
     if
     :: t <= DEADLINES -> has_deadline[t] = true
     :: skip
     fi;
     if
     :: t <= ROOM -> is_for_room[t] = true
     :: skip
     fi;
     task_suspend();
     break
  od;
  t = 0
}

/* ======================================================================= */
/* Close                                                                   */
/* ======================================================================= */

/* Makes a suspended task ready if its wait is not over. */
inline end_wait_of(r)
{
  if
  :: place[r] == SUSPENDED && (outcome[r] == OPEN || PLANT == 10) ->
     outcome[r] = ENDING;
     place[r] = READY;
     ready = ready | (1 << r)
  :: else
  fi
}

/* C: mts_task_take_ready */
inline take_ready(r)
{
  if
  :: ready & (1 << r) ->
     roomers = roomers - is_for_room[r];
     take_out(r);
     won = won | (1 << r)
  :: else
  fi
}

/* C: mts_task_take_all */
inline task_take_all()
{
  assert(!is_ended);
  end_wait_of(1);
  end_wait_of(2);
  take_ready(1);
  take_ready(2)
}

/* C: close_task */
inline close_task(r)
{
  if
  :: won & (1 << r) ->
     if
     :: PLANT != 11 -> task_settle(r)
     :: else
     fi;
     d_step {
       won = won & ~(1 << r);
       assert(CLOSERS > 0 || MAY_GIVE_UP); /* else that is waited for */
       assert(place[r] == TAKEN && !is_done[r] && !is_gone[r]);
       place[r] = GONE;
       is_gone[r] = true;
       must_raise[r] = false;
       is_done[r] = true;
       tasks--
     }
  :: else
  fi
}

/* As long as there are tasks whose wait somebody has ended, and who is going
** to make them ready. */
/* C: close_tasks */
inline close_tasks()
{
  do
  :: tasks == 0 -> break
  :: tasks > 0 ->
     d_step { task_take_all() };
     close_task(1);
     close_task(2);
     tasks == 0 || ready != 0
  od
}

/* C: mts_state_finish_close */
inline finish_close()
{
  queue_close();
  close_tasks();
  assert(tasks == 0 && running == 0 && task == 0);
  d_step {
    assert(!is_ended);
    is_ended = true;
    is_aimed = false
  }
}

/* By a thread that does not have the state. */
inline state_close()
{
  atomic {
    !is_locked;
    if
    :: is_closed -> is_taken = false
    :: !is_closed && holder == 0 ->
       is_closed = true;
       holder = CLOSER;
       is_taken = true
    :: !is_closed && holder != 0 -> is_closing = true; is_taken = false
    fi
  };
  if
  :: is_taken -> is_taken = false; finish_close()
  :: else -> queue_close()
  fi
}

/* ======================================================================= */
/* Turns: serve.c                                                          */
/* ======================================================================= */

/* Each step is seen by threads that do not enter. */
inline run_tasks()
{
  do
  :: queue_take();
     if
     :: t == 0 -> break
     :: t != 0 && outcome[t] != 0 -> resume(); run_task()
     :: t != 0 && outcome[t] == 0 -> begin(); run_task()
     fi;
     if
     :: break
     :: skip
     fi
  od
}

/* C: mts_state_leave */
inline state_leave()
{
  atomic {
    !is_locked;
    is_there = is_closing;
    if
    :: is_closing -> is_closing = false; is_closed = true
    :: else -> holder = 0
    fi
  };
  if
  :: is_there -> is_there = false; finish_close(); is_aimed = false
  :: else
  fi
}

/* C: mts_serve_turn */
inline serve_turn()
{
  atomic {
    if
    :: IS_ENDING -> is_inside = false
    :: !IS_ENDING && holder == 0 -> holder = WORKER; is_inside = true
    fi
  };
  if
  :: is_inside -> is_inside = false; run_tasks(); state_leave()
  :: else
  fi;
  queue_end_turn();
  if
  :: turn_end == AGAIN -> worker_schedule()
  :: turn_end == IS_IDLE
  :: turn_end == UNOWNED -> state_close(); state_release()
  :: turn_end == WAS_CLOSED -> state_release()
  fi;
  turn_end = 0
}

active proctype worker()
{
  byte t, won;
  mtype turn_end;
  bool is_decided, is_runnable, is_there, is_last, is_inside, is_taken;
end:
  do
  :: atomic { scheduled > 0 -> scheduled-- }; serve_turn()
  od
}

/* ======================================================================= */
/* Other threads                                                           */
/* ======================================================================= */

active proctype sender()
{
  bool is_runnable;
  request_put(2);
  state_release()
}

active [OPERATIONS] proctype answerer()
{
  byte f = _pid - 1, won;
  bool is_decided, is_runnable;
  if
  :: ANSWERS -> future_answer()
  :: skip
  fi
}

active proctype popper()
{
  bool is_decided, is_runnable;
end:
  do
  :: timer_pop(1)
  :: timer_pop(2)
  od
}

/* Leaves in is_running whether the state runs the task. */
/* C: mts_interrupt_cancel */
inline interrupt_cancel(r)
{
  atomic { !is_locked && !is_closed ->
    is_locked = true;
    was_aimed = is_aimed;
    is_aimed = true
  };
  d_step {
    is_running = task == r;
    if
    :: is_running && is_untold[r] -> is_untold[r] = false
    :: else -> is_aimed = was_aimed && PLANT != 14
    fi;
    was_aimed = false;
    is_locked = false
  }
}

/* If it is queued. */
/* C: mts_queue_withdraw */
inline queue_withdraw(r)
{
  d_step {
    is_withdrawn = (queue & (1 << r)) != 0;
    if
    :: is_withdrawn ->
       fail_queued(r)
    :: else
    fi
  }
}

#define IS_KNOWN(r) (place[r] == SUSPENDED || place[r] == READY)

/* If it is suspended, or ready, and nobody else has told it. */
/* C: mts_task_cancel */
inline task_cancel(r)
{
  d_step {
    if
    :: IS_KNOWN(r) && (is_untold[r] || PLANT == 7) ->
       touch(r);
       is_untold[r] = outcome[r] != OPEN;
       if
       :: is_untold[r]
       :: else -> outcome[r] = CANCELLED; make_ready(r)
       fi
    :: else
    fi
  };
  schedule_if_runnable()
}

/* C: mts_future_cancel */
inline future_cancel(r)
{
  if
  :: is_done[r]
  :: else ->
     d_step { cancels[r]++; before = raised[r] };
     queue_withdraw(r);
     if
     :: is_withdrawn
     :: else ->
        is_untold[r] = true;
        if
        :: interrupt_cancel(r)
        :: is_closed
        fi;
        if
        :: !is_running && PLANT != 8 -> task_cancel(r)
        :: else
        fi
     fi;
     d_step {
       if
       :: before == raised[r] && !is_done[r] -> must_raise[r] = true
       :: else
       fi;
       before = 0;
       is_running = false;
       is_withdrawn = false
     }
  fi;
  state_release()
}

#if CANCELS > 0
active proctype canceller()
{
  byte before;
  bool was_aimed, is_running, is_runnable, is_withdrawn;
  future_cancel(1)
}
#endif

#if CANCELS > 1
active proctype second_canceller()
{
  byte before;
  bool was_aimed, is_running, is_runnable, is_withdrawn;
  byte request;
  if
  :: request = 1
  :: request = 2
  fi;
  future_cancel(request)
}
#endif

#if CLOSERS > 0
active proctype closer()
{
  byte t, won;
  bool is_there, is_last, is_taken;
  state_close();
  state_release()
}
#endif

#if FINISHERS > 0
/* Waits until there is nothing to be done, or for a while. */
active proctype finisher()
{
  byte t, won;
  bool is_there, is_last, is_taken;
  d_step { finishers++; is_there = !IS_DONE };
end_finisher:
  if
  :: !is_there || is_told -> is_there = false; is_finished = true
  :: is_there && MAY_GIVE_UP -> is_there = false
  fi;
  state_close();
  state_release()
}
#endif

#if OWNERS > 0
active proctype owner()
{
  byte t, won;
  bool is_there, is_last, is_taken;
  d_step {
    is_dropped = true;
    is_there = queue_status != IDLE || !IS_DONE;
    if
    :: is_there -> closes_when_idle = true
    :: else -> refuses = true
    fi
  };
  if
  :: is_there -> is_there = false
  :: else -> state_close()
  fi;
  state_release()
}
#endif

#define WAITS(t)                                                       \
  (place[t] == SUSPENDED && outcome[t] == OPEN && !is_in_heap[t] &&    \
   !is_answered[operation[t]] && (listed[operation[t]] & (1 << t)) &&  \
   !is_untold[t] && !must_raise[t])

/* When nothing can happen any more. */
active proctype judge()
{
  timeout;
  assert(queue_status == IDLE && scheduled == 0 && task == 0);
  assert(!is_locked && !is_timer_locked && !is_aimed && !is_closing);
  assert(is_done[1] || WAITS(1) || (place[1] == QUEUED && !MAY_BEGIN));
  assert(is_done[2] || WAITS(2) || (place[2] == QUEUED && !MAY_BEGIN));
  assert((holder == 0) != is_closed && is_ended == is_closed);
  assert(!is_closed || (is_done[1] && is_done[2] && references == 0));
  assert(!is_dropped || !IS_DONE || is_closed);
  assert(!is_finished || !IS_DONE || is_closed)
}
