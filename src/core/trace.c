/*
** trace.c - what every thread does, as events in a file
**
** Each thread gathers its events in a buffer of its own, which only it fills.
** When that is full the thread writes it to the file (tracefile.c).  What is
** left in the buffers is written by who ends the trace, be it by
** mts_trace_start, at the end of the process, or since the file cannot be
** written; and that of a thread that ends, by that thread.
**
** Filling a buffer takes no lock: the thread stores the event, and then counts
** it.  Whoever ends the trace does so under the mutex: it changes the number
** of the trace, and reads as many events of each buffer as are counted.  The
** thread can go on filling its buffer meanwhile, as it has looked at the
** number before; those events are lost.  It overwrites events under the mutex
** only:
**
** 1. when it has written the buffer,
** 2. when it sees that there is another trace than the one that the buffer is
**    of: then the buffer starts anew.
**
** Calls and the like nest in each thread, so an end needs no more than the
** time.  An end without a begin, which was before the trace, is left out; who
** ends the trace ends what has begun.
**
** A process that forks holds the mutex meanwhile.  The child has no trace.
**
** The mutex is the last in the order of locks; the file can be waited for with
** it, and with what the thread holds when it adds an event.
*/
#include "core/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "async_util.h"
#include "base/process.h"
#include "core/thread.h"
#include "state.h"

atomic_uint mts_trace_number;

#define BUFFER_EVENTS 1000

/* The last element of the list is NULL. */
typedef struct mts_TraceBuffer {
  struct mts_TraceBuffer *next, *previous; /* guarded by the mutex */
  unsigned trace;                          /* its number; the same */
  unsigned thread;                         /* the number of the thread */
  unsigned depth; /* what has begun and not ended, for the thread; */
  unsigned open;  /* the same in the file; guarded by the mutex */
  double last;    /* time in the file; the same */
  atomic_size_t count;
  mts_TraceEvent events[BUFFER_EVENTS];
} Buffer;

static mts_Mutex trace_mutex = MTS_MUTEX_INIT;

static struct {
  Buffer *first;
  unsigned traces;  /* that have begun */
  unsigned threads; /* that have got a number */
} trace MTS_GUARDED_BY(trace_mutex);

static atomic_int failure; /* errno that was not told yet, or 0 */

static pthread_key_t buffer_key;
static bool has_buffer_key;

static unsigned current(void)
{
  return atomic_load_explicit(&mts_trace_number, memory_order_acquire);
}

/* ======================================================================= */
/* With the mutex                                                          */
/* ======================================================================= */

static void add_event(Buffer *buffer, const mts_TraceEvent *event)
    MTS_REQUIRES(trace_mutex)
{
  if (event->phase == MTS_TRACE_BEGIN)
    buffer->open++;
  else if (event->phase == MTS_TRACE_END)
    buffer->open--;
  buffer->last = event->time;
  mts_tracefile_add(buffer->thread, event);
}

/* Adds what is in the buffer of the trace that is being written. */
static void add_events(Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  const size_t count =
      atomic_load_explicit(&buffer->count, memory_order_acquire);
  size_t i;
  for (i = 0; i < count; i++) {
    const mts_TraceEvent *event = &buffer->events[i];
    if (i + 1 < count && event[0].phase == MTS_TRACE_BEGIN &&
        event[1].phase == MTS_TRACE_END) {
      buffer->last = event[1].time;
      mts_tracefile_add_span(buffer->thread, event, buffer->last);
      i++;
    }
    else
      add_event(buffer, event);
  }
}

/* For the thread of the buffer. */
static void write_events(Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  if (buffer->trace == current())
    add_events(buffer);
  atomic_store_explicit(&buffer->count, 0, memory_order_relaxed);
}

static void end_open(Buffer *buffer, double now) MTS_REQUIRES(trace_mutex)
{
  const mts_TraceEvent end = {.time = now > buffer->last ? now : buffer->last,
                              .phase = MTS_TRACE_END};
  while (buffer->open > 0)
    add_event(buffer, &end);
}

static void end_trace(void) MTS_REQUIRES(trace_mutex)
{
  const unsigned number = current();
  const double now = mts_clock_now();
  Buffer *buffer;
  int error;
  if (number == 0)
    return;
  atomic_store(&mts_trace_number, 0);
  for (buffer = trace.first; buffer; buffer = buffer->next)
    if (buffer->trace == number) {
      add_events(buffer);
      end_open(buffer, now);
    }
  error = mts_tracefile_close();
  if (error != 0)
    atomic_store(&failure, error);
}

