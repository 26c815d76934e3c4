/*
** forkwork.c - the function of the module that makes tasks
**
** A fork is a task whose function and arguments lie on its coroutine from the
** beginning; its future is that of a request without arguments, which is never
** in a queue.  Nothing is held when an error is raised.
**
** Takes no locks of its own: the calling thread holds the state.
*/
#include "lua/forkwork.h"

#include "core/taskcall.h"
#include "core/thread.h"
#include "error.h"
#include "lua/futureobject.h"
#include "lua/here.h"
#include "lua/userdata.h"
#include "luaapi/protect.h"
#include "sched/host.h"
#include "sched/queue.h"
#include "sched/request.h"
#include "sched/task.h"
#include "sched/worker.h"

/* On the coroutine of a fork, besides its values; see taskcall.h. */
#define FRAME_SLOTS 4

/*
** Makes a task of s that runs the function and the arguments on top of the
** stack, count values, which it pops.
** Returns: MTS_OK, with *future; MTS_CLOSED, MTS_NO_MEMORY, MTS_FORKED.
** Owns: the caller has a reference to *future.
*/
static mts_Status fork_task(lua_State *L, mts_State *s, int count,
                            mts_Future **future)
{
  mts_Status status = mts_worker_start_all();
  mts_Queue *queue = status == MTS_OK ? mts_queue_of(s) : NULL;
  mts_Request *request = queue ? mts_request_new_answer(s) : NULL;
  mts_Task *task = request ? mts_task_new(queue, L, true) : NULL;
  if (task && mts_protect_grow(task->co, 0, count + FRAME_SLOTS)) {
    mts_taskcall_push_frame(s, task->co);
    lua_xmove(L, task->co, count);
    task->count = lua_gettop(task->co) - 1;
    task->request = request;
    if (mts_task_add_fork(task)) {
      *future = &request->future;
      return MTS_OK;
    }
    lua_settop(task->co, 0);
    status = MTS_CLOSED;
  }
  else if (status == MTS_OK)
    status = MTS_NO_MEMORY;
  if (task)
    mts_task_retire(task, true, L);
  if (request)
    mts_request_free(request);
  return status;
}

/* Makes the task; the calling thread runs code of s, or of its Lua state. */
static mts_Status enter_and_fork(lua_State *L, mts_State *s, int count,
                                 mts_Future **future)
{
  const bool is_inside = !s->is_host || mts_host_is_inside(s);
  mts_Status status = is_inside ? mts_state_enter(s, 0) : mts_host_enter(s);
  if (status != MTS_OK)
    return status;
  status = fork_task(L, s, count, future);
  if (is_inside)
    mts_state_leave(s);
  else
    mts_host_leave(s);
  return status;
}

int mts_forkwork_fork(lua_State *L)
{
  mts_State *s;
  const int count = lua_gettop(L);
  mts_FutureObject *object;
  mts_Status status;
  if (!lua_isfunction(L, 1))
    luaL_typeerror(L, 1, "function");
  s = mts_here_find(L);
  object = mts_futureobject_push(L);
  lua_insert(L, 1);
  status = enter_and_fork(L, s, count, &object->future);
  if (status != MTS_OK)
    return mts_error_raise_about(L, status, s);
  return 1;
}
