/*
** timelimit.c - the time that code of a state may take: option `time`
**
** Each call of a state with a limit, each setup and each task has a record of
** the time that it has used (mts_Runtime).  It runs while the thread runs code
** of the call: it pauses while that waits inside the module, or calls another
** state.  A call that a state makes of itself is a part of the one around it.
**
** Protocol (the model is spec/model/timelimit.pml):
**
** 1. When it begins to run, or goes on, the thread stores in the state at what
**    point of the clock the time is over.  Then it looks when the watch of the
**    state is due.  Most often that is earlier, from a call before, and there
**    is nothing left to do; so a million calls in a second wake nobody.
** 2. When the watch is due, it is first off, and then looks at what is stored.
**    If nothing runs it stays off.  If there is time left it is due again when
**    that is over.  Else it has the state look at the clock: it adds LATE to
**    the level of interrupt.c and sends the signal, again and again, at longer
**    intervals, until the deadline has been changed.
** 3. The hook, in the thread that runs the code, finds LATE and decides by the
**    clock whether what runs now is to be stopped; the record belongs to the
**    thread alone.  So LATE can be seen by another call, and does no harm.
** 4. From 5.4 on the first error that is raised so is for all code but that of
**    to-be-closed variables, which run with as much time again: pcall and the
**    like (catch.c) raise it again, if they were called before it was raised.
**    When that time is over, too, LATE stays, and the hook, until the call
**    ends.  Before 5.4 that is so from the beginning.
**    The deadline stays, too, so the watch goes on: code can take the hook
**    away (debug.sethook), also where none runs, as in a finalizer.
** 5. If no time is left when the code goes on, the thread sets the hook itself
**    before that.
**
** Invariant: while code runs whose time is over, the watch is on.  It rests on
** sequential consistency in 1 and 2: each side stores something and then looks
** at what the other stores.
**
** Locks: that of the watcher, and lock.mutex of the state, one at a time; the
** watch takes the second inside the first.
*/
#include "core/timelimit.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async_util.h"
#include "core/interrupt.h"
#include "core/thread.h"
#include "error.h"
#include "luaapi/compat.h"

/* Seconds between the first tries to stop code. */
#define FIRST_DELAY 1e-3

/* With this delay or a longer one it has been tried many times. */
#define OVERDUE 0.1

/* ======================================================================= */
/* The watch                                                               */
/* ======================================================================= */

/* Called by the watcher. */
static double look_at_deadline(mts_Watch *watch)
{
  mts_TimeLimit *limit =
      (mts_TimeLimit *)((char *)watch - offsetof(mts_TimeLimit, watch));
  const double deadline = atomic_load(&limit->deadline);
  const double now = mts_clock_now();
  const bool is_first = limit->tried != deadline;
  if (deadline > now)
    return deadline == MTS_FOREVER ? 0 : deadline - now;
  limit->tried = deadline;
  limit->delay = is_first ? FIRST_DELAY : 2 * limit->delay;
  mts_interrupt_post_late(limit->state, is_first, limit->delay >= OVERDUE);
  return limit->delay;
}

static void publish_deadline(mts_TimeLimit *limit, double deadline)
{
  atomic_store(&limit->deadline, deadline);
  if (mts_watch_is_needed(&limit->watch, deadline))
    (void)mts_watch_start(&limit->watch, look_at_deadline, deadline);
}

mts_Status mts_timelimit_set(mts_State *s, double seconds)
{
  mts_TimeLimit *limit;
  if (seconds <= 0)
    return MTS_OK;
  limit = calloc(1, sizeof(*limit));
  if (!limit)
    return MTS_NO_MEMORY;
  limit->state = s;
  limit->seconds = seconds;
  atomic_init(&limit->deadline, MTS_FOREVER);
  s->time_limit = limit; /* freed with s */
  return mts_watch_prepare() ? MTS_OK : MTS_NO_MEMORY;
}

void mts_timelimit_end(mts_State *s)
{
  if (s->time_limit)
    mts_watch_stop(&s->time_limit->watch);
}

/* ======================================================================= */
/* Calls                                                                   */
/* ======================================================================= */

void mts_timelimit_reset(mts_Runtime *runtime, const mts_State *s)
{
  *runtime = (mts_Runtime){.stage = MTS_TIME_LEFT};
  if (s->time_limit)
    runtime->limit = s->time_limit->seconds;
}

void mts_timelimit_begin(mts_Runtime *runtime)
{
  double left;
  if (!runtime || !runtime->is_open || --runtime->pauses > 0 ||
      !runtime->state)
    return;
  runtime->started = mts_clock_now();
  left = runtime->limit - runtime->used;
  if (left <= 0)
    mts_interrupt_note_late(runtime->state);
  publish_deadline(runtime->state->time_limit, runtime->started + left);
}

