/*
** thread.c - the calling thread: what each thread has of its own
**
** One record for each thread, made ready when the thread first uses a state.
** It ends with the thread: nothing refers to it then, since a thread that has
** ended holds no state and waits for none.
*/
#include "core/thread.h"

#include "async_util.h"
#include "core/usage.h"

MTS_THREAD_LOCAL mts_Thread mts_self;

/* With a second thread, times are measured. */
static void count_thread(void)
{
  static atomic_bool has_first;
  if (atomic_exchange(&has_first, true))
    mts_usage_open();
}

void mts_thread_make_ready(void)
{
  count_thread();
  mts_signal_init_target(&mts_self.signal);
  mts_self.is_ready = true;
}

void mts_thread_await_readers(void)
{
  int waits;
  do {
    mts_clock_pause();
    waits = MTS_THREAD_WAITS;
  } while (!atomic_compare_exchange_weak(&mts_self.wait_state, &waits,
                                         MTS_THREAD_RUNS) &&
           waits != MTS_THREAD_RUNS);
}

void mts_thread_find_stack(void)
{
  size_t size;
  if (mts_async_find_stack(&mts_self.stack, &size)) {
    size_t half = size / 2;
    mts_self.reserve = half < MTS_THREAD_RESERVE ? half : MTS_THREAD_RESERVE;
    mts_self.knows_stack = true;
  }
}
