/*
** promise.c - what answers a future by hand
**
** A promise is a request to no state: its block is that of a request, whose
** front part is the future.  It is never in a queue.  Objects and messages
** that can answer it are counted; each also has a reference to the future.
**
** Several threads can want to answer at once: the one that sets is_claimed
** writes the answer.
**
** Takes no locks but that of the future.
*/
#include "sched/promise.h"

#include "error.h"
#include "sched/request.h"
#include "sched/worker.h"

const char mts_promise_abandoned[] =
    MTS_ERROR_CLASS ".abandoned: promise: nobody can answer the future any "
                    "more";

mts_Future *mts_promise_new(void)
{
  mts_Request *request = mts_request_new_answer(NULL);
  if (!request)
    return NULL;
  atomic_init(&request->asked.promises, 0);
  atomic_init(&request->asked.is_claimed, false);
  mts_promise_retain(&request->future);
  return &request->future;
}

void mts_promise_retain(mts_Future *future)
{
  mts_Request *request = (mts_Request *)future;
  atomic_fetch_add_explicit(&request->asked.promises, 1, memory_order_relaxed);
  mts_future_retain(future);
}

void mts_promise_release(mts_Future *future)
{
  mts_Request *request = (mts_Request *)future;
  const bool is_last = atomic_fetch_sub_explicit(&request->asked.promises, 1,
                                                 memory_order_acq_rel) == 1;
  if (is_last && !mts_worker_is_forked()) /* the parent answers */
    (void)mts_promise_fail(future, MTS_ABANDONED);
  mts_future_release(future);
}

bool mts_promise_is_shared(const mts_Future *future)
{
  return atomic_load(&((const mts_Request *)future)->asked.promises) > 1;
}

/* Whether the caller is the one that answers. */
static bool claim(mts_Future *future)
{
  return !atomic_exchange(&mts_request_asked(future)->is_claimed, true);
}

bool mts_promise_set(mts_Future *future, mts_Message *values)
{
  if (!claim(future)) {
    mts_codec_free(values);
    return false;
  }
  mts_handle_let_go(values->handles, future); /* it would never be freed */
  future->status = MTS_OK;
  future->values = *values;
  mts_future_answer(future);
  return true;
}

bool mts_promise_raise(mts_Future *future, mts_Buffer *text,
                       mts_Message *value)
{
  if (!claim(future)) {
    mts_codec_free(value);
    mts_buffer_free(text);
    return false;
  }
  mts_handle_let_go(value->handles, future);
  future->status = MTS_RAISED;
  *mts_request_text(future) = *text;
  future->has_value = true;
  future->values = *value;
  mts_future_answer(future);
  return true;
}

bool mts_promise_fail(mts_Future *future, mts_Status status)
{
  if (!claim(future))
    return false;
  mts_future_fail(future, status);
  return true;
}
