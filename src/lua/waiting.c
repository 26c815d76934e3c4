/*
** waiting.c - how Lua code waits
**
** Code of a state of the module waits with the thread that runs it, and what
** ends that early is told by its state: that the request is cancelled, or the
** state closed.  A finalizer can wait inside a task; what it raises is lost,
** so the code of the task is hit, too.
**
** A main program has an interpreter around it that can want to stop it: on
** Ctrl-C lua.c sets a hook that raises an error.  A wait is no operation of
** the virtual machine, so no hook runs during it.  So the thread looks for a
** hook that was not there before, and if there is one, calls a function that
** does nothing, for its call runs the hook.  Interpreters set the hook in the
** main Lua thread; if a coroutine waits, it is run there.
**
** Code of a task does not wait with its thread where Lua can yield: the task
** is suspended, and goes on in the continuation of the function that waits.
** Lua
** 5.1 and LuaJIT have no continuations: what a C function has yielded for is
** returned to its caller.  So there the function is wrapped in Lua,
**
**   return finish(finish(begin(...)))
**
** where begin is the C function, and finish goes on if a wait is over, and
** otherwise returns its arguments.  No function waits more than twice.
**
** While a main program waits, its requests and forks run (host.c).
**
** Takes no locks of its own.
*/
#include "lua/waiting.h"

#include <string.h>

#include "core/coroutine.h"
#include "core/hook.h"
#include "core/interrupt.h"
#include "core/thread.h"
#include "error.h"
#include "lua/userdata.h"
#include "luaapi/protect.h"
#include "luaapi/yield.h"
#include "sched/host.h"
#include "sched/suspend.h"
#include "sched/worker.h"

/* ======================================================================= */
/* The hook of the interpreter                                             */
/* ======================================================================= */

static bool has_new_hook(void *data)
{
  const mts_Waiting *waiting = data;
  const lua_Hook hook = lua_gethook(waiting->main);
  return hook && hook != waiting->hook;
}

static int return_nothing(lua_State *L, void *data)
{
  (void)L;
  (void)data;
  return 0;
}

/*
** Runs the hook, if it runs at calls.  Returns: false if it raises an error.
*/
static bool run_hook(mts_Waiting *waiting)
{
  lua_State *L = waiting->L;
  lua_State *main = waiting->main;
  bool is_borrowed = L != main && !lua_gethook(L);
  int result;
  if (is_borrowed)
    lua_sethook(L, lua_gethook(main), lua_gethookmask(main),
                lua_gethookcount(main));
  mts_protect_push(L);
  result = mts_protect(L, return_nothing, NULL, 0, 0, 0);
  if (is_borrowed) {
    if (!lua_gethook(L)) /* it has removed itself */
      lua_sethook(main, NULL, 0, 0);
    lua_sethook(L, NULL, 0, 0);
  }
  waiting->hook = lua_gethook(main);
  return result == LUA_OK;
}

/*
** An interrupt can hit code between the end of a wait and the function that
** would go on after it, if that is another one: nobody does, then.
*/
static void forget_woken(void)
{
  mts_Task *task = MTS_YIELDS_GO_ON ? NULL : mts_self.task;
  if (task && task->has_woken) {
    task->has_woken = false;
    mts_suspend_drop(task);
  }
}

/* ======================================================================= */
/* Waits                                                                   */
/* ======================================================================= */

void mts_waiting_open(lua_State *L, mts_Waiting *waiting, double deadline)
{
  const mts_Context *context = mts_userdata_context(L);
  forget_woken();
  waiting->patience = mts_patience_until(deadline);
  waiting->patience.host = context->host_state;
  waiting->patience.L = L;
  waiting->L = L;
  waiting->here_state = context->here_state;
  if (waiting->here_state && mts_host_is_inside(waiting->here_state))
    waiting->patience.host = waiting->here_state;
  else if (waiting->here_state) {
    waiting->patience.attach = mts_host_attach;
    waiting->patience.disturber = waiting->here_state;
  }
  if (context->host_state || mts_self.worker)
    return;
  waiting->main = context->main ? context->main : L;
  waiting->hook = NULL;
  waiting->patience.is_disturbed = has_new_hook;
  waiting->patience.data = waiting;
  if (has_new_hook(waiting) && !run_hook(waiting))
    lua_error(L);
}