/* The trace ends if it cannot be written. */
static void write_buffer(Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  write_events(buffer);
  if (buffer->trace == current() && mts_tracefile_flush() != 0)
    end_trace();
}

/* The buffer is of this trace from now on. */
static void start_buffer(Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  char name[MTS_THREAD_NAME_SIZE];
  mts_async_get_name(name);
  buffer->trace = current();
  buffer->depth = buffer->open = 0;
  buffer->last = 0;
  atomic_store_explicit(&buffer->count, 0, memory_order_relaxed);
  mts_tracefile_add_thread(
      buffer->thread, mts_process_is_main_thread() ? "main program" : name);
}

/* A thread that is cancelled does not keep the mutex. */
static int lock_trace(void) MTS_ACQUIRES(trace_mutex)
{
  const int state = mts_cancel_disable();
  mts_mutex_lock(&trace_mutex);
  return state;
}

static void unlock_trace(int state) MTS_RELEASES(trace_mutex)
{
  mts_mutex_unlock(&trace_mutex);
  mts_cancel_restore(state);
}

/* ======================================================================= */
/* The buffer of a thread                                                  */
/* ======================================================================= */

static void link_buffer(Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  buffer->thread = ++trace.threads;
  buffer->next = trace.first;
  if (trace.first)
    trace.first->previous = buffer;
  trace.first = buffer;
}

static void unlink_buffer(const Buffer *buffer) MTS_REQUIRES(trace_mutex)
{
  if (buffer->next)
    buffer->next->previous = buffer->previous;
  if (buffer->previous)
    buffer->previous->next = buffer->next;
  else
    trace.first = buffer->next;
}

/* The thread ends. */
static void close_buffer(void *data)
{
  Buffer *buffer = data;
  const int state = lock_trace();
  mts_self.trace = NULL;
  if (buffer->trace == current()) {
    write_events(buffer);
    end_open(buffer, mts_clock_now());
  }
  unlink_buffer(buffer);
  unlock_trace(state);
  free(buffer);
}

/* That of the calling thread is not needed now, as no trace is written. */
static void drop_buffer(void) MTS_REQUIRES(trace_mutex)
{
  Buffer *buffer = mts_self.trace;
  if (buffer) {
    unlink_buffer(buffer);
    (void)pthread_setspecific(buffer_key, NULL);
    mts_self.trace = NULL;
    free(buffer);
  }
}

/* Returns: a buffer of no trace yet; NULL: there is no memory. */
static Buffer *new_buffer(void)
{
  Buffer *buffer = has_buffer_key ? calloc(1, sizeof(*buffer)) : NULL;
  if (buffer && pthread_setspecific(buffer_key, buffer) != 0) {
    free(buffer);
    buffer = NULL;
  }
  mts_self.trace = buffer;
  return buffer;
}

/* Has the thread's buffer ready for another event of the trace. */
static bool prepare_buffer(unsigned number)
{
  const int error = errno;
  const bool is_new = !mts_self.trace;
  Buffer *buffer = is_new ? new_buffer() : mts_self.trace;
  bool is_ready = false;
  if (buffer) {
    const int state = lock_trace();
    if (is_new)
      link_buffer(buffer);
    if (buffer->trace == number)
      write_buffer(buffer);
    else if (number == current())
      start_buffer(buffer);
    is_ready = number == current();
    unlock_trace(state);
  }
  errno = error;
  return is_ready;
}

static void name_state(mts_State *s, unsigned number)
{
  const int state = lock_trace();
  if (number == current())
    mts_tracefile_add_state(s);
  unlock_trace(state);
  atomic_store_explicit(&s->trace, number, memory_order_relaxed);
}

/* The name of the state is known when its events are written.  NULL: none. */
static int64_t id_of(const mts_State *state, unsigned number)
{
  mts_State *s = (mts_State *)(uintptr_t)state; /* none of them is constant */
  if (!s)
    return 0;
  if (atomic_load_explicit(&s->trace, memory_order_relaxed) != number)
    name_state(s, number);
  return s->id;
}

