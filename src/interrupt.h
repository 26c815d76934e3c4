/*
** interrupt.h - stopping Lua code that runs in a state
*/
#ifndef MTS_INTERRUPT_H
#define MTS_INTERRUPT_H

#include "state.h"

/*
** Has the code of s hit by an interrupt, now or when it runs next;
** MTS_INTERRUPT_NONE takes that back.  Any thread.  Returns when the hook is
** set.  While that waits for a thread that does not take its signal (see
** preempt.c), the lock of s only works without competition.
** Returns: MTS_OK, MTS_CLOSED.
** Locks: takes s->lock.mutex, then that of mts_preempt_run.
*/
mts_Status mts_interrupt_request(mts_State *s, mts_Interrupt level);

/*
** To be called by the thread that has just entered s: an interrupt that came
** meanwhile hits the code that it is going to run.
** Locks: takes s->lock.mutex if there is one.
*/
void mts_interrupt_check(mts_State *s);

/*
** Notes that from now on L is the Lua thread that runs in s, and returns the
** one before, to be restored with this function when L is through.  s may be
** NULL (L belongs to no state of this module): then nothing happens.
** Locks: as mts_interrupt_check.
*/
lua_State *mts_interrupt_switch(mts_State *s, lua_State *L);

#endif
