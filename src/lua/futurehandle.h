/*
** futurehandle.h - futures among the values that cross
*/
#ifndef MTS_FUTUREHANDLE_H
#define MTS_FUTUREHANDLE_H

#include "base/compiler.h"

MTS_BEGIN_HIDDEN

/* Lets futures cross, as mts_statehandle_register does with states. */
void mts_futurehandle_register(void);

MTS_END_HIDDEN

#endif
