/*
** traceback.pml - a model of tracebacks, for the checker spin
**
** `make model` tries all interleavings.  A thread, the holder, enters a state,
** runs code there, waits inside the module, leaves, and at last ends; the
** state can be closed when it leaves it.  Others ask where its code is.
**
** The inlines have the names of functions in src/core/traceback.c and hook.c,
** without mts_, and are to be read side by side with them; the mutex is that
** of the lock of the state.  The signal is taken at any time, or gets lost.
** A worker serves the state when that is due.  Left open are what the holder
** does, when an asker loses its patience, and whether tasks are suspended.
**
** Checked is: nobody reads the Lua state while its holder, or another one who
** reads, uses it; the holder writes for no asker that has gone; an asker that
** has an answer has it once; nobody waits for ever, an asker with patience for
** a holder that goes on neither; and afterwards no hook has anything to do.
**
** Not in the model: weak memory, several states that one thread holds, closing
** (askers see it as any state that is free), how the hook gets set in time.
**
** -DPLANT=n plants a mistake:
**  1 a holder goes on although somebody reads
**  2 an asker goes although the holder writes for it
**  3 an asker that has read itself leaves its request there
**  4 who reads a holder that waits does not pin it first
**  5 the hook takes the requests without the mutex
**  6 an asker without patience leaves its request there
*/

#ifndef PLANT
#define PLANT 0
#endif
#ifndef ASKERS
#define ASKERS 2
#endif
#ifndef STEPS
#define STEPS 2 /* of the holder */
#endif

#define HOLDER 1
#define WORKER 2
#define ASKER(n) (3 + (n))

/* What a holder does: mts_Thread.wait_state. */
#define RUNS 0
#define WAITS 1
#define IS_READ 2

/* What became of a request. */
#define NO_REQUEST 0
#define PENDING 1
#define TAKEN 2
#define DONE 3

byte word;      /* who holds the state */
byte mutex;     /* who has it, or 0 */
byte wait_state;
bool is_pinned; /* CONTENDED */
bool look;      /* MTS_INTERRUPT_LOOK */
bool hook;
bool signal;
bool is_due;    /* the scheduler is to serve the state */
byte request[ASKERS];
bool is_gone[ASKERS];
byte answers[ASKERS];
bool holder_uses; /* code of the state runs */
byte readers;
byte ended;

inline lock(who) { atomic { mutex == 0 -> mutex = who } }
inline unlock() { mutex = 0 }

/* Reads the Lua state. */
inline read_state() {
  d_step { assert(!holder_uses && readers == 0); readers++ };
  d_step { assert(!holder_uses && readers == 1); readers-- }
}

/* ---------------------------------------------------------------------- */
/* The holder                                                             */
/* ---------------------------------------------------------------------- */

/* For the thread that holds the state, between two operations. */
inline answer(who) {
  if
  :: PLANT != 5 -> lock(who)
  :: else
  fi;
  i = 0;
  do
  :: i < ASKERS ->
     if
     :: request[i] == PENDING ->
#if PLANT == 5
        skip;
#endif
        request[i] = TAKEN; mine[i] = true
     :: else
     fi;
     i++
  :: else -> break
  od;
  look = false;
  if
  :: PLANT != 5 -> unlock()
  :: else
  fi;
  i = 0;
  do
  :: i < ASKERS ->
     if
     :: mine[i] ->
        assert(!is_gone[i]);
        mine[i] = false;
        d_step { assert(!is_gone[i]); answers[i]++; request[i] = DONE }
     :: else
     fi;
     i++
  :: else -> break
  od
}

/* The waiting thread goes on. */
inline end_wait() {
  if
  :: PLANT == 1 -> wait_state = RUNS
  :: else -> atomic { wait_state == WAITS -> wait_state = RUNS }
  fi
}

inline enter() {
  atomic { word == 0 -> word = HOLDER };
  if
  :: look -> lock(HOLDER); hook = look; unlock()
  :: else
  fi;
  holder_uses = true
}