/*
** What the thread adds to its buffer, for that trace.
** Returns: false if it is lost.
*/
static bool add(unsigned number, mts_TraceEvent event, const mts_State *s,
                const mts_State *other)
{
  Buffer *buffer = mts_self.trace;
  size_t count;
  if ((!buffer || buffer->trace != number ||
       atomic_load_explicit(&buffer->count, memory_order_relaxed) ==
           BUFFER_EVENTS) &&
      !prepare_buffer(number))
    return false;
  buffer = mts_self.trace;
  event.state = id_of(s, number);
  event.other = id_of(other, number);
  event.time = mts_clock_now();
  count = atomic_load_explicit(&buffer->count, memory_order_relaxed);
  buffer->events[count] = event;
  atomic_store_explicit(&buffer->count, count + 1, memory_order_release);
  return true;
}

/* ======================================================================= */
/* Events                                                                  */
/* ======================================================================= */

void mts_trace_write_begin(mts_TraceWhat what, const mts_State *s)
{
  const mts_TraceEvent event = {.phase = MTS_TRACE_BEGIN, .what = what};
  const unsigned number = current();
  if (number != 0 && add(number, event, s, NULL))
    mts_self.trace->depth++;
}

void mts_trace_write_end(void)
{
  const mts_TraceEvent event = {.phase = MTS_TRACE_END};
  Buffer *buffer = mts_self.trace;
  const unsigned number = current();
  if (number != 0 && buffer && buffer->trace == number && buffer->depth > 0) {
    buffer->depth--;
    (void)add(number, event, NULL, NULL);
  }
}

void mts_trace_write_count(const mts_State *s, size_t count)
{
  const mts_TraceEvent event = {.phase = MTS_TRACE_COUNT, .value = count};
  const unsigned number = current();
  if (number != 0)
    (void)add(number, event, s, NULL);
}

unsigned mts_trace_suspend(mts_TraceWhat what, const mts_State *s,
                           const mts_State *other, const void *task)
{
  const mts_TraceEvent event = {
      .phase = MTS_TRACE_SUSPEND, .what = what, .value = (uintptr_t)task};
  const unsigned number = current();
  return number != 0 && add(number, event, s, other) ? number : 0;
}

void mts_trace_write_resume(const mts_State *s, const void *task,
                            unsigned number)
{
  const mts_TraceEvent event = {.phase = MTS_TRACE_RESUME,
                                .value = (uintptr_t)task};
  if (number != 0 && number == current())
    (void)add(number, event, s, NULL);
}

/* ======================================================================= */
/* Traces                                                                  */
/* ======================================================================= */

static void before_fork(void) MTS_ACQUIRES(trace_mutex)
{
  mts_mutex_lock(&trace_mutex);
}

static void after_fork_in_parent(void) MTS_RELEASES(trace_mutex)
{
  mts_mutex_unlock(&trace_mutex);
}

/* The other threads are not there; what this one has begun ends there, too. */
static void forget_trace(void) MTS_RELEASES(trace_mutex)
{
  Buffer *buffer = trace.first;
  while (buffer) {
    Buffer *next = buffer->next;
    free(buffer);
    buffer = next;
  }
  trace.first = NULL;
  mts_self.trace = NULL;
  if (has_buffer_key)
    (void)pthread_setspecific(buffer_key, NULL);
  if (current() != 0)
    mts_tracefile_forget();
  atomic_store(&mts_trace_number, 0);
  atomic_store(&failure, 0); /* the parent tells it */
  mts_mutex_unlock(&trace_mutex);
}

static void end_at_exit(void)
{
  (void)mts_trace_start(NULL);
}

static void prepare_process(void)
{
  has_buffer_key = pthread_key_create(&buffer_key, close_buffer) == 0;
  mts_process_on_exit(end_at_exit);
}

static void watch_forks(void)
{
  mts_process_on_fork(before_fork, after_fork_in_parent, forget_trace);
}

void mts_trace_open(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, watch_forks);
}

int mts_trace_start(const char *path)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  FILE *stream;
  int state = lock_trace();
  end_trace();
  drop_buffer();
  unlock_trace(state);
  if (!path)
    return 0;
  (void)pthread_once(&once, prepare_process);
  errno = 0;
  stream = mts_process_create_file(path); /* which can take any time */
  if (!stream)
    return errno != 0 ? errno : EIO;
  state = lock_trace();
  end_trace(); /* that another thread has begun meanwhile */
  mts_tracefile_open(stream, mts_clock_now());
  atomic_store(&mts_trace_number, ++trace.traces);
  unlock_trace(state);
  return 0;
}

bool mts_trace_take_failure(int *error)
{
  if (atomic_load_explicit(&failure, memory_order_relaxed) == 0)
    return false;
  *error = atomic_exchange(&failure, 0);
  return *error != 0;
}
