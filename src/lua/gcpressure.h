/*
** gcpressure.h - what the creator's garbage collector is told about states
*/
#ifndef MTS_GCPRESSURE_H
#define MTS_GCPRESSURE_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* Of the states that one Lua state has made, in KB; all zero at first. */
typedef struct mts_GcPressure {
  int open;   /* of all that are open */
  int untold; /* of those that its garbage collector does not know yet */
} mts_GcPressure;

void mts_gcpressure_add(mts_GcPressure *weights, int kb);
void mts_gcpressure_remove(mts_GcPressure *weights, int kb);

/*
** Tells the garbage collector of L what it does not know, if that is much.
** Finalizers can run.  Stack: [-0, +0, e]
*/
void mts_gcpressure_tell(mts_GcPressure *weights, lua_State *L);

MTS_END_HIDDEN

#endif