inline leave() {
  holder_uses = false;
  if
  :: atomic { !is_pinned -> word = 0 }
  :: is_pinned -> lock(HOLDER); is_pinned = false; word = 0; unlock()
  fi;
  hook = false
}

proctype Holder() {
  byte steps = 0, i;
  bool mine[ASKERS];
  enter();
  do
  :: steps < STEPS -> /* an operation */
     steps++;
     if
     :: hook -> hook = false; answer(HOLDER)
     :: else
     fi
  :: steps < STEPS -> /* a wait */
     steps++;
     holder_uses = false;
     wait_state = WAITS;
     end_wait();
     holder_uses = true
  :: steps < STEPS -> /* others get in between */
     steps++;
     leave();
     if
     :: wait_state = WAITS; end_wait()
     :: true
     fi;
     enter()
  :: steps >= STEPS -> break
  od;
  leave();
  ended++
}

/* A worker has a turn of the state. */
proctype Worker() {
  byte i;
  bool mine[ASKERS];
end:
  do
  :: atomic { is_due && word == 0 -> is_due = false; word = WORKER };
     if
     :: look -> answer(WORKER)
     :: else
     fi;
     if
     :: atomic { !is_pinned -> word = 0 }
     :: is_pinned -> lock(WORKER); is_pinned = false; word = 0; unlock()
     fi
  od
}

/* The signal of the holder. */
proctype Signal() {
end:
  do
  :: atomic { signal -> signal = false };
     if
     :: atomic { word == HOLDER && look -> hook = true }
     :: else
     fi
  od
}

/* ---------------------------------------------------------------------- */
/* An asker                                                               */
/* ---------------------------------------------------------------------- */

inline forget() {
  if
  :: request[n] == PENDING ->
     request[n] = NO_REQUEST;
     d_step {
       look = false;
       i = 0;
       do
       :: i < ASKERS -> look = look || request[i] == PENDING; i++
       :: else -> break
       od;
       i = 0
     }
  :: else
  fi
}

proctype Asker(byte n) {
  byte i;
  bool is_free, is_held, is_waiting;
  bool has_tasks;
  if
  :: has_tasks = true
  :: has_tasks = false
  fi;
  do
  :: lock(ASKER(n));
     if
     :: request[n] == DONE -> unlock(); break
     :: request[n] == TAKEN -> unlock(); request[n] == DONE; break
     :: else
     fi;
     is_waiting = false;
     d_step { /* pin */
       is_free = word == 0;
       is_held = word != 0;
       is_pinned = is_pinned || (is_held && PLANT != 4)
     };
     if
     :: atomic { is_held && word != WORKER && wait_state == WAITS ->
                 wait_state = IS_READ };
        is_waiting = true
     :: else
     fi;
     if
     :: is_free && has_tasks -> /* some are suspended */
        request[n] = PENDING;
        look = true;
        unlock();
        is_due = true
     :: is_free && !has_tasks ->
        if
        :: PLANT != 3 -> forget()
        :: else
        fi;
        unlock();
        break
     :: is_waiting ->
        if
        :: PLANT != 3 -> forget()
        :: else
        fi;
        unlock();
        assert(word == HOLDER);
        read_state();
        assert(word == HOLDER);
        answers[n]++;
        wait_state = WAITS;
        break
     :: else ->
        request[n] = PENDING;
        look = true;
        if
        :: word == HOLDER -> signal = true
        :: true /* it gets lost */
        fi;
        unlock()
     fi
  :: lock(ASKER(n)); /* no patience any more */
     if
     :: request[n] == TAKEN && PLANT != 2 -> unlock(); request[n] == DONE
     :: request[n] == DONE -> unlock()
     :: else ->
        if
        :: PLANT != 6 -> forget()
        :: else
        fi;
        unlock()
     fi;
     break
  od;
  is_gone[n] = true;
  assert(answers[n] <= 1);
  ended++
}

init {
  byte n = 0;
  atomic {
    run Holder();
    run Signal();
    run Worker();
    do
    :: n < ASKERS -> run Asker(n); n++
    :: else -> break
    od
  };
  ended == ASKERS + 1;
  word == 0;
  assert(!look && wait_state == RUNS)
}
