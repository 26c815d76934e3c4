/*
** gcpressure.c - what the creator's garbage collector is told about states
**
** The garbage collector sees of a state only its small object, and would let
** many pile up.  So before a state is made, the collector is told what others
** weigh that it does not know of; but only if that is more than half of what
** it knows, since many open states are not to keep it busy.  It never hears of
** states that are closed in time.  A state's weight is what it had when it was
** new.
**
** Used by the thread that runs the Lua state; takes no locks.
*/
#include "lua/gcpressure.h"

/* Not worth telling (KB). */
#define SMALL_WEIGHT 256

void mts_gcpressure_add(mts_GcPressure *weights, int kb)
{
  weights->open += kb;
  weights->untold += kb;
}

void mts_gcpressure_remove(mts_GcPressure *weights, int kb)
{
  weights->open -= kb;
  if (weights->untold > weights->open)
    weights->untold = weights->open;
}

void mts_gcpressure_tell(mts_GcPressure *weights, lua_State *L)
{
  int kb = weights->untold;
  if (kb > SMALL_WEIGHT && kb > weights->open / 3) {
    weights->untold = 0;
    mts_compat_gcpressure(L, kb);
  }
}
