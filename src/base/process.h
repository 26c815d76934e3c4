/*
** process.h - what concerns the whole process: its memory, forks, processors
*/
#ifndef MTS_PROCESS_H
#define MTS_PROCESS_H

#include "base/compiler.h"

MTS_BEGIN_HIDDEN

/*
** Keeps the shared object that holds this function in memory until the
** process ends: other threads may be inside when the last Lua state that
** loaded the module is closed.
*/
void mts_process_pin_module(void);

/*
** Has the functions called around each fork of the process: before it, and
** after it in the parent and in the child.  Without memory for that they are
** not called.
*/
void mts_process_on_fork(void (*before)(void), void (*in_parent)(void),
                         void (*in_child)(void));

/* Returns: how many processors the threads of this process may use, 1 or more.
 */
unsigned mts_process_count_processors(void);

MTS_END_HIDDEN

#endif
