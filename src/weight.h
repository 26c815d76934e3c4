/*
** weight.h - how heavy states are for the garbage collector of their creator
*/
#ifndef MTS_WEIGHT_H
#define MTS_WEIGHT_H

#include "compiler.h"
#include "compat.h"

MTS_BEGIN_HIDDEN

/* Of the states that one Lua state has made, in KB; all zero at first. */
typedef struct mts_Weights {
  int open;   /* of all that are open */
  int untold; /* of those that its garbage collector does not know yet */
} mts_Weights;

void mts_weight_add(mts_Weights *weights, int kb);
void mts_weight_remove(mts_Weights *weights, int kb);

/*
** Tells the garbage collector of L what it does not know, if that is much.
** Finalizers can run.  Stack: [-0, +0, e]
*/
void mts_weight_tell(mts_Weights *weights, lua_State *L);

MTS_END_HIDDEN

#endif
