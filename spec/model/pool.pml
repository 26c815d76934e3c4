/*
** pool.pml - a model of pools: members that take requests from a shared queue,
** and callers that take members, for the checker spin
**
** `make model` tries all interleavings.  Threads put requests into the queue
** of the pool; workers run turns of the members; threads call the pool, and
** threads call members directly, or send to them.
**
** The inlines have the names of functions in src/sched/team.c, teamcall.c,
** queue.c and serve.c, without mts_, and are to be read side by side with
** them.  What happens under the mutex of the pool's queue, of that of a member,
** or of a lock, is one step.
**
** Checked are
** - the assertions: one thread at a time is in a member; who is given a member
**   stands first in line;
** - when nothing can happen any more: all requests have been run, all calls
**   have been made, and no member is kept for a call.
**
** Not in the model: weak memory (all is sequentially consistent), closing, and
** tasks that wait; a caller gives up at any moment that it waits.
*/

#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef REQUESTS
#define REQUESTS 2 /* of each sender */
#endif
#ifndef CALLERS
#define CALLERS 1
#endif
#ifndef DIRECT
#define DIRECT 1 /* calls of the first member */
#endif
#ifndef OWN
#define OWN 0 /* requests to the first member */
#endif
#ifndef GIVES_UP
#define GIVES_UP true
#endif

#define NONE 255

mtype = {IDLE, SCHEDULED, BLOCKED};

/* mts_Queue and mts_Lock of a member */
typedef Member {
  mtype status = IDLE;
  bool is_due;   /* it is in the run queue */
  byte own;      /* its own requests */
  bool is_held;
  bool is_requested;
  bool is_idle = true; /* in the list of the team */
  bool is_kept;  /* for a call */
  bool was_refused; /* the worker was, at the turn before */
};
Member m[MEMBERS];

/* mts_Team */
byte requests;
byte line[CALLERS + 1]; /* who waits, the first one first */
byte waiting;
byte given[CALLERS + 1] = NONE;
byte done, calls;

/* ======================================================================= */
/* queue.c                                                                 */
/* ======================================================================= */

/* *is_made: whether it was idle */
/* C: mts_queueturn_schedule */
inline queue_schedule(i, is_made)
{
  d_step {
    is_made = m[i].status == IDLE;
    if
    :: is_made -> m[i].status = SCHEDULED; m[i].is_due = true
    :: else
    fi
  }
}

/* C: mts_queueturn_unblock */
inline queue_unblock(i)
{
  d_step {
    if
    :: m[i].status == BLOCKED -> m[i].status = SCHEDULED; m[i].is_due = true
    :: else
    fi
  }
}

/* ======================================================================= */
/* team.c                                                                  */
/* ======================================================================= */

/* Takes an idle member out of the list, or none: i */
/* C: pop_idle */
inline pop_idle(i)
{
  i = 0;
  do
  :: i < MEMBERS && !m[i].is_idle -> i++
  :: else -> break
  od;
  if
  :: i < MEMBERS -> m[i].is_idle = false
  :: else -> i = NONE
  fi
}

/* Schedules an idle member, if there is one, and requests. */
/* C: mts_team_wake */
inline team_wake(i, is_made)
{
  is_made = false;
  do
  :: is_made -> break
  :: else ->
    d_step {
      i = NONE;
      if
      :: requests > 0 -> pop_idle(i)
      :: else
      fi
    }
    if
    :: i == NONE -> break
    :: else -> queue_schedule(i, is_made)
    fi
  od
}

/* The queue of the member has become idle. */
/* C: mts_team_settle */
inline team_settle(self, i, is_made, is_again)
{
  d_step {
    is_again = requests > 0 && !m[self].is_kept;
    if
    :: requests == 0 && !m[self].is_kept -> m[self].is_idle = true
    :: else
    fi
  }
  if
  :: is_again -> queue_schedule(self, is_made)
  :: else -> team_wake(i, is_made)
  fi
}

/* ======================================================================= */
/* teamcall.c                                                              */
/* ======================================================================= */