bool mts_waiting_goes_on(mts_Waiting *waiting, mts_Status status)
{
  if (status != MTS_DISTURBED)
    return false;
  waiting->patience.was_attached = true;
  if (waiting->patience.attach &&
      mts_host_run(waiting->here_state, waiting->L) == MTS_DISTURBED)
    return false;
  return mts_waiting_obeys_hook(waiting);
}

bool mts_waiting_obeys_hook(mts_Waiting *waiting)
{
  return !waiting->patience.is_disturbed || !has_new_hook(waiting) ||
         run_hook(waiting);
}

int mts_waiting_raise(lua_State *L, mts_Status status, const char *what)
{
  mts_State *host = mts_userdata_context(L)->host_state;
  if (status == MTS_DISTURBED)
    return lua_error(L);
  if (!host && mts_self.task)
    host = mts_self.task->queue->state;
  if (status == MTS_CANCELLED && host && !host->is_host &&
      mts_hook_is_kept_off(host, L)) {
    atomic_bool is_untold;
    atomic_init(&is_untold, true);
    (void)mts_interrupt_cancel(host, atomic_load(&host->interrupt.task),
                               &is_untold);
  }
  if (status == MTS_CANCELLED || status == MTS_ENDING)
    return mts_error_raise_about(L, status, host);
  return mts_error_raise_status(L, status, what);
}

/* ======================================================================= */
/* Waits of suspended tasks                                                */
/* ======================================================================= */

bool mts_waiting_can_suspend(const mts_Waiting *waiting)
{
  const mts_Task *task = mts_self.task;
  return task && !mts_worker_is_forked() &&
         !mts_wait_is_refused(&waiting->patience) &&
         mts_coroutine_can_wait(task->queue->state, waiting->L, task->co);
}

/*
** Whether L goes on because the wait of its task is over.  Code outside of the
** states of the module can resume any coroutine that it gets hold of.
*/
static bool is_woken(const lua_State *L)
{
  const mts_Task *task = mts_self.task;
  return task && task->has_woken &&
         (task->co == L || !task->queue->state->is_host);
}

/* Goes on with the task that the thread runs, whose wait is over. */
static int go_on_with_task(lua_State *L)
{
  mts_Task *task = mts_self.task;
  mts_Pending pending;
#if MTS_YIELDS_GO_ON
  if (!is_woken(L))
    return mts_yield_again(L, go_on_with_task);
#endif
  pending = task->pending;
  task->has_woken = false;
  return pending.finish(L, &pending,
                        (mts_Status)atomic_load(&task->wait.outcome));
}

int mts_waiting_suspend(lua_State *L, const mts_Pending *pending, int count)
{
  mts_Task *task = mts_self.task;
  task->pending = *pending;
  task->is_waiting = true;
  return mts_yield(L, count, go_on_with_task);
}

#if MTS_YIELDS_GO_ON

void mts_waiting_wrap(lua_State *L, const char *const *names)
{
  (void)L;
  (void)names;
}

void mts_waiting_wrap_timed(lua_State *L, const char *const *names)
{
  (void)L;
  (void)names;
}

#else

static int finish_wait(lua_State *L)
{
  if (is_woken(L) && mts_self.task->co == L)
    return go_on_with_task(L);
  return lua_gettop(L);
}

static void wrap(lua_State *L, const char *const *names, const char *code)
{
  const int table = lua_gettop(L);
  for (; *names; names++) {
    /* They are its globals: no code runs here that an interrupt could hit. */
    if (luaL_loadbuffer(L, code, strlen(code), MTS_COMPAT_WRAPPERS) != LUA_OK)
      lua_error(L);
    lua_createtable(L, 0, 2);
    lua_getfield(L, table, *names);
    lua_getupvalue(L, -1, 1); /* finish has the same upvalues */
    lua_getupvalue(L, -2, 2);
    lua_pushcclosure(L, finish_wait, 2);
    lua_setfield(L, -3, "finish");
    lua_setfield(L, -2, "begin");
    lua_setfenv(L, -2);
    lua_setfield(L, table, *names);
  }
}

void mts_waiting_wrap(lua_State *L, const char *const *names)
{
  wrap(L, names, "return finish(finish(begin(...)))");
}

void mts_waiting_wrap_timed(lua_State *L, const char *const *names)
{
  wrap(L, names,
       "local _, timeout = ... "
       "if timeout == nil then return (begin(...)) end "
       "return finish(finish(begin(...)))");
}

#endif
