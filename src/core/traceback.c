/*
** traceback.c - where the code of a state is
**
** Nobody but the thread that holds a state may read its Lua stacks, and only
** when it is between two operations.  A thread that wants to know puts a
** request into the list of the state, and tries until it has the text, in one
** of these ways:
**
** 1. The thread runs code.  The level of the state gets LOOK added, and the
**    thread a signal, as for an interrupt (interrupt.c): its handler sets the
**    hook in all states that the thread holds, since any of them can be the
**    one whose code runs.  The hook answers the requests to all of them.  The
**    signal is sent again after a while: it can get lost, or the thread have
**    entered another state since.
** 2. The thread waits inside the module, and has said so in its wait_state.
**    The asking thread pins it and changes that from WAITS to IS_READ; if that
**    succeeds, it reads the stacks itself.  The thread that waits does not go
**    on before its wait_state is WAITS again.
** 3. No thread holds the state, but there are suspended tasks.  The scheduler
**    is asked for a turn of the state, which answers at its begin.
** 4. The thread that asks holds the state.  It just reads.
** 5. No thread holds the state, and there are no such tasks: nothing runs.
**
** Under the mutex of the lock a request is put into the list, or taken out by
** the thread that answers it, which stores DONE at last, without the mutex.
** So a request that is neither in the list any more, nor DONE, is being
** answered.
**
** The text is made with functions of Lua that only read.
**
** There is a model in spec/model.
*/
#include "core/traceback.h"

#include <stdio.h>
#include <string.h>

#include "async_util.h"
#include "core/coroutine.h"
#include "core/interrupt.h"
#include "core/thread.h"

/* Of a stack so many frames are written, at its begin and at its end. */
#define FIRST_FRAMES 10
#define LAST_FRAMES 11

#define FIRST_DELAY 1e-3
#define OVERDUE 0.25

/* ======================================================================= */
/* The text                                                                */
/* ======================================================================= */

void mts_traceback_write_text(mts_Traceback *request, const char *text)
{
  if (!mts_buffer_append_text(&request->text, text))
    request->lacks_memory = true;
}

static void write_frame(mts_Traceback *request, lua_State *L, lua_Debug *ar)
{
  char text[2 * LUA_IDSIZE + 100];
  lua_getinfo(L, "Snl", ar);
  mts_traceback_write_text(request, "\n\t");
  mts_traceback_write_text(request, ar->short_src);
  if (ar->currentline > 0) {
    snprintf(text, sizeof(text), ":%d", ar->currentline);
    mts_traceback_write_text(request, text);
  }
  if (*ar->what == 'm')
    snprintf(text, sizeof(text), ": in main chunk");
  else if (ar->name && *ar->namewhat)
    snprintf(text, sizeof(text), ": in %s '%.60s'", ar->namewhat, ar->name);
  else if (*ar->what == 'C')
    snprintf(text, sizeof(text), ": in ?");
  else
    snprintf(text, sizeof(text), ": in function <%s:%d>", ar->short_src,
             ar->linedefined);
  mts_traceback_write_text(request, text);
}

/* How many frames there are. */
static int count_frames(lua_State *L)
{
  lua_Debug ar;
  int low = 0, high = 1;
  while (lua_getstack(L, high - 1, &ar)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) { /* there are low, but not high */
    const int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle - 1, &ar))
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void write_stack(mts_Traceback *request, lua_State *L, int level)
{
  const int count = count_frames(L);
  const int skipped = count - level - FIRST_FRAMES - LAST_FRAMES;
  const int last = level + FIRST_FRAMES;
  lua_Debug ar;
  for (; level < count; level++) {
    if (level == last && skipped > 0) {
      char text[60];
      snprintf(text, sizeof(text), "\n\t...\t(skipping %d levels)", skipped);
      mts_traceback_write_text(request, text);
      level += skipped;
    }
    if (lua_getstack(L, level, &ar))
      write_frame(request, L, &ar);
  }
}

/* The coroutine that waits with co, so many further in. */
static lua_State *find_inner(lua_State *co, int depth)
{
  while (depth-- > 0 && co)
    co = mts_coroutine_find_inner(co);
  return co;
}

static void write_outer(mts_Traceback *request, lua_State *L)
{
  lua_Debug ar;
  if (lua_getstack(L, 0, &ar)) {
    mts_traceback_write_text(request, "\nresumed by:");
    write_stack(request, L, 0);
  }
}

