/*
** hook.c - the debug hook that raises `interrupted`
**
** The hook is set in one Lua thread of a state, the running one, and runs at
** the next operation of the virtual machine there.  It decides under the mutex
** of the lock what it does:
**
** 1. If there is a level, it raises the error, and takes the level back unless
**    that is "always".
**    LATE, a part of it, hits only code whose time is over (timelimit.c).
** 2. If there is none any more, it removes itself.  So it does if the level is
**    aimed at a request, and calls are nested in that; it is set again when
**    such a call is left.
** 3. Finalizers are not to be hit, nor hooks of the debug library, nor
**    coroutines that these resume.  Lua runs no hooks in the Lua thread that a
**    finalizer runs on, but it does in coroutines that the finalizer resumes.
**    So the hook asks each Lua thread that has resumed another one whether it
**    runs hooks.  If one of them does not, the hook only removes itself, and
**    the level stays: when the coroutine is left, mts_interrupt_switch sets
**    the hook in the Lua thread that resumed it, which takes effect after the
**    finalizer.  (In LuaJIT hooks are a matter of the whole state, and
**    finalizers run without.)
** 4. A thread that wants a traceback gets it first, without an error being
**    raised; if there is no level then, the code goes on with the hook that
**    was set before (traceback.c).
** 5. A host has its own coroutine library and hooks of its own.  So only the
**    coroutine of a task is hit there, and its state is found among those that
**    the thread holds.
*/
#include "core/hook.h"

#include <stddef.h>

#include "core/anchor.h"
#include "core/interrupt.h"
#include "core/memory.h"
#include "core/timelimit.h"
#include "core/traceback.h"
#include "error.h"
#include "luaapi/protect.h"

/*
** Whether the event is the call of a C function (in LuaJIT calls are events).
** It is not to be hit: values may be being copied, or an error composed.
*/
static bool is_call_of_c(lua_State *L, lua_Debug *ar)
{
  return ar->event == LUA_HOOKCALL && lua_getinfo(L, "S", ar) &&
         *ar->what == 'C';
}

static MTS_THREAD_LOCAL bool probe_has_run;

static void probe_hook(lua_State *L, lua_Debug *ar)
{
  (void)L;
  (void)ar;
  probe_has_run = true;
}

static int do_nothing(lua_State *L, void *data)
{
  (void)L;
  (void)data;
  return 0;
}

