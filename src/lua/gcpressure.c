/*
** gcpressure.c - memory outside of Lua as pressure on the collector
**
** Used by the thread that runs the Lua state; takes no locks.
*/
#include "lua/gcpressure.h"

/* Not worth telling (KB). */
#define SMALL_PRESSURE 256

/* So many objects are told of at once, with what they take together (KB). */
#define OBJECTS 64
#define OBJECTS_PRESSURE 32

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

void mts_gcpressure_tell_object(mts_GcPressure *pressure, lua_State *L)
{
  if (++pressure->objects >= OBJECTS) {
    pressure->objects = 0;
    mts_compat_gcpressure(L, OBJECTS_PRESSURE);
  }
}
