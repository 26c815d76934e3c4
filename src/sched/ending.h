/*
** ending.h - the end of the process
*/
#ifndef MTS_ENDING_H
#define MTS_ENDING_H

#include "base/compiler.h"

MTS_BEGIN_HIDDEN

/*
** Interrupts what workers run, waits for a tenth of a second at most, and says
** what is lost.
** To be called by exit.
*/
void mts_ending_run(void);

MTS_END_HIDDEN

#endif