/*
** Whether Lua runs hooks in L, of s, which is inside the function that has
** resumed another Lua thread.  No function of Lua tells, so one is tried, that
** must not be taken for one of users.
*/
static bool runs_hooks(mts_State *s, lua_State *L)
{
  lua_Hook hook;
  int mask, count;
  bool was_at_hooks;
  if (!mts_protect_grow_beyond(L, 2))
    return false;
  was_at_hooks = atomic_exchange(&s->interrupt.is_at_hooks, true);
  hook = lua_gethook(L);
  mask = lua_gethookmask(L);
  count = lua_gethookcount(L);
  probe_has_run = false;
  lua_sethook(L, probe_hook, LUA_MASKCALL, 0);
  mts_protect_push(L);
  if (mts_protect(L, do_nothing, NULL, 0, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    probe_has_run = true; /* not known: calls in L are nested too deep */
  }
  lua_sethook(L, hook, mask, count);
  atomic_store(&s->interrupt.is_at_hooks, was_at_hooks);
  return probe_has_run;
}

/* Whether the code that runs in L, of s, was called by a finalizer or hook. */
static bool is_in_finalizer(mts_State *s, lua_State *L)
{
  const mts_Resume *resume;
  lua_State *known = atomic_load(&s->interrupt.running);
  if (MTS_HOOKS_ARE_GLOBAL)
    return false;
  if (known != L && !runs_hooks(s, known)) /* C code has resumed L */
    return true;
  for (resume = s->interrupt.resumes; resume; resume = resume->outer)
    if (!runs_hooks(s, resume->from) ||
        (resume->known != resume->from && !runs_hooks(s, resume->known)))
      return true;
  return false;
}

/*
** Takes from the level of s what is to hit the code that runs now.
** Returns: what to raise; MTS_ERROR_COUNT: nothing.  *ran: how many seconds
** the code has run, if that is why; else 0.
*/
static mts_Error take_hit(mts_State *s, double *ran)
    MTS_REQUIRES(s->lock.mutex)
{
  atomic_int *level = &s->interrupt.level;
  const int before = atomic_load(level);
  *ran = 0;
  if ((before & MTS_INTERRUPT_AIMED) && s->depth == 1) {
    atomic_store(level, before & ~MTS_INTERRUPT_AIMED);
    return MTS_ERROR_CANCELLED;
  }
  if (before & MTS_INTERRUPT_LATE) {
    bool is_for_good;
    *ran = mts_timelimit_take(s, &is_for_good);
    if (!is_for_good)
      atomic_fetch_and(level, ~MTS_INTERRUPT_LATE);
    if (*ran > 0)
      return MTS_ERROR_INTERRUPTED;
  }
  switch (before & MTS_INTERRUPT_PLAIN) {
  case MTS_INTERRUPT_NONE:
    return MTS_ERROR_COUNT;
  case MTS_INTERRUPT_ONCE:
    atomic_fetch_and(level, ~MTS_INTERRUPT_PLAIN);
    break;
  default:
    break;
  }
  return MTS_ERROR_INTERRUPTED;
}

static int raise_hit(lua_State *L, const mts_State *s, mts_Error error,
                     double ran)
{
  char text[MTS_TIMELIMIT_TEXT_SIZE];
  if (error == MTS_ERROR_CANCELLED)
    return mts_error_raise_about(L, MTS_CANCELLED, s);
  if (ran <= 0)
    return mts_error_raise(L, error, "the running code was stopped");
  return mts_error_raise(L, error, "%s", mts_timelimit_describe(ran, text));
}

/*
** The state of which the calling thread runs code in L itself; or NULL.  Of a
** host, that is a task.
*/
static mts_State *find_running(const lua_State *L)
{
  mts_State *s = atomic_load(&mts_self.held);
  while (s && atomic_load(&s->interrupt.running) != L)
    s = s->outer_held;
  return s;
}

/* Code can have cleared the Lua registry; then there is none, perhaps. */
static mts_State *find_hit_state(lua_State *L)
{
  mts_State *s = find_running(L);
  return s ? s : mts_anchor_find_state(L);
}

static void interrupt_hook(lua_State *L, lua_Debug *ar);

/* Whether the hook in L stands, or has stood, in the place of another one. */
static bool stands_for_user(const mts_InterruptNode *node, const lua_State *L)
{
  const lua_State *hooked = node->user.hooked;
  return hooked && (hooked == L || MTS_HOOKS_ARE_GLOBAL);
}

/* Puts back what the hook stands in the place of. */
static void remove_hook(mts_State *s, lua_State *L)
{
  mts_UserHook *user = &s->interrupt.user;
  mts_UserHook found = {NULL, NULL, 0, 0};
  if (stands_for_user(&s->interrupt, L)) {
    found = *user;
    user->hooked = NULL; /* first: from then on it could be noted anew */
    atomic_signal_fence(memory_order_seq_cst);
  }
  lua_sethook(L, found.hook, found.mask, found.count);
}

/*
** The coroutine is going to run no more for now; a hook that it has of us is
** set again when it is resumed, if need be.  Where hooks are global, it would
** stay in what Lua thread runs next, which of a host is not to be hit.
*/
void mts_hook_leave(mts_State *s, const mts_Resume *resume)
{
  lua_State *co = atomic_load(&s->interrupt.running);
  const bool is_to_go = MTS_HOOKS_ARE_GLOBAL
                            ? s->is_host && s->interrupt.user.hooked
                            : s->interrupt.user.hooked == co;
  if (is_to_go && lua_gethook(co) == interrupt_hook)
    remove_hook(s, co);
  if (resume->user.hooked)
    s->interrupt.user = resume->user;
}

/*
** Another Lua thread gets the hook: what stands for the one that has had it
** before, and has resumed others since, is kept where that was resumed.
*/
static void keep_user_hook(mts_InterruptNode *node)
{
  mts_Resume *resume = node->resumes;
  while (resume && resume->from != node->user.hooked)
    resume = resume->outer;
  if (resume)
    resume->user = node->user;
}

static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  mts_Error error = MTS_ERROR_COUNT;
  double ran = 0;
  mts_State *s;
  bool may_hit;
  mts_traceback_answer(); /* needs no memory, as what follows could */
  s = find_hit_state(L);
  if (!s) { /* for a host: code that is no task's is not hit */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (is_call_of_c(L, ar))
    return;
  mts_memory_check(s, L);
  may_hit = !is_in_finalizer(s, L);
  mts_lock_acquire_mutex(&s->lock);
  if (may_hit) {
    error = take_hit(s, &ran);
    atomic_store(&s->interrupt.progress, MTS_INTERRUPT_HOOK_RUN);
  }
  if (error == MTS_ERROR_COUNT ||
      atomic_load(&s->interrupt.level) == MTS_INTERRUPT_NONE) {
    atomic_store(&s->interrupt.is_at_hooks, true);
    remove_hook(s, L);
    atomic_store(&s->interrupt.is_at_hooks, false);
  }
  mts_mutex_unlock(&s->lock.mutex);
  if (ran > 0)
    mts_timelimit_follow();
  if (error != MTS_ERROR_COUNT)
    raise_hit(L, s, error, ran);
}

bool mts_hook_is_kept_off(mts_State *s, lua_State *L)
{
  return !MTS_HOOKS_ARE_GLOBAL && (!runs_hooks(s, L) || is_in_finalizer(s, L));
}

bool mts_hook_is_foreign(lua_State *L)
{
  const lua_Hook hook = lua_gethook(L);
  return hook && hook != interrupt_hook;
}

/* Of a host, the coroutine of a task is hit, and nothing else. */
static bool may_be_hit(const mts_InterruptNode *node)
{
  const mts_State *s =
      (const mts_State *)((const char *)node - offsetof(mts_State, interrupt));
  return !s->is_host || node->resumes;
}

void mts_hook_set(mts_InterruptNode *node)
{
  lua_State *L = atomic_load(&node->running);
  lua_Hook hook;
  if (!may_be_hit(node))
    return;
  hook = lua_gethook(L);
  if (hook && hook != interrupt_hook) {
    if (node->user.hooked && node->user.hooked != L)
      keep_user_hook(node);
    node->user =
        (mts_UserHook){L, hook, lua_gethookmask(L), lua_gethookcount(L)};
  }
  else if (!hook && stands_for_user(node, L)) /* which the code has removed */
    node->user.hooked = NULL;
  lua_sethook(L, interrupt_hook, MTS_NEXT_OPERATION, 1);
  atomic_store(&node->progress, MTS_INTERRUPT_HOOK_SET);
}

static void set_unless_foreign(lua_State *L)
{
  if (!mts_hook_is_foreign(L))
    lua_sethook(L, interrupt_hook, MTS_NEXT_OPERATION, 1);
}

void mts_hook_set_everywhere(mts_State *s)
{
  const mts_Resume *resume;
  set_unless_foreign(atomic_load(&s->interrupt.running));
  for (resume = s->interrupt.resumes; resume; resume = resume->outer)
    set_unless_foreign(resume->from);
}
