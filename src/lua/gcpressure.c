/*
** gcpressure.c - the memory of states as pressure on their maker's collector
**
** Used by the thread that runs the Lua state; takes no locks.
*/
#include "lua/gcpressure.h"

/* Not worth telling (KB). */
#define SMALL_PRESSURE 256

void mts_gcpressure_add(mts_GcPressure *pressure, int kb)
{
  pressure->open += kb;
  pressure->untold += kb;
}

void mts_gcpressure_remove(mts_GcPressure *pressure, int kb)
{
  pressure->open -= kb;
  if (pressure->untold > pressure->open)
    pressure->untold = pressure->open;
}

/* Much: more than half of what the collector has been told of. */
void mts_gcpressure_tell(mts_GcPressure *pressure, lua_State *L)
{
  int kb = pressure->untold;
  if (kb > SMALL_PRESSURE && kb > pressure->open / 3) {
    pressure->untold = 0;
    mts_compat_gcpressure(L, kb);
  }
}
