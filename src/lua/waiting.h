/*
** waiting.h - how Lua code waits
*/
#ifndef MTS_WAITING_H
#define MTS_WAITING_H

#include "base/compiler.h"

#include "core/wait.h"
#include "luaapi/compat.h"
#include "sched/task.h"

MTS_BEGIN_HIDDEN

/* What a wait of Lua code needs; lives as long as that. */
typedef struct mts_Waiting {
  mts_Patience patience;
  lua_State *L;
  lua_State *main; /* the main Lua thread, which interpreters set hooks in */
  lua_Hook hook;   /* the hook there, which has been run */
  mts_State *here_state; /* whose tasks run meanwhile, or NULL */
} mts_Waiting;

/*
** Opens a wait of the running function, until that deadline.  If a hook of the
** interpreter is set, it runs here, too.
** Stack: [-0, +0, v]
** Errors: of the hook.
*/
void mts_waiting_open(lua_State *L, mts_Waiting *waiting, double deadline);

/*
** To be called with the status that a wait has ended with.  If that is
** MTS_DISTURBED, runs the hook.
** Returns: whether to wait on.  If it is not, and the status is MTS_DISTURBED,
** the error of the hook has been pushed.
** Stack: [-0, +(0|1), -]
*/
bool mts_waiting_goes_on(mts_Waiting *waiting, mts_Status status);

/*
** Part of that: runs the hook, if there is a new one.
** Returns: false if it has raised an error, which has been pushed.
** Stack: [-0, +(0|1), -]
*/
bool mts_waiting_obeys_hook(mts_Waiting *waiting);

/*
** Raises why the wait of the running function has ended.  what: the object
** that it was for, as text.
** Returns: never.
** Stack: [-(0|1), +1, v]
*/
int mts_waiting_raise(lua_State *L, mts_Status status, const char *what);

/*
** Whether the running function, instead of waiting with its thread, can have
** the task suspended whose code it is.
** Stack: [-0, +0, -]
*/
bool mts_waiting_can_suspend(const mts_Waiting *waiting);

/*
** The last call of a function for which that is so: the task waits for what
** pending says, and goes on with pending->finish.
** count: values on top of the stack that are there then; others may not be.
** Owns: takes what is in *pending, which pending->finish gets.
*/
int mts_waiting_suspend(lua_State *L, const mts_Pending *pending, int count);

/*
** Where a C function cannot go on after a yield, puts functions that can, in
** Lua, in the place of those in the table on top of the stack.  names: ends
** with NULL.
** Stack: [-0, +0, e]
*/
void mts_waiting_wrap(lua_State *L, const char *const *names);

/*
** The same for functions with one result that wait only if there is a second
** argument.
** Stack: [-0, +0, e]
*/
void mts_waiting_wrap_timed(lua_State *L, const char *const *names);

MTS_END_HIDDEN

#endif
