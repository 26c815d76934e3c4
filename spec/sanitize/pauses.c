/*
** pauses: threads that dawdle anywhere in the module.  The compiler puts a
** call in front of each stretch of code without a branch
** (-fsanitize-coverage=trace-pc).  Some of these places are slow: a thread
** that gets there sleeps now and then, mostly for microseconds, at times for
** milliseconds, so that all others overtake it.  What is right only because
** nobody is ever late goes wrong soon then.  No two runs are the same.
**
** All of it can run in a signal handler, and nothing of it is where a thread
** can be cancelled: so no nanosleep.
*/
#define _GNU_SOURCE

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Of so many places one is slow; each thread has its own, and other ones after
   so many steps.  It sleeps at one of so many visits there, for up to so many
   microseconds, as a power of two, and no more than so many times until the
   places change: code that computes must get on. */
#define PLACES 32
#define STEPS 50000
#define VISITS 8
#define POWER 13
#define PAUSES 4

void __attribute__((visibility("hidden"))) __sanitizer_cov_trace_pc(void);

static _Thread_local uint64_t chance;
static _Thread_local uint64_t places; /* which ones are slow */
static _Thread_local unsigned steps;  /* until there are others */
static _Thread_local unsigned pauses; /* that are left until then */

static uint64_t mix(uint64_t bits)
{
  bits = (bits ^ bits >> 31) * 0x7fb5d329728ea185u;
  bits = (bits ^ bits >> 27) * 0x81dadef4bc2dd44du;
  return bits ^ bits >> 33;
}

static void sleep_a_moment(void)
{
  const unsigned long most = 1000ul << (chance >> 8) % (POWER + 1);
  const struct timespec moment = {0, (long)((chance >> 16) % most)};
  const int saved = errno;
  syscall(SYS_nanosleep, &moment, NULL);
  errno = saved;
}

void __sanitizer_cov_trace_pc(void)
{
  const uint64_t place = (uintptr_t)__builtin_return_address(0);
  if (steps == 0) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    places = chance = mix((uintptr_t)&chance + (uint64_t)now.tv_nsec);
    steps = STEPS;
    pauses = PAUSES;
  }
  steps--;
  if (pauses > 0 && mix(place ^ places) % PLACES == 0) {
    chance = mix(chance + 1);
    if (chance % VISITS == 0) {
      pauses--;
      sleep_a_moment();
    }
  }
}
