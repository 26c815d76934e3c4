/*
** request.c - values that wait for the callback of a state
**
** A request whose answer can be waited for has a reference to the state, for
** what there is to say of it later.  (A promise is such a request, to no
** state.)  One that was only sent has none: the queue has one while the
** request is in it.
**
** mts_request_put is in queue.c.  To free a request can close states, so no
** mutex may be held then.
*/
#include "sched/request.h"

#include <stdlib.h>

#include "core/waitgraph.h"

/* Fills in what each request has. */
static void fill_request(mts_Request *request, mts_State *s, bool is_small)
{
  atomic_init(&request->future.is_answered, false);
  atomic_init(&request->future.is_read, false);
  atomic_init(&request->future.state, s);
  request->future.status = MTS_OK;
  request->is_queued = request->is_log = request->is_call = false;
  request->has_begun = request->is_fork = request->is_deferred = false;
  request->is_small = is_small;
  atomic_init(&request->task, NULL);
  atomic_init(&request->is_untold, false);
  request->future.values = (mts_Message){0};
}

/* The same for one that can be waited for. */
static void fill_asked(mts_Request *request, mts_State *s, bool is_small)
{
  fill_request(request, s, is_small);
  atomic_init(&request->future.references, 2);
  request->is_send = false;
  atomic_init(&request->is_cancelled, false);
  if (s)
    mts_state_retain(s);
  atomic_init(&request->asked.source, NULL);
  request->asked.pool = NULL;
  mts_mutex_init(&request->asked.mutex);
  request->asked.waits = (mts_WaitList){NULL, NULL};
  mts_buffer_start(&request->future.values.bytes, request->space,
                   mts_request_space(request));
}

mts_Request *mts_request_new(mts_State *s)
{
  mts_Request *request = mts_blocks_get();
  if (request) {
    fill_request(request, s, false);
    atomic_init(&request->future.references, 1);
    request->is_send = true;
    mts_buffer_start(&request->future.values.bytes, (char *)&request->asked,
                     MTS_REQUEST_SPACE + sizeof(request->asked));
  }
  return request;
}

mts_Request *mts_request_new_asked(mts_State *s)
{
  mts_Request *request = mts_blocks_get();
  if (request)
    fill_asked(request, s, false);
  return request;
}

mts_Request *mts_request_new_answer(mts_State *s)
{
  mts_Request *request = malloc(sizeof(*request) + MTS_SMALL_SPACE);
  if (request)
    fill_asked(request, s, true);
  return request;
}

/*
** Others that look at the request meanwhile still find the pool, so that is
** kept as long as the request is.  A send has no references, and nobody looks.
*/
void mts_request_bind(mts_Request *request, mts_State *s)
{
  if (!request->is_send) {
    mts_state_retain(s);
    request->asked.pool = request->future.state;
  }
  atomic_store_explicit(&request->future.state, s, memory_order_release);
}

/* Frees what the request holds, which can be other requests. */
static void free_content(mts_Request *request)
{
  mts_Future *future = &request->future;
  mts_codec_free(&future->values);
  if (future->status == MTS_RAISED)
    mts_buffer_free(mts_request_text(future));
  if (!request->is_send) {
    mts_mutex_destroy(&request->asked.mutex);
    if (future->state)
      mts_state_release(future->state);
    if (request->asked.pool)
      mts_state_release(request->asked.pool);
    if (atomic_load(&request->asked.source))
      mts_future_release(atomic_load(&request->asked.source));
  }
}

/*
** Values can name futures whose values name futures, in a chain of any length:
** what is freed meanwhile is freed by the level that is at it already.
*/
void mts_request_free(mts_Request *request)
{
  static MTS_THREAD_LOCAL mts_Request *first;
  static MTS_THREAD_LOCAL bool is_freeing;
  request->next = first;
  first = request;
  if (is_freeing)
    return;
  is_freeing = true;
  while ((request = first) != NULL) {
    first = request->next;
    mts_waitgraph_settle();
    free_content(request);
    if (request->is_small)
      free(request);
    else
      mts_blocks_put(request);
  }
  is_freeing = false;
}
