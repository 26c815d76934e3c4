/*
** timelimit.h - the time that code of a state may take: option `time`
*/
#ifndef MTS_TIMELIMIT_H
#define MTS_TIMELIMIT_H

#include "base/compiler.h"

#include <stdbool.h>

#include "core/failure.h"
#include "core/watch.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/* Of a state with that option. */
typedef struct mts_TimeLimit {
  mts_State *state;
  double seconds; /* for each call */

  /*
  ** When the code that runs now has used that up, or MTS_FOREVER; stored by
  ** the thread that holds the state.
  */
  _Atomic double deadline;

  /* Guarded by the mutex of the watcher. */
  mts_Watch watch;
  double tried; /* the deadline of the last try to stop code, */
  double delay; /* and the seconds from then to the next one for it */
} mts_TimeLimit;

/* What has become of a call. */
typedef enum mts_TimeStage {
  MTS_TIME_LEFT,
  MTS_TIME_CLEANING, /* it was stopped, and has as much again for clean-up */
  MTS_TIME_OVER      /* it is stopped at each operation */
} mts_TimeStage;

/*
** The time that a call, a setup or a task uses; for the thread that runs it.
** Those of a thread are in a list, the innermost first, which alone runs; in
** between, records without a state stand for calls that have no limit.
*/
typedef struct mts_Runtime {
  mts_State *state; /* or NULL */
  struct mts_Runtime *outer;
  unsigned pauses; /* how many reasons there are not to run */
  mts_TimeStage stage;
  double limit;   /* how much may be used, in seconds */
  double used;    /* before it began to run, */
  double started; /* at this point of the clock */
  double stopped; /* how long it had run when it was stopped first */
  bool is_open;
} mts_Runtime;

/*
** Gives the new state that limit; 0: none.
** Locks: takes the mutex of the watcher.
** Returns: MTS_OK; MTS_NO_MEMORY, also if there can be no watcher.
*/
mts_Status mts_timelimit_set(mts_State *s, double seconds);

/*
** The state is being closed: nothing of it is watched any more.
** Locks: takes the mutex of the watcher.
*/
void mts_timelimit_end(mts_State *s);

/* ======================================================================= */
/* Calls                                                                   */
/* ======================================================================= */

/*
** Whether a call of s by the calling thread has to do with limits; else
** nothing of what follows need be called for it.
*/
static inline bool mts_timelimit_concerns(const mts_State *s)
{
  return ((uintptr_t)mts_self.runtime | (uintptr_t)s->time_limit) != 0;
}

/* No time of s is used yet.  Also for states without a limit. */
void mts_timelimit_reset(mts_Runtime *runtime, const mts_State *s);

/*
** The thread is going to run code of s: the time of the code that has run up
** to now does not go on, until mts_timelimit_close.  If that is code of s
** itself, or neither has a limit, nothing happens, here and in what follows.
** Locks: mts_timelimit_close as mts_timelimit_resume.
*/
void mts_timelimit_open(mts_Runtime *runtime, mts_State *s);
void mts_timelimit_close(mts_Runtime *runtime);

/*
** In between, when the thread holds s: the code begins to run, and pauses.
** runtime: NULL: nothing happens.
** Locks: mts_timelimit_begin as mts_timelimit_resume.
*/
void mts_timelimit_begin(mts_Runtime *runtime);
void mts_timelimit_pause_one(mts_Runtime *runtime);

/*
** The calling thread waits inside the module: up to mts_timelimit_resume the
** time of the code that it runs does not go on.
** Locks: mts_timelimit_resume takes the mutex of the watcher if that has to
** know of the deadline, or s->lock.mutex if there is no time left.
*/
static inline void mts_timelimit_pause(void)
{
  if (mts_self.runtime)
    mts_timelimit_pause_one(mts_self.runtime);
}

static inline void mts_timelimit_resume(void)
{
  if (mts_self.runtime)
    mts_timelimit_begin(mts_self.runtime);
}

/* ======================================================================= */
/* Code that is stopped                                                    */
/* ======================================================================= */

/*
** For the hook, in the thread that holds s: whether the code that runs now is
** to be stopped.  If so, mts_timelimit_follow is to be called without a mutex.
** Returns: how many seconds it has run, then; else 0.  *is_for_good: whether
** it is to be stopped at the next operation, too.
*/
double mts_timelimit_take(mts_State *s, bool *is_for_good)
    MTS_REQUIRES(s->lock.mutex);

/* Locks: as mts_timelimit_resume. */
void mts_timelimit_follow(void);

/* Writes what the error says then; ran: what mts_timelimit_take has returned.
** Returns: text. */
#define MTS_TIMELIMIT_TEXT_SIZE 80
const char *mts_timelimit_describe(double ran,
                                   char text[MTS_TIMELIMIT_TEXT_SIZE]);

/* Part of mts_timelimit_judge. */
mts_Status mts_timelimit_judge_stopped(const mts_Runtime *runtime,
                                       mts_Status status,
                                       mts_Failure *failure);

/*
** The code has ended with that status, in *failure if it is MTS_RAISED.  If it
** was stopped, it has failed so, whatever it made of that: perhaps the error
** was caught and there was no next operation, or clean-up raised another one.
** runtime: NULL: nothing happens.
** Returns: the status; MTS_RAISED, MTS_NO_MEMORY.
*/
static inline mts_Status mts_timelimit_judge(const mts_Runtime *runtime,
                                             mts_Status status,
                                             mts_Failure *failure)
{
  if (!runtime || runtime->stage == MTS_TIME_LEFT)
    return status;
  return mts_timelimit_judge_stopped(runtime, status, failure);
}

/*
** How far the code that the calling thread runs has been stopped.  Whoever
** catches an error, and finds that this has gone up meanwhile, raises it
** again.
*/
mts_TimeStage mts_timelimit_stage(void);

MTS_END_HIDDEN

#endif
