/*
** preempt.c - running a function in another thread, at once, by a signal
**
** The signal is one that nobody uses: a real-time signal, where there are
** some, else SIGURG, which does nothing by default; or the one that the
** environment names.  Its handler is installed when it is needed for the first
** time, and again if the default action has come back.  Who has a handler of
** his own for the signal keeps it.  No thread's signal mask is changed.
**
** One request is under way at a time.  A thread that blocks the signal would
** never take it, and signals would pile up.  So one that blocked it when it
** got ready, or did not take it in time, is `deaf`: it is asked for its signal
** mask (Linux tells in /proc) before each request.
**
** Windows has no signals that could do that: no request is ever taken.
*/
#define _GNU_SOURCE /* syscall */

#include "preempt.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(_WIN32)

bool mts_preempt_open(void)
{
  return true;
}

void mts_preempt_init_thread(mts_Thread *thread)
{
  (void)thread;
}

bool mts_preempt_run(mts_Thread *thread, void (*function)(void *), void *data)
{
  (void)thread;
  (void)function;
  (void)data;
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

/*
** How long a thread may take to take the signal (seconds), and how often it
** is sent to a thread that does not block it.
*/
#define PATIENCE 0.5
#define MAX_SIGNALS 20

/* request.thread when the function is being run. */
#define REQUEST_RUNS ((uintptr_t)1)

static mts_Mutex requests = MTS_MUTEX_INIT; /* one at a time */

/*
** The sender stores the thread last; the handler changes it to REQUEST_RUNS,
** runs the function and stores 0.  A sender that gives up changes it to 0
** itself, so a signal that comes too late finds nothing to do.
*/
static struct {
  atomic_uintptr_t thread;
  void (*function)(void *);
  void *data;
} request;

static void handle_signal(int number)
{
  uintptr_t thread = (uintptr_t)pthread_self();
  (void)number;
  if (atomic_compare_exchange_strong(&request.thread, &thread, REQUEST_RUNS)) {
    request.function(request.data);
    atomic_store(&request.thread, 0);
  }
}

/* ======================================================================= */
/* Which signal                                                            */
/* ======================================================================= */

/* Written by mts_preempt_open, then with `requests` held. */
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
  const char *text = getenv(MTS_PREEMPT_VARIABLE);
  chosen.is_named = text && *text != '\0';
  atomic_store(&chosen.number,
               chosen.is_named ? parse(text) : find_free_signal());
}

bool mts_preempt_open(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  return pthread_once(&once, settle) == 0 && atomic_load(&chosen.number) >= 0;
}

/* False if there is no signal that is nobody else's. */
static bool install_handler(void) MTS_REQUIRES(requests)
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
/* Requests                                                                */
/* ======================================================================= */

void mts_preempt_init_thread(mts_Thread *thread)
{
#if defined(__linux__)
  thread->task = syscall(SYS_gettid);
#endif
  thread->is_deaf = is_blocked_here(atomic_load(&chosen.number));
}

/* As the kernel says now; where it does not tell, it is so. */
static bool blocks_signal(const mts_Thread *thread) MTS_REQUIRES(requests)
{
  bool is_blocked = true;
#if defined(__linux__)
  char line[128];
  FILE *file;
  snprintf(line, sizeof(line), "/proc/self/task/%ld/status", thread->task);
  file = fopen(line, "re");
  while (file && fgets(line, sizeof(line), file)) {
    unsigned long long mask;
    if (sscanf(line, "SigBlk: %llx", &mask) == 1) {
      is_blocked = (mask >> (atomic_load(&chosen.number) - 1) & 1) != 0;
      break;
    }
  }
  if (file)
    fclose(file);
#else
  (void)thread;
#endif
  return is_blocked;
}

static bool is_taken_in_time(void) MTS_REQUIRES(requests)
{
  double deadline = mts_clock_now() + PATIENCE;
  /* A handler may not signal a condition. */
  while (atomic_load(&request.thread) != 0 && mts_clock_now() < deadline)
    mts_clock_nap();
  return atomic_load(&request.thread) == 0;
}

/*
** A thread that does not block the signal is waiting for a processor.  Or the
** signal was lost, as ThreadSanitizer does it, so it is sent again.
*/
static void send_signal(const mts_Thread *thread) MTS_REQUIRES(requests)
{
  int number = atomic_load(&chosen.number);
  int sent = 0;
  while (pthread_kill(thread->handle, number) == 0 && !is_taken_in_time() &&
         ++sent < MAX_SIGNALS && !blocks_signal(thread))
    ;
}

static bool run(mts_Thread *thread, void (*function)(void *), void *data)
    MTS_REQUIRES(requests)
{
  uintptr_t waiting = (uintptr_t)thread->handle;
  bool has_run;
  if ((thread->is_deaf && blocks_signal(thread)) || !install_handler())
    return false;
  request.function = function;
  request.data = data;
  atomic_store(&request.thread, waiting);
  send_signal(thread);
  has_run = !atomic_compare_exchange_strong(&request.thread, &waiting, 0);
  while (atomic_load(&request.thread) != 0)
    mts_spin_pause();
  thread->is_deaf = !has_run;
  return has_run;
}

bool mts_preempt_run(mts_Thread *thread, void (*function)(void *), void *data)
{
  int cancel_state = mts_cancel_disable(); /* files, nanosleep */
  bool has_run;
  mts_mutex_lock(&requests);
  has_run = run(thread, function, data);
  mts_mutex_unlock(&requests);
  mts_cancel_restore(cancel_state);
  return has_run;
}

#endif