void mts_timelimit_pause_one(mts_Runtime *runtime)
{
  if (!runtime || !runtime->is_open || runtime->pauses++ > 0 ||
      !runtime->state)
    return;
  runtime->used += mts_clock_now() - runtime->started;
  atomic_store_explicit(&runtime->state->time_limit->deadline, MTS_FOREVER,
                        memory_order_relaxed);
}

void mts_timelimit_open(mts_Runtime *runtime, mts_State *s)
{
  mts_Runtime *outer = mts_self.runtime;
  const bool is_nested = outer && outer->state == s && outer->pauses == 0;
  if (is_nested || (!outer && !s->time_limit))
    return;
  if (outer)
    mts_timelimit_pause_one(outer);
  runtime->is_open = true;
  runtime->state = s->time_limit ? s : NULL;
  runtime->pauses = 1;
  runtime->outer = outer;
  mts_self.runtime = runtime;
}

/* A host that switches C stacks can end calls in any order. */
static void unlink_runtime(const mts_Runtime *runtime)
{
  mts_Runtime *inner = mts_self.runtime;
  while (inner && inner->outer != runtime)
    inner = inner->outer;
  if (inner)
    inner->outer = runtime->outer;
}

void mts_timelimit_close(mts_Runtime *runtime)
{
  if (!runtime->is_open)
    return;
  runtime->is_open = false;
  if (mts_self.runtime == runtime) {
    mts_self.runtime = runtime->outer;
    mts_timelimit_begin(runtime->outer);
  }
  else
    unlink_runtime(runtime);
}

/* ======================================================================= */
/* Code that is stopped                                                    */
/* ======================================================================= */

double mts_timelimit_take(mts_State *s, bool *is_for_good)
{
  mts_Runtime *runtime = mts_self.runtime;
  double ran;
  *is_for_good = false;
  if (!runtime || runtime->state != s || runtime->pauses > 0)
    return 0;
  ran = runtime->used + (mts_clock_now() - runtime->started);
  if (runtime->stage != MTS_TIME_OVER && ran < runtime->limit)
    return 0;
  if (runtime->stage == MTS_TIME_LEFT)
    runtime->stopped = ran;
  if (MTS_HAS_CLOSE && runtime->stage == MTS_TIME_LEFT) {
    runtime->stage = MTS_TIME_CLEANING;
    runtime->limit = ran + s->time_limit->seconds;
    return ran;
  }
  runtime->stage = MTS_TIME_OVER;
  *is_for_good = true;
  return ran;
}

void mts_timelimit_follow(void)
{
  const mts_Runtime *runtime = mts_self.runtime;
  if (runtime->stage == MTS_TIME_CLEANING)
    publish_deadline(runtime->state->time_limit,
                     runtime->started + (runtime->limit - runtime->used));
}

const char *mts_timelimit_describe(double ran,
                                   char text[MTS_TIMELIMIT_TEXT_SIZE])
{
  snprintf(text, MTS_TIMELIMIT_TEXT_SIZE,
           "the running code was stopped after %.3f seconds", ran);
  return text;
}

/* Whether the text says it. */
static bool tells_of_stop(const mts_Buffer *text)
{
  const char *name = mts_error_names[MTS_ERROR_INTERRUPTED];
  const size_t length = strlen(name);
  size_t i;
  for (i = 0; i + length <= text->length; i++)
    if (memcmp(text->data + i, name, length) == 0)
      return true;
  return false;
}

mts_Status mts_timelimit_judge_stopped(const mts_Runtime *runtime,
                                       mts_Status status, mts_Failure *failure)
{
  char description[MTS_TIMELIMIT_TEXT_SIZE];
  char message[2 * MTS_TIMELIMIT_TEXT_SIZE];
  int length;
  if (status == MTS_RAISED && tells_of_stop(&failure->text))
    return status;
  mts_failure_close(failure);
  mts_failure_open(failure);
  length = snprintf(message, sizeof(message), "%s: %s",
                    mts_error_names[MTS_ERROR_INTERRUPTED],
                    mts_timelimit_describe(runtime->stopped, description));
  return mts_error_compose(&failure->text, MTS_ERROR_INVOKING_STATE,
                           runtime->state, message, (size_t)length);
}

mts_TimeStage mts_timelimit_stage(void)
{
  return mts_self.runtime ? mts_self.runtime->stage : MTS_TIME_LEFT;
}
