/*
** tasktrace.h - where suspended tasks wait
*/
#ifndef MTS_TASKTRACE_H
#define MTS_TASKTRACE_H

#include "base/compiler.h"

#include "core/traceback.h"

MTS_BEGIN_HIDDEN

/* See upcalls.h.  Locks: take that of the queue. */
bool mts_tasktrace_has_suspended(mts_State *s);
void mts_tasktrace_serve(mts_State *s);
void mts_tasktrace_write(mts_State *s, mts_Traceback *request);

MTS_END_HIDDEN

#endif
