/*
** descriptor.h - a file descriptor that event loops can poll
*/
#ifndef MTS_DESCRIPTOR_H
#define MTS_DESCRIPTOR_H

#include "base/compiler.h"

#include <stdbool.h>

MTS_BEGIN_HIDDEN

/*
** It is readable as long as it is raised.  Functions are not for several
** threads at once.
*/
typedef struct mts_Descriptor {
  int read_end;
  int write_end; /* can be the same */
  bool is_raised;
} mts_Descriptor;

/*
** Opens it, not raised.  Processes that are started do not inherit it.
** Returns: false if there is none to be had, or none on this system.
*/
bool mts_descriptor_open(mts_Descriptor *descriptor);
void mts_descriptor_close(mts_Descriptor *descriptor);

/*
** Raises or lowers it, if it is not so already: a system call each, which
** waits for nothing.
** Locks: mutexes may be held.
*/
void mts_descriptor_set(mts_Descriptor *descriptor, bool is_raised);

MTS_END_HIDDEN

#endif