/* The member goes to the first in line. */
/* C: give */
inline give(i)
{
  assert(given[line[0]] == NONE);
  given[line[0]] = i;
  m[i].is_kept = true;
  m[i].is_idle = false;
  waiting--;
  line[0] = line[1];
  line[1] = line[2 % (CALLERS + 1)]
}

/* A thread that was asked has left the member. */
/* C: mts_teamcall_offer */
inline teamcall_offer(i)
{
  d_step {
    if
    :: !m[i].is_kept && waiting > 0 -> give(i)
    :: else
    fi
  }
}

/* The call has been made, or not: others can have the member. */
/* C: give_back */
inline teamcall_give_back(self, i, is_made, has_callers, has_requests)
{
  d_step {
    m[self].is_kept = false;
    has_callers = waiting > 0;
    has_requests = requests > 0;
    if
    :: !has_requests -> m[self].is_idle = true
    :: else
    fi
  }
  if
  :: has_callers ->
    lock_request(self, is_made);
    if
    :: !is_made -> teamcall_offer(self)
    :: else
    fi
  :: else
  fi;
  queue_unblock(self);
  if
  :: has_requests -> queue_schedule(self, is_made)
  :: else
  fi
}

/* ======================================================================= */
/* lock.c                                                                  */
/* ======================================================================= */

/* C: mts_lock_enter mts_lock_enter_slow */
inline lock_enter(i, is_in)
{
  d_step {
    is_in = !m[i].is_held;
    if
    :: is_in -> m[i].is_held = true
    :: else
    fi
  }
}

/* C: mts_lock_request */
inline lock_request(i, is_held_now)
{
  d_step {
    is_held_now = m[i].is_held;
    m[i].is_requested = m[i].is_requested || is_held_now
  }
}

/* C: mts_state_leave */
inline state_leave(i, was_requested)
{
  d_step {
    assert(m[i].is_held);
    m[i].is_held = false;
    was_requested = m[i].is_requested;
    m[i].is_requested = false
  }
  if
  :: was_requested -> /* state_left */
    teamcall_offer(i);
    queue_unblock(i)
  :: else
  fi
}

/* ======================================================================= */
/* The threads                                                             */
/* ======================================================================= */

active [SENDERS] proctype sender()
{
  byte i, count;
  bool is_made;
  do
  :: count < REQUESTS ->
    requests++;
    team_wake(i, is_made);
    count++
  :: else -> break
  od
}

active [OWN] proctype own_sender()
{
  bool is_made;
  m[0].own++;
  queue_schedule(0, is_made)
}

active [WORKERS] proctype worker()
{
  byte self, i;
  bool is_in, is_made, is_again;
end:
  do
  :: atomic {
      if
      :: m[0].is_due -> self = 0
      :: m[MEMBERS - 1].is_due -> self = MEMBERS - 1
      fi;
      m[self].is_due = false
    }
    assert(m[self].status == SCHEDULED);
    /* serve.c: enter_to_serve */
    is_in = false;
    is_again = true;
    if
    :: m[self].was_refused ->
      atomic { !m[self].is_held; lock_enter(self, is_in) }
    :: else
    fi;
    do
    :: is_in || !is_again -> break
    :: else ->
      if
      :: m[self].is_kept
      :: else -> lock_enter(self, is_in)
      fi;
      if
      :: is_in
      :: else ->
        d_step { m[self].status = BLOCKED; m[self].was_refused = true };
        lock_request(self, is_made);
        if
        :: is_made || m[self].is_kept -> is_again = false
        :: else ->
          d_step {
            is_again = m[self].status == BLOCKED;
            if
            :: is_again -> m[self].status = SCHEDULED
            :: else
            fi
          }
        fi
      fi
    od;
    if
    :: !is_in -> team_wake(i, is_made) /* another one */
    :: else ->
      m[self].was_refused = false;
      /* run_next */
      d_step {
        if
        :: m[self].own > 0 -> m[self].own--
        :: else
        fi;
        is_made = requests > 0;
        if
        :: is_made -> requests--; done++
        :: else
        fi
      }
      if
      :: is_made -> team_wake(i, is_made)
      :: else
      fi;
      state_leave(self, is_made);
      /* queue_end_turn */
      d_step {
        is_again = m[self].own > 0 || requests > 0;
        if
        :: is_again -> m[self].is_due = true
        :: else -> m[self].status = IDLE
        fi
      }
      if
      :: is_again
      :: else -> team_settle(self, i, is_made, is_again)
      fi
    fi
  od
}

