/*
** signal.c - interrupting another thread, at once, by a signal
**
** The signal is one that nobody uses: a real-time signal, where there are
** some, else SIGURG, which does nothing by default; or the one that the
** environment names.  Its handler is installed when it is needed for the first
** time, and again if the default action has come back.  Other code that has a
** handler for the signal keeps it.  No thread's signal mask is changed.
**
** The signal carries nothing: it tells the thread to look for what there is to
** do.  thread->is_signalled is true from sending to the handler's first step:
**
** 1. The sender publishes what is to be done, then exchanges is_signalled with
**    true, and sends if it was false.
** 2. The handler stores false (mts_signal_take), then looks for what is to be
**    done.
** 3. All that is sequentially consistent.  So a sender that finds true knows
**    that a handler will look that has not begun to, and at most one signal of
**    each thread is pending: the system has a limit for all of them together.
**
** A signal can get lost: the system is out of resources (then the flag is
** taken back), or a tool like ThreadSanitizer drops it.  And a thread that
** blocks the signal never takes it.  Therefore the sender tells when the
** thread is overdue.  Then Linux is asked (/proc); if the thread has no signal
** pending, another one is sent.  A thread also blocks signals inside a
** handler, ours included, so it has to be seen twice, with the signal blocked
** and pending and none taken in between, to count as one that will not take
** it.  When it got ready it looked at itself: that was the first time.  "Not
** known" is no answer: no descriptors, no /proc, or another system.
**
** Windows has no signals that could do that: nothing is ever sent.
*/
#define _GNU_SOURCE /* syscall */

#include "core/signal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(_WIN32)

bool mts_signal_open(void (*handler)(void))
{
  (void)handler;
  return true;
}

void mts_signal_init_thread(mts_Thread *thread)
{
  (void)thread;
}

bool mts_signal_send(mts_Thread *thread, bool is_overdue)
{
  (void)thread;
  (void)is_overdue;
  return false;
}

#else

/* What to choose from. */
#if defined(SIGRTMIN)
#define FIRST_SIGNAL SIGRTMIN
#define LAST_SIGNAL (SIGRTMAX - 1) /* valgrind uses the last one */
#else
#define FIRST_SIGNAL SIGURG
#define LAST_SIGNAL SIGURG
#endif

static mts_Mutex mutex = MTS_MUTEX_INIT;

/* What the handler calls; all who open the module store the same. */
static void (*_Atomic handler_function)(void);

static void handle_signal(int number)
{
  int error = errno;
  (void)number;
  atomic_load (&handler_function)();
  errno = error;
}

/* ======================================================================= */
/* Which signal                                                            */
/* ======================================================================= */

/* Written by mts_signal_open, then with the mutex held. */
static struct {
  atomic_int number; /* 0: none; -1: the environment makes no sense */
  bool is_named;     /* in the environment: there is no other choice */
} chosen;

static bool has_handler(int number, void (*handler)(int))
{
  struct sigaction action;
  return sigaction(number, NULL, &action) == 0 &&
         !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

static bool is_blocked_here(int number)
{
  sigset_t blocked;
  return pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 &&
         sigismember(&blocked, number) == 1; /* there is no signal 0 */
}

/*
** A signal that nobody uses, or 0.  One that is blocked is the second choice:
** somebody can wait for it with sigwait.
*/
static int find_free_signal(void)
{
  int number, blocked = 0;
  for (number = LAST_SIGNAL; number >= FIRST_SIGNAL; number--) {
    if (has_handler(number, SIG_DFL)) {
      if (!is_blocked_here(number))
        return number;
      if (blocked == 0)
        blocked = number;
    }
  }
  return blocked;
}

/* The number of a signal that can have a handler; "none": 0; else -1. */
static int parse(const char *text)
{
  char *end;
  long number = strtol(text, &end, 10);
  struct sigaction action;
  if (strcmp(text, "none") == 0)
    return 0;
  if (end == text || *end != '\0' || number <= 0 || number > INT_MAX ||
      number == SIGKILL || number == SIGSTOP ||
      sigaction((int)number, NULL, &action) != 0)
    return -1;
  return (int)number;
}

static void settle(void)
{
  const char *text = getenv(MTS_SIGNAL_VARIABLE);
  chosen.is_named = text && *text != '\0';
  atomic_store(&chosen.number,
               chosen.is_named ? parse(text) : find_free_signal());
}

bool mts_signal_open(void (*handler)(void))
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  atomic_store(&handler_function, handler);
  return pthread_once(&once, settle) == 0 && atomic_load(&chosen.number) >= 0;
}

