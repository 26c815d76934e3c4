/*
** log.c - where errors go that nobody sees, and warnings
**
** The logger is stderr, or a state, which gets requests as by send, but nobody
** waits for room there.  What it cannot take goes to stderr, and so does what
** it says of itself.  The module is one of its owners.
**
** The mutexes are leaves; one guards which state is the logger, the other
** keeps lines apart.
*/
#include "sched/log.h"

#include <stdio.h>
#include <string.h>

#include "core/registry.h"
#include "sched/queue.h"
#include "sched/worker.h"

static atomic_bool is_stopped;

static mts_Mutex log_mutex = MTS_MUTEX_INIT;
static mts_Mutex line_mutex = MTS_MUTEX_INIT;       /* of stderr */
static mts_State *logger MTS_GUARDED_BY(log_mutex); /* NULL: stderr */

/* Returns: the logger, with a reference; NULL if it is stderr. */
static mts_State *get_logger(void)
{
  mts_State *s;
  mts_mutex_lock(&log_mutex);
  s = logger;
  if (s)
    mts_state_retain(s);
  mts_mutex_unlock(&log_mutex);
  return s;
}

/* The text can have zero bytes. */
static void write_parts(const char *kind, size_t kind_length, const char *text,
                        size_t length)
{
  fputs("mtstates: ", stderr);
  fwrite(kind, 1, kind_length, stderr);
  fputs(": ", stderr);
  fwrite(text, 1, length, stderr);
  fputc('\n', stderr);
}

/* Threads do not mix their lines; there is one only in the child of a fork. */
static void write_line(const char *kind, size_t kind_length, const char *text,
                       size_t length)
{
  if (mts_worker_is_forked()) {
    write_parts(kind, kind_length, text, length);
    return;
  }
  mts_mutex_lock(&line_mutex);
  write_parts(kind, kind_length, text, length);
  mts_mutex_unlock(&line_mutex);
}

/* Adds what the logger gets: kind, text, name and id of the state. */
static bool fill_message(mts_Message *message, const char *kind,
                         const mts_State *s, const char *text, size_t length)
{
  return mts_codec_add_string(message, kind, strlen(kind)) &&
         mts_codec_add_string(message, text, length) &&
         (s && s->has_name
              ? mts_codec_add_string(message, s->name, s->name_length)
              : mts_codec_add_nil(message)) &&
         (s ? mts_codec_add_integer(message, s->id)
            : mts_codec_add_nil(message));
}

/* Returns: false if the logger cannot take it. */
static bool send(mts_State *to, const char *kind, const mts_State *s,
                 const char *text, size_t length)
{
  const mts_Patience none = mts_patience_until(0);
  mts_Request *request = mts_request_new(to);
  if (!request)
    return false;
  request->is_log = true;
  if (fill_message(&request->future.values, kind, s, text, length) &&
      mts_request_put(request, NULL, &none) == MTS_OK)
    return true;
  mts_request_free(request);
  return false;
}

/* Whether s is the logger, or a member of that: it does not log failures. */
static bool is_logger(const mts_State *to, const mts_State *s)
{
  return to == s || (s && s->team && s->team == to->team);
}

static void log_line(const char *kind, const mts_State *s, const char *text,
                     size_t length)
{
  mts_State *to;
  if (atomic_load(&is_stopped))
    return;
  to = mts_worker_is_forked() ? NULL : get_logger();
  if (!to || is_logger(to, s) || !send(to, kind, s, text, length))
    write_line(kind, strlen(kind), text, length);
  if (to)
    mts_state_release(to);
}

void mts_log_error(const mts_State *s, const char *text, size_t length)
{
  log_line("error", s, text, length);
}

void mts_log_warning(const mts_State *s, const char *text, size_t length)
{
  log_line("warning", s, text, length);
}

bool mts_log_warn_at_once(const char *text)
{
  bool is_stderr;
  mts_mutex_lock(&log_mutex);
  is_stderr = !logger;
  mts_mutex_unlock(&log_mutex);
  if (is_stderr)
    write_line("warning", strlen("warning"), text, strlen(text));
  return is_stderr;
}

void mts_log_stop(void)
{
  mts_State *s = get_logger();
  mts_Queue *queue = s ? atomic_load(&s->queue) : NULL;
  mts_Request *request;
  while (queue && (request = mts_queue_take_log(queue)) != NULL) {
    size_t position = 0, kind_length, text_length;
    const mts_Message *values = &request->future.values;
    const char *kind = mts_codec_read_string(values, &position, &kind_length);
    const char *text = mts_codec_read_string(values, &position, &text_length);
    write_line(kind, kind_length, text, text_length);
    mts_request_free(request);
  }
  atomic_store(&is_stopped, true);
}

mts_Status mts_log_set(mts_State *s)
{
  mts_State *before;
  if (s) {
    if (mts_registry_add_owner(s) != MTS_OK)
      return MTS_CLOSED;
    mts_state_retain(s);
  }
  mts_mutex_lock(&log_mutex);
  before = logger;
  logger = s;
  mts_mutex_unlock(&log_mutex);
  if (before) {
    mts_registry_drop_owner(before);
    mts_state_release(before);
  }
  return MTS_OK;
}