void mts_traceback_write_frames(mts_Traceback *request, lua_State *co,
                                int level)
{
  int depth = 0;
  while (find_inner(co, depth + 1))
    depth++;
  mts_traceback_write_text(request, "stack traceback:");
  write_stack(request, find_inner(co, depth), level);
  while (depth-- > 0)
    write_outer(request, find_inner(co, depth));
}

/*
** The Lua threads that run, the innermost first.  L: that one, or NULL.
** level: its first frame.
*/
static void write_running(mts_Traceback *request, lua_State *L, int level)
{
  const mts_State *s = request->state;
  const mts_Resume *resume = s->interrupt.resumes;
  lua_State *running = atomic_load(&s->interrupt.running);
  mts_traceback_write_text(request, "stack traceback:");
  write_stack(request, L ? L : running, level);
  if (L && L != running) /* C code has resumed it */
    write_outer(request, running);
  for (; resume; resume = resume->outer) {
    write_outer(request, resume->from);
    if (resume->known && resume->known != resume->from)
      write_outer(request, resume->known);
  }
}

/* For a thread that may read the stacks of the state. */
static void write_all(mts_Traceback *request, lua_State *L, int level)
{
  mts_State *s = request->state;
  if (atomic_load(&s->innermost))
    write_running(request, L, level);
  if (atomic_load(&s->queue))
    mts_upcalls.write_tasks(s, request);
}

/* ======================================================================= */
/* The thread that holds the state                                         */
/* ======================================================================= */

static void answer_all(mts_State *s)
{
  mts_Traceback *request;
  mts_Traceback *taken;
  mts_lock_acquire_mutex(&s->lock);
  taken = s->interrupt.tracebacks;
  s->interrupt.tracebacks = NULL;
  mts_interrupt_look(s, false);
  for (request = taken; request; request = request->next)
    atomic_store(&request->progress, MTS_TRACEBACK_TAKEN);
  mts_interrupt_recheck(s);
  mts_mutex_unlock(&s->lock.mutex);
  while (taken) {
    request = taken;
    taken = request->next;
    write_all(request, NULL, 0);
    atomic_store(&request->progress, MTS_TRACEBACK_DONE); /* it can go now */
  }
}

void mts_traceback_answer(void)
{
  mts_State *s;
  for (s = atomic_load(&mts_self.held); s; s = s->outer_held)
    if (mts_interrupt_is_looked_at(s))
      answer_all(s);
}

/* ======================================================================= */
/* The thread that asks                                                    */
/* ======================================================================= */

static mts_TracebackProgress stage_of(const mts_Traceback *request)
{
  return (mts_TracebackProgress)atomic_load(&request->progress);
}

static void enlist(mts_Traceback *request)
    MTS_REQUIRES(request->state->lock.mutex)
{
  mts_Traceback **first = &request->state->interrupt.tracebacks;
  if (stage_of(request) == MTS_TRACEBACK_NOWHERE) {
    atomic_store(&request->progress, MTS_TRACEBACK_PENDING);
    request->next = *first;
    *first = request;
    mts_interrupt_look(request->state, true);
  }
}

static void delist(mts_Traceback *request)
    MTS_REQUIRES(request->state->lock.mutex)
{
  mts_Traceback **link = &request->state->interrupt.tracebacks;
  if (stage_of(request) != MTS_TRACEBACK_PENDING)
    return;
  while (*link != request)
    link = &(*link)->next;
  *link = request->next;
  atomic_store(&request->progress, MTS_TRACEBACK_NOWHERE);
  if (!request->state->interrupt.tracebacks)
    mts_interrupt_look(request->state, false);
}

void mts_traceback_open(mts_Traceback *request, mts_State *s)
{
  *request = (mts_Traceback){.state = s, .delay = FIRST_DELAY};
  atomic_init(&request->progress, MTS_TRACEBACK_NOWHERE);
}

static void await_writer(const mts_Traceback *request)
{
  while (stage_of(request) == MTS_TRACEBACK_TAKEN)
    mts_clock_pause();
}

void mts_traceback_close(mts_Traceback *request)
{
  mts_mutex_lock(&request->state->lock.mutex);
  delist(request);
  mts_mutex_unlock(&request->state->lock.mutex);
  await_writer(request);
}

/* The way in which a request is answered. */
typedef enum Way {
  BY_NOBODY, /* no thread holds the state */
  BY_CALLER, /* it holds the state, and just reads */
  BY_READER, /* so does the caller: the thread that holds it waits */
  BY_HOLDER, /* another thread, which runs */
  BY_NEXT,   /* the same, but another thread is just reading */
  WAS_ANSWERED
} Way;

