/*
** weight.c - how heavy states are for the garbage collector of their creator
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
#include "weight.h"

/* Not worth telling (KB). */
#define SMALL_WEIGHT 256

void mts_weight_add(mts_Weights *weights, int kb)
{
  weights->open += kb;
  weights->untold += kb;
}

void mts_weight_remove(mts_Weights *weights, int kb)
{
  weights->open -= kb;
  if (weights->untold > weights->open)
    weights->untold = weights->open;
}

void mts_weight_tell(mts_Weights *weights, lua_State *L)
{
  int kb = weights->untold;
  if (kb > SMALL_WEIGHT && kb > weights->open / 3) {
    weights->untold = 0;
    mts_compat_gcweigh(L, kb);
  }
}
