/*
** process.h - the process as a whole: its memory, forks, end, processors
*/
#ifndef MTS_PROCESS_H
#define MTS_PROCESS_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdio.h>

#include "async_util.h"

MTS_BEGIN_HIDDEN

/*
** Keeps the shared object that holds the function in memory until the process
** ends: other threads may be inside when the last Lua state that needed it is
** closed.  (On Windows this is the one that calls, if the function is known by
** an import library only.)
*/
void mts_process_pin(void (*function)(void));

/*
** Has the functions called around each fork of the process: before it, and
** after it in the parent and in the child.  Without memory for that they are
** not called.
*/
void mts_process_on_fork(void (*before)(void), void (*in_parent)(void),
                         void (*in_child)(void));

/*
** Has the function called when the process ends by exit or by the end of its
** main function; once for each time.  The shared object that holds the
** function has to be pinned before.  Without memory for that it is not called.
*/
void mts_process_on_exit(void (*function)(void));

/* Returns: how many processors the threads of this process may use, 1 or more.
 */
unsigned mts_process_count_processors(void);

/*
** The thread has to live until this returns.
** Returns: seconds of processor time that the thread has used; negative if the
** system does not tell.
*/
double mts_process_thread_seconds(mts_ThreadHandle thread);

/* The calling thread is not woken later than it wants to save power. */
void mts_process_make_timers_exact(void);

/* Whether the calling thread is the one that the process began with; false if
** the system does not tell. */
bool mts_process_is_main_thread(void);

/*
** Opens a file for writing, as fopen does; programs that the process starts do
** not get it.
*/
FILE *mts_process_create_file(const char *path);

/* Writes what an errno means. */
void mts_process_describe_error(int error, char *text, size_t size);

/* Returns: what the kernel calls the calling thread, or 0. */
long mts_process_kernel_id(void);

/*
** Whether a thread with that kernel id is ready to run, or runs, as it is not
** blocked; false if the system does not tell.
*/
bool mts_process_thread_is_ready(long kernel_id);

MTS_END_HIDDEN

#endif
