/*
** signal.c - interrupting another thread, at once, by a signal
**
** The signal is one that is not in use: a real-time signal, where there are
** some, else SIGURG, which does nothing by default; or the one that the
** environment names.  Its handler is installed when it is needed for the first
** time, and again if the default action is back.  If other code has a handler
** for the signal, that stays.  The signal masks of threads that are not the
** module's own are not changed.
**
** The signal carries nothing: it tells the thread to look for what there is to
** do.  target->is_signalled is true from sending to the handler's first step:
**
** 1. The sender publishes what is to be done, then exchanges is_signalled with
**    true, and sends the signal if it was false.
** 2. The handler stores false (mts_signal_take), then looks for what is to be
**    done.
** 3. All that is sequentially consistent.  So a sender that finds true knows
**    that a handler is going to look later, and each thread has at most one
**    signal pending: the system has a limit for all threads together.
**
** A signal can get lost: the system is out of resources (then is_signalled is
** taken back), or a tool like ThreadSanitizer drops it.  And a thread whose
** signal mask blocks the signal never takes it.  Therefore the sender tells
** when the thread is overdue.  Then Linux is asked for the mask (/proc), and
** if the thread has no signal pending, another one is sent.
**
** A thread also blocks signals while a handler runs, even this one.  So it has
** to be seen twice, with the signal blocked and pending and none taken in
** between, to count as one that will not take it.  A thread whose mask blocks
** the signal when its target is made has been seen once by that.  If the mask
** cannot be found (no descriptors, no /proc, another system), the thread does
** not count as one that blocks the signal.
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

#include "async_util.h"

#if defined(_WIN32)

bool mts_signal_open(void (*handler)(void))
{
  (void)handler;
  return true;
}

void mts_signal_init_target(mts_SignalTarget *target)
{
  (void)target;
}

bool mts_signal_send(mts_SignalTarget *target, bool is_overdue)
{
  (void)target;
  (void)is_overdue;
  return false;
}

void mts_signal_block_all(void)
{
}

void mts_signal_unblock(void)
{
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

static mts_Mutex signal_mutex = MTS_MUTEX_INIT;

/* What the handler calls; every call of mts_signal_open stores the same. */
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

/* Written once by mts_signal_open, later only with the mutex held. */
static struct {
  atomic_int number; /* 0: none; -1: the environment makes no sense */
  bool is_named;     /* by the environment: there is no other choice */
} chosen;

/* Of the program, so to speak: what mts_signal_open has found. */
static sigset_t first_mask;

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
** A signal that is not in use, or 0.  One that is blocked is the second
** choice: other code may wait for it with sigwait.
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
static int parse_signal(const char *text)
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

static void choose_signal(void)
{
  const char *text = getenv(MTS_SIGNAL_VARIABLE);
  pthread_sigmask(SIG_BLOCK, NULL, &first_mask);
  chosen.is_named = text && *text != '\0';
  atomic_store(&chosen.number,
               chosen.is_named ? parse_signal(text) : find_free_signal());
}

bool mts_signal_open(void (*handler)(void))
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  atomic_store(&handler_function, handler);
  return pthread_once(&once, choose_signal) == 0 &&
         atomic_load(&chosen.number) >= 0;
}

/* Returns: false if there is no signal that other code does not use. */
static bool install_handler(void) MTS_REQUIRES(signal_mutex)
{
  struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
  int number = atomic_load(&chosen.number);
  if (number == 0 || has_handler(number, handle_signal))
    return number != 0;
  if (!has_handler(number, SIG_DFL)) {
    /* Other code has taken it meanwhile. */
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

void mts_signal_init_target(mts_SignalTarget *target)
{
  target->handle = pthread_self();
#if defined(__linux__)
  target->kernel_id = syscall(SYS_gettid);
#endif
  target->was_blocked = is_blocked_here(atomic_load(&chosen.number));
  target->seen = 0;
  atomic_store(&target->taken, 0);
  atomic_store(&target->is_signalled, false);
}

/* What is known of the signal in a thread. */
typedef struct SignalState {
  bool is_known, is_pending, is_blocked;
} SignalState;

/* Asks the kernel for that. */
static SignalState ask_kernel(const mts_SignalTarget *target)
    MTS_REQUIRES(signal_mutex)
{
  SignalState answer = {false, false, false};
#if defined(__linux__)
  unsigned long long bit = 1ULL << (atomic_load(&chosen.number) - 1);
  unsigned long long set;
  char line[128];
  FILE *file;
  snprintf(line, sizeof(line), "/proc/self/task/%ld/status",
           target->kernel_id);
  file = fopen(line, "re");
  while (file && !answer.is_known && fgets(line, sizeof(line), file)) {
    if (sscanf(line, "SigPnd: %llx", &set) == 1) /* the earlier line */
      answer.is_pending = set & bit;
    else if (sscanf(line, "SigBlk: %llx", &set) == 1) {
      answer.is_blocked = set & bit;
      answer.is_known = true;
    }
  }
  if (file)
    fclose(file);
#else
  (void)target;
#endif
  return answer;
}

/*
** Whether the thread is known to block the signal: it did when it was looked
** at before, has taken none since, and does so now.
*/
static bool blocks_signal(mts_SignalTarget *target, SignalState now)
    MTS_REQUIRES(signal_mutex)
{
  unsigned taken = atomic_load(&target->taken);
  bool was_blocked = target->was_blocked && target->seen == taken;
  if (!now.is_known)
    return false;
  target->was_blocked = now.is_blocked && (was_blocked || now.is_pending);
  target->seen = taken;
  return was_blocked && now.is_blocked;
}

static bool send_signal(mts_SignalTarget *target, bool is_overdue)
    MTS_REQUIRES(signal_mutex)
{
  SignalState now = {false, false, false};
  if (!install_handler())
    return false;
  if (target->was_blocked || is_overdue) {
    now = ask_kernel(target);
    if (blocks_signal(target, now))
      return false;
  }
  if (!atomic_exchange(&target->is_signalled, true) ||
      (now.is_known && !now.is_pending))
    if (pthread_kill(target->handle, atomic_load(&chosen.number)) != 0)
      atomic_store(&target->is_signalled, false);
  return true;
}

bool mts_signal_send(mts_SignalTarget *target, bool is_overdue)
{
  int cancel_state = mts_cancel_disable(); /* files */
  bool may_take_it;
  mts_mutex_lock(&signal_mutex);
  may_take_it = send_signal(target, is_overdue);
  mts_mutex_unlock(&signal_mutex);
  mts_cancel_restore(cancel_state);
  return may_take_it;
}

/* ======================================================================= */
/* The masks of the module's own threads                                   */
/* ======================================================================= */

void mts_signal_block_all(void)
{
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
}

void mts_signal_unblock(void)
{
  sigset_t mask = first_mask;
  const int number = atomic_load(&chosen.number);
  if (number > 0)
    sigdelset(&mask, number);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

#endif