/* False if there is no signal that is nobody else's. */
static bool install_handler(void) MTS_REQUIRES(mutex)
{
  struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
  int number = atomic_load(&chosen.number);
  if (number == 0 || has_handler(number, handle_signal))
    return number != 0;
  if (!has_handler(number, SIG_DFL)) {
    /* Somebody has taken it meanwhile. */
    number = chosen.is_named ? 0 : find_free_signal();
    if (number == 0)
      return false;
    atomic_store(&chosen.number, number);
  }
  action.sa_handler = handle_signal;
  sigfillset(&action.sa_mask);
  return sigaction(number, &action, NULL) == 0;
}

/* ======================================================================= */
/* Send                                                                    */
/* ======================================================================= */

void mts_signal_init_thread(mts_Thread *thread)
{
#if defined(__linux__)
  thread->task = syscall(SYS_gettid);
#endif
  thread->was_blocked = is_blocked_here(atomic_load(&chosen.number));
  thread->seen = 0;
  atomic_store(&thread->taken, 0);
  atomic_store(&thread->is_signalled, false);
}

/* What is known of the signal in a thread. */
typedef struct SignalState {
  bool is_known, is_pending, is_blocked;
} SignalState;

/* What the kernel tells of it. */
static SignalState ask_kernel(const mts_Thread *thread) MTS_REQUIRES(mutex)
{
  SignalState answer = {false, false, false};
#if defined(__linux__)
  unsigned long long bit = 1ULL << (atomic_load(&chosen.number) - 1);
  unsigned long long set;
  char line[128];
  FILE *file;
  snprintf(line, sizeof(line), "/proc/self/task/%ld/status", thread->task);
  file = fopen(line, "re");
  while (file && !answer.is_known && fgets(line, sizeof(line), file)) {
    if (sscanf(line, "SigPnd: %llx", &set) == 1) /* comes first */
      answer.is_pending = set & bit;
    else if (sscanf(line, "SigBlk: %llx", &set) == 1) {
      answer.is_blocked = set & bit;
      answer.is_known = true;
    }
  }
  if (file)
    fclose(file);
#else
  (void)thread;
#endif
  return answer;
}

/*
** Whether the thread is known to block the signal: it did when it was looked
** at before, has taken none since, and does so now.
*/
static bool blocks_signal(mts_Thread *thread, SignalState now)
    MTS_REQUIRES(mutex)
{
  unsigned taken = atomic_load(&thread->taken);
  bool was_blocked = thread->was_blocked && thread->seen == taken;
  if (!now.is_known)
    return false;
  thread->was_blocked = now.is_blocked && (was_blocked || now.is_pending);
  thread->seen = taken;
  return was_blocked && now.is_blocked;
}

static bool send_signal(mts_Thread *thread, bool is_overdue)
    MTS_REQUIRES(mutex)
{
  SignalState now = {false, false, false};
  if (!install_handler())
    return false;
  if (thread->was_blocked || is_overdue) {
    now = ask_kernel(thread);
    if (blocks_signal(thread, now))
      return false;
  }
  if (!atomic_exchange(&thread->is_signalled, true) ||
      (now.is_known && !now.is_pending))
    if (pthread_kill(thread->handle, atomic_load(&chosen.number)) != 0)
      atomic_store(&thread->is_signalled, false);
  return true;
}

bool mts_signal_send(mts_Thread *thread, bool is_overdue)
{
  int cancel_state = mts_cancel_disable(); /* files */
  bool may_take_it;
  mts_mutex_lock(&mutex);
  may_take_it = send_signal(thread, is_overdue);
  mts_mutex_unlock(&mutex);
  mts_cancel_restore(cancel_state);
  return may_take_it;
}

#endif
