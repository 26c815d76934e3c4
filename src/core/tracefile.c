/*
** tracefile.c - the file of a trace
**
** It is an array of Chrome trace events in JSON, one on each line:
**
**   phase    ph   time on the row of the thread, or
**   BEGIN    B    what, state
**   END      E
**   both     X    the same, if the one follows the other
**   COUNT    C    a curve: value, state
**   SUSPEND  b    a row of its own: what, other; value names the task, state
**   RESUME   e    the same
**   (names)  M
**
** Names of states are looked up here, by id, since a state can be gone when
** its events are written.  One that there was no memory for is just its id.
**
** Text is gathered and written as a whole: the stream has no buffer of its
** own, which a process that forks would write twice.  After an error nothing
** is written any more.
**
** Takes no locks: trace.c has one.
*/
#include "core/tracefile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define TEXT_SIZE ((size_t)64 * 1024)
#define NAME_BYTES 60 /* so much of a name is shown */

/* The longest text that one byte of a name becomes: \u001f. */
#define ESCAPED_SIZE 6

/* A line with two names. */
#define LINE_SIZE ((size_t)2 * NAME_BYTES * ESCAPED_SIZE + 400)

typedef struct Name {
  int64_t id; /* 0: the place is free */
  char *text;
} Name;

static struct {
  FILE *stream;
  double start;
  int error;   /* errno, or 0 */
  Name *names; /* a hash table */
  size_t count, places;
  size_t length; /* of the text */
  char text[TEXT_SIZE];
} file;

/* ======================================================================= */
/* Text                                                                    */
/* ======================================================================= */

static void write_text(void)
{
  errno = 0;
  if (file.error == 0 &&
      fwrite(file.text, 1, file.length, file.stream) != file.length)
    file.error = errno != 0 ? errno : EIO;
  file.length = 0;
}

/* These write to `out`, where there is room, and return the end of that. */
static char *put_text(char *out, const char *text, size_t length)
{
  memcpy(out, text, length);
  return out + length;
}

#define PUT(out, literal) put_text(out, "" literal, sizeof(literal) - 1)

static char *put_word(char *out, const char *text)
{
  return put_text(out, text, strlen(text));
}

