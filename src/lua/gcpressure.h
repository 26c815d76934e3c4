/*
** gcpressure.h - memory outside of Lua as pressure on the collector
**
** The garbage collector of a Lua state sees of the states that were made there
** only their small objects, and would let many of them pile up.  So it is told
** what they take; but late and seldom, since many open states are not to keep
** it busy, and it need not hear of states that are closed in time.
**
** Nor does it see what futures take.  And where garbage is little else than
** objects with finalizers it lags behind, more and more, without an end: they
** go in the second cycle only, and it waits until memory has doubled.  So it
** is told of each object, but of many at a time.
*/
#ifndef MTS_GCPRESSURE_H
#define MTS_GCPRESSURE_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/*
** Memory of the states that one Lua state has made, in KB; all zero at first.
** A state counts with the size that it had when it was new.
*/
typedef struct mts_GcPressure {
  int open;    /* of all that are open */
  int untold;  /* of those that the collector does not know yet */
  int objects; /* made since the collector was told of some */
} mts_GcPressure;

/* A state of that size was made; or it is closed or has lost its owner. */
void mts_gcpressure_add(mts_GcPressure *pressure, int kb);
void mts_gcpressure_remove(mts_GcPressure *pressure, int kb);

/*
** To be called before a state is made: tells the collector of L what it does
** not know, if that is much.
** Stack: [-0, +0, e]
** Errors: of finalizers.
*/
void mts_gcpressure_tell(mts_GcPressure *pressure, lua_State *L);

/*
** To be called before an object of a future or state is made.
** Stack: [-0, +0, e]
** Errors: of finalizers.
*/
void mts_gcpressure_tell_object(mts_GcPressure *pressure, lua_State *L);

MTS_END_HIDDEN

#endif