static bool begin_reading(uintptr_t holder)
{
  int waits = MTS_THREAD_WAITS;
  return atomic_compare_exchange_strong(&((mts_Thread *)holder)->wait_state,
                                        &waits, MTS_THREAD_IS_READ);
}

static bool is_being_read(uintptr_t holder)
{
  return atomic_load(&((mts_Thread *)holder)->wait_state) ==
         MTS_THREAD_IS_READ;
}

static Way find_way(mts_Traceback *request, uintptr_t *holder)
    MTS_REQUIRES(request->state->lock.mutex)
{
  if (stage_of(request) > MTS_TRACEBACK_PENDING)
    return WAS_ANSWERED;
  *holder = mts_lock_pin(&request->state->lock);
  if (*holder == 0 || *holder == mts_lock_parker(&request->state->lock))
    return BY_NOBODY;
  if (*holder == mts_thread_id())
    return BY_CALLER;
  if (begin_reading(*holder))
    return BY_READER;
  return is_being_read(*holder) ? BY_NEXT : BY_HOLDER;
}

/* Whether another signal, or turn, is due; the first is due at once. */
static bool is_signal_due(mts_Traceback *request)
{
  const double now = mts_clock_now();
  if (now < request->next_signal)
    return false;
  request->delay *= 2;
  request->next_signal = now + request->delay;
  return true;
}

/*
** Prepares the way, without which the request is taken out of the list.
** Returns: false if the holder does not take the signal.
*/
static bool prepare_way(mts_Traceback *request, Way way, bool has_tasks,
                        bool is_due) MTS_REQUIRES(request->state->lock.mutex)
{
  bool is_reached = true;
  if (way == BY_HOLDER || (way == BY_NOBODY && has_tasks)) {
    enlist(request);
    if (way == BY_HOLDER && is_due)
      is_reached =
          mts_interrupt_reach(request->state, request->delay >= OVERDUE);
  }
  else if (way != BY_NEXT)
    delist(request);
  return is_reached;
}

/* Returns: as mts_traceback_try. */
static mts_Status go_way(mts_Traceback *request, Way way, uintptr_t holder,
                         lua_State *L)
{
  switch (way) {
  case BY_CALLER:
    write_all(request, L, L ? 1 : 0);
    return MTS_OK;
  case BY_READER:
    write_all(request, request->state->interrupt.waiting, 0);
    atomic_store(&((mts_Thread *)holder)->wait_state, MTS_THREAD_WAITS);
    return MTS_OK;
  case WAS_ANSWERED:
    await_writer(request);
    return MTS_OK;
  default:
    return MTS_BUSY;
  }
}

/* *is_next: it has to be tried again at once. */
static mts_Status try_once(mts_Traceback *request, lua_State *L, bool *is_next)
{
  mts_State *s = request->state;
  const bool has_tasks =
      atomic_load(&s->queue) && mts_upcalls.has_suspended(s);
  const bool is_due = is_signal_due(request);
  uintptr_t holder = 0;
  mts_Status status = MTS_OK;
  Way way = BY_NOBODY;
  bool is_reached = true;
  mts_mutex_lock(&request->state->lock.mutex);
  if (mts_lock_is_closed(&request->state->lock) &&
      stage_of(request) <= MTS_TRACEBACK_PENDING)
    status = MTS_CLOSED;
  else {
    way = find_way(request, &holder);
    is_reached = prepare_way(request, way, has_tasks, is_due);
  }
  mts_mutex_unlock(&request->state->lock.mutex);
  if (!is_reached)
    mts_interrupt_reach_others(s, holder);
  if (status == MTS_OK)
    status = go_way(request, way, holder, L);
  if (way == BY_NOBODY && status == MTS_BUSY && !has_tasks)
    status = MTS_OK;
  else if (way == BY_NOBODY && status == MTS_BUSY && is_due)
    mts_upcalls.serve(s);
  *is_next = way == BY_NEXT;
  return status == MTS_OK && request->lacks_memory ? MTS_NO_MEMORY : status;
}

mts_Status mts_traceback_try(mts_Traceback *request, lua_State *L)
{
  bool is_next;
  mts_Status status;
  while ((status = try_once(request, L, &is_next)) == MTS_BUSY && is_next)
    mts_clock_pause();
  return status;
}