active [DIRECT] proctype direct_caller()
{
  bool is_in;
  do
  :: is_in -> break
  :: else -> (!m[0].is_held); lock_enter(0, is_in)
  od;
  state_leave(0, is_in)
}

/* Takes a member that is free and not kept: it is kept, given[me]. */
/* C: find_free take_free keep_for */
inline pick(me)
{
  i = 0;
  do
  :: i < MEMBERS && (m[i].is_held || m[i].is_kept) -> i++
  :: else -> break
  od;
  if
  :: i < MEMBERS ->
    m[i].is_kept = true;
    m[i].is_idle = false;
    given[me] = i
  :: else
  fi
}

/* Has a look at the members, standing in line. */
/* C: stand_in_line request_all find_held */
inline look(me)
{
  is_free = true;
  do
  :: given[me] != NONE || !is_free -> break
  :: else ->
    is_free = false;
    j = 0;
    do
    :: j < MEMBERS ->
      lock_request(j, is_in);
      is_free = is_free || (!is_in && !m[j].is_kept);
      j++
    :: else -> break
    od;
    skip;
    d_step {
      if
      :: given[me] == NONE && is_free && line[0] == me ->
        pick(me);
        if
        :: given[me] != NONE ->
          waiting--;
          line[0] = line[1];
          line[1] = line[2 % (CALLERS + 1)]
        :: else
        fi
      :: else
      fi
      i = 0
    }
    if
    :: is_free && given[me] == NONE && line[0] != me -> break
    :: else
    fi
  od
}

active [CALLERS] proctype caller()
{
  byte me = _pid - SENDERS - OWN - WORKERS - DIRECT;
  byte i, j, self;
  bool is_in, is_free, is_made, is_first, has_given_up;
  bool has_callers, has_requests;
  do
  :: is_made = false;
    d_step {
      if
      :: waiting == 0 -> pick(me)
      :: else
      fi;
      if
      :: given[me] == NONE && is_first -> /* back to the front */
        if
        :: waiting > 0 -> line[1] = line[0]
        :: else
        fi;
        line[0] = me;
        waiting++
      :: given[me] == NONE && !is_first ->
        line[waiting] = me;
        waiting++
      :: else
      fi;
      i = 0
    }
    if
    :: given[me] == NONE ->
      look(me);
      if
      :: given[me] != NONE
      :: GIVES_UP && given[me] == NONE ->
        d_step {
          has_given_up = given[me] == NONE;
          if
          :: has_given_up ->
            if
            :: line[0] == me -> line[0] = line[1]
            :: else
            fi;
            waiting--
          :: else
          fi
        }
      fi
    :: else
    fi;
    if
    :: has_given_up -> break
    :: else
    fi;
    self = given[me];
    given[me] = NONE;
    assert(m[self].is_kept);
    lock_enter(self, is_in);
    if
    :: is_in ->
      calls++;
      state_leave(self, is_made)
    :: else -> is_first = true
    fi;
    teamcall_give_back(self, i, is_made, has_callers, has_requests);
    if
    :: is_in -> break
    :: else
    fi
  od;
  if
  :: has_given_up -> calls++
  :: else
  fi
}

/* ======================================================================= */
/* The end                                                                 */
/* ======================================================================= */

active proctype observer()
{
  byte i;
  bool is_over;
  timeout;
  assert(requests == 0 && done == SENDERS * REQUESTS);
  assert(calls == CALLERS && waiting == 0);
  i = 0;
  do
  :: i < MEMBERS ->
    assert(!m[i].is_kept && !m[i].is_held && m[i].own == 0);
    assert(m[i].status == IDLE);
    i++
  :: else -> break
  od
}
