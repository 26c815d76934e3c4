/*
** interrupt.h - stopping Lua code that runs in a state
*/
#ifndef MTS_INTERRUPT_H
#define MTS_INTERRUPT_H

#include "base/compiler.h"
#include "state.h"

MTS_BEGIN_HIDDEN

/*
** To be called before all others.  False if the environment names no signal
** that can be used.
*/
bool mts_interrupt_open(void);

/*
** Has the code of s hit by an interrupt, now or when it runs next;
** MTS_INTERRUPT_NONE takes that back.  Any thread that has a reference.
** Waits, without a lock, for the thread that runs s to set the hook, but not
** long: if that thread does not get to it, the watcher sees to it.
** Returns: MTS_OK, MTS_CLOSED.
** Locks: takes s->lock.mutex and with it that of mts_signal_send; afterwards
** that of the watcher alone.
*/
mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level);

/* Part of mts_interrupt_check. */
void mts_interrupt_obey(mts_State *s);

/*
** To be called by the thread that has just entered s: an interrupt that came
** meanwhile hits the code that it is going to run.
** Locks: takes s->lock.mutex if there is one.
*/
static inline void mts_interrupt_check(mts_State *s)
{
  if (atomic_load(&s->interrupt) != MTS_INTERRUPT_NONE)
    mts_interrupt_obey(s);
}

/*
** Notes that from now on L is the Lua thread that runs in s, and returns the
** one before, to be restored with this function when L is through.  s may be
** NULL (L belongs to no state of this module): then nothing happens.
** Locks: as mts_interrupt_check.
*/
static inline lua_State *mts_interrupt_switch(mts_State *s, lua_State *L)
{
  lua_State *before = NULL;
  if (s) {
    before = atomic_load_explicit(&s->running, memory_order_relaxed);
    if (before != L) {
      atomic_store(&s->running, L);
      mts_interrupt_check(s);
    }
  }
  return before;
}

/*
** To be called by `from` directly before it makes the Lua thread co run, and
** directly afterwards: mts_interrupt_switch for coroutines of s.  resume:
** stays in between.  Returns, for the second, what ran before.  s may be NULL.
** Locks: as mts_interrupt_check.
*/
static inline lua_State *mts_interrupt_enter(mts_State *s, mts_Resume *resume,
                                             lua_State *from, lua_State *co)
{
  if (s) {
    *resume = (mts_Resume){
        from, atomic_load_explicit(&s->running, memory_order_relaxed),
        s->resumes};
    s->resumes = resume;
  }
  return mts_interrupt_switch(s, co);
}

static inline void mts_interrupt_leave(mts_State *s, const mts_Resume *resume,
                                       lua_State *before)
{
  if (s)
    s->resumes = resume->outer;
  mts_interrupt_switch(s, before);
}

MTS_END_HIDDEN

#endif