static char *put_number(char *out, uint64_t number)
{
  char digits[20];
  size_t first = sizeof(digits);
  do {
    digits[--first] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return put_text(out, digits + first, sizeof(digits) - first);
}

/* Nanoseconds of the trace at that point of the clock. */
static uint64_t time_of(double time)
{
  const double seconds = time > file.start ? time - file.start : 0;
  return (uint64_t)(seconds * 1e9 + 0.5);
}

/* In microseconds, with three digits behind the point. */
static char *put_time(char *out, uint64_t ns)
{
  const unsigned rest = (unsigned)(ns % 1000);
  out = put_number(out, ns / 1000);
  *out++ = '.';
  *out++ = (char)('0' + rest / 100);
  *out++ = (char)('0' + rest / 10 % 10);
  *out++ = (char)('0' + rest % 10);
  return out;
}

/* ======================================================================= */
/* Names                                                                   */
/* ======================================================================= */

/* Returns: the length of the UTF-8 sequence at the begin, or 0. */
static size_t sequence_length(const char *text, size_t length)
{
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  const unsigned char *bytes = (const unsigned char *)text;
  const size_t size = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
  unsigned code = bytes[0] & (0x7fu >> size);
  size_t i;
  if (bytes[0] < 0xc0 || bytes[0] > 0xf4 || size > length)
    return 0;
  for (i = 1; i < size; i++) {
    if ((bytes[i] & 0xc0) != 0x80)
      return 0;
    code = code << 6 | (bytes[i] & 0x3fu);
  }
  if (code < least[size] || code > 0x10ffff || (code & ~0x7ffu) == 0xd800)
    return 0;
  return size;
}

/* Writes a part of a JSON string.  Returns: its end. */
static char *escape(char *out, const char *name, size_t length)
{
  size_t i = 0;
  if (length > NAME_BYTES)
    length = NAME_BYTES;
  while (i < length) {
    const char c = name[i];
    const bool is_ascii = ((unsigned char)c & 0x80) == 0;
    size_t size = is_ascii ? 1 : sequence_length(name + i, length - i);
    if (c == '"' || c == '\\')
      *out++ = '\\';
    if (size == 0 || (is_ascii && (c < ' ' || c == '\x7f')))
      out += sprintf(out, "\\u%04x", size == 0 ? 0xfffdu : (unsigned)c);
    else {
      memcpy(out, name + i, size);
      out += size;
    }
    i += size > 0 ? size : 1;
  }
  return out;
}

static Name *find_place(Name *names, size_t places, int64_t id)
{
  size_t i = (size_t)id & (places - 1); /* a power of two */
  while (names[i].id != 0 && names[i].id != id)
    i = (i + 1) & (places - 1);
  return &names[i];
}

/* Returns: whether there is room for one more name. */
static bool grow_names(void)
{
  const size_t places = file.places > 0 ? 2 * file.places : 64;
  Name *names;
  size_t i;
  if (file.count < file.places / 2)
    return true;
  names = calloc(places, sizeof(*names));
  if (!names)
    return false;
  for (i = 0; i < file.places; i++)
    if (file.names[i].id != 0)
      *find_place(names, places, file.names[i].id) = file.names[i];
  free(file.names);
  file.names = names;
  file.places = places;
  return true;
}

void mts_tracefile_add_state(const mts_State *s)
{
  char text[NAME_BYTES * ESCAPED_SIZE + 1] = "host program";
  Name *place;
  char *copy;
  if (atomic_load(&s->has_name))
    *escape(text, s->name, s->name_length) = '\0';
  else if (!s->is_host || atomic_load(&s->is_here))
    return;
  if (!grow_names())
    return;
  place = find_place(file.names, file.places, s->id);
  copy = place->id == 0 ? malloc(strlen(text) + 1) : NULL;
  if (copy) {
    strcpy(copy, text);
    *place = (Name){s->id, copy};
    file.count++;
  }
}

/* Returns: the name of the state as text, or NULL. */
static const char *find_name(int64_t id)
{
  const Name *place =
      file.places > 0 ? find_place(file.names, file.places, id) : NULL;
  return place && place->id != 0 ? place->text : NULL;
}

static char *put_state(char *out, int64_t id)
{
  const char *name = find_name(id);
  return name ? put_word(out, name)
              : put_number(PUT(out, "state "), (uint64_t)id);
}

/* ======================================================================= */
/* Events                                                                  */
/* ======================================================================= */

/* How the name of an event begins; the name of the state follows. */
typedef struct Label {
  const char *category;
  const char *text;
  const char *before_state;
} Label;

static const Label labels[] = {
    [MTS_TRACE_CALL] = {"call", "", ""},
    [MTS_TRACE_TASK] = {"task", "", ""},
    [MTS_TRACE_SETUP] = {"setup", "setup", " of "},
    [MTS_TRACE_CLOSE] = {"close", "close", " "},
    [MTS_TRACE_ENTER] = {"wait", "its turn", " in "},
    [MTS_TRACE_ANSWER] = {"wait", "an answer", " of "},
    [MTS_TRACE_ROOM] = {"wait", "room", " at "},
    [MTS_TRACE_TIME] = {"wait", "sleep", ""},
    [MTS_TRACE_STATE] = {"wait", "a state", ""},
    [MTS_TRACE_IDLE] = {"wait", "the last answer", " of "},
    [MTS_TRACE_CLOSING] = {"wait", "the end", " of "},
    [MTS_TRACE_TURN] = {"wait", "others", ""},
};

static char *put_label(char *out, const Label *label, int64_t state)
{
  out = put_word(out, label->text);
  if (state != 0)
    out = put_state(put_word(out, label->before_state), state);
  return out;
}

/* Begins a line with what all events have. */
static char *begin_line(char phase, unsigned thread)
{
  char *out;
  if (TEXT_SIZE - file.length < LINE_SIZE)
    write_text();
  out = PUT(file.text + file.length, ",\n{\"ph\":\"");
  *out++ = phase;
  return put_number(PUT(out, "\",\"pid\":1,\"tid\":"), thread);
}

static char *begin_timed(char phase, unsigned thread, double time)
{
  char *out = PUT(begin_line(phase, thread), ",\"ts\":");
  return put_time(out, time_of(time));
}

static void end_line(char *out)
{
  file.length = (size_t)(PUT(out, "}") - file.text);
}

/* A state without a name has its id in the name of the event. */
static char *put_begin(char *out, const mts_TraceEvent *event)
{
  const Label *label = &labels[event->what];
  out = put_word(PUT(out, ",\"cat\":\""), label->category);
  out = put_label(PUT(out, "\",\"name\":\""), label, event->state);
  out = PUT(out, "\"");
  if (find_name(event->state)) {
    out = PUT(out, ",\"args\":{\"state\":");
    out = PUT(put_number(out, (uint64_t)event->state), "}");
  }
  return out;
}

static char *put_count(char *out, const mts_TraceEvent *event)
{
  if (find_name(event->state)) {
    out = put_number(PUT(out, ",\"id\":\""), (uint64_t)event->state);
    out = PUT(out, "\"");
  }
  out = put_state(PUT(out, ",\"name\":\"queue of "), event->state);
  out = put_number(PUT(out, "\",\"args\":{\"waiting\":"), event->value);
  return PUT(out, "}");
}

static char *put_wait(char *out, const mts_TraceEvent *event)
{
  out = put_number(PUT(out, ",\"cat\":\"wait\",\"id\":\""), event->value);
  out = put_state(PUT(out, "\",\"name\":\""), event->state);
  out = PUT(out, " waits\"");
  if (event->phase == MTS_TRACE_SUSPEND) {
    out = PUT(out, ",\"args\":{\"for\":\"");
    out = PUT(put_label(out, &labels[event->what], event->other), "\"}");
  }
  return out;
}

void mts_tracefile_add(unsigned thread, const mts_TraceEvent *event)
{
  char *out = begin_timed("BECbe"[event->phase], thread, event -> time);
  switch ((mts_TracePhase)event->phase) {
  case MTS_TRACE_BEGIN:
    out = put_begin(out, event);
    break;
  case MTS_TRACE_END:
    break;
  case MTS_TRACE_COUNT:
    out = put_count(out, event);
    break;
  case MTS_TRACE_SUSPEND:
  case MTS_TRACE_RESUME:
    out = put_wait(out, event);
    break;
  }
  end_line(out);
}

void mts_tracefile_add_span(unsigned thread, const mts_TraceEvent *begin,
                            double end)
{
  char *out = begin_timed('X', thread, begin->time);
  out = put_time(PUT(out, ",\"dur\":"), time_of(end) - time_of(begin->time));
  end_line(put_begin(out, begin));
}

void mts_tracefile_add_thread(unsigned thread, const char *name)
{
  char *out = begin_line('M', thread);
  out = PUT(out, ",\"name\":\"thread_name\",\"args\":{\"name\":\"");
  end_line(PUT(escape(out, name, strlen(name)), "\"}"));
}

/* ======================================================================= */
/* The file                                                                */
/* ======================================================================= */

void mts_tracefile_open(FILE *stream, double start)
{
  static const char head[] = "[\n{\"ph\":\"M\",\"pid\":1,\"name\":"
                             "\"process_name\",\"args\":"
                             "{\"name\":\"mtstates\"}}";
  file.stream = stream;
  setvbuf(file.stream, NULL, _IONBF, 0);
  file.start = start;
  file.error = 0;
  file.length = (size_t)(put_word(file.text, head) - file.text);
}

int mts_tracefile_flush(void)
{
  write_text();
  return file.error;
}

void mts_tracefile_forget(void)
{
  size_t i;
  for (i = 0; i < file.places; i++)
    free(file.names[i].text);
  free(file.names);
  file.names = NULL;
  file.count = file.places = file.length = 0;
  file.stream = NULL;
}

int mts_tracefile_close(void)
{
  file.length = (size_t)(PUT(file.text + file.length, "\n]\n") - file.text);
  write_text();
  errno = 0;
  if (fclose(file.stream) != 0 && file.error == 0)
    file.error = errno != 0 ? errno : EIO;
  mts_tracefile_forget();
  return file.error;
}
