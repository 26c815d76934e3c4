/*
** request.c - values that wait for the callback of a state
**
** A request whose answer can be waited for has a reference to the state, for
** what there is to say of it later.  One that was only sent has none: the
** queue has one while the request is in it.
**
** mts_request_put is in queue.c.  To free a request can close states, so no
** mutex may be held then.
*/
#include "sched/request.h"

/* Fills in what each request has. */
static mts_Request *make_request(mts_State *s, size_t references)
{
  mts_Request *request = mts_blocks_get();
  if (!request)
    return NULL;
  atomic_init(&request->future.references, references);
  atomic_init(&request->future.is_answered, false);
  atomic_init(&request->future.is_read, false);
  request->future.state = s;
  request->future.status = MTS_OK;
  request->is_queued = request->is_log = false;
  request->future.values = (mts_Message){0};
  mts_buffer_start(&request->future.values.bytes, request->space,
                   MTS_REQUEST_SPACE);
  return request;
}

mts_Request *mts_request_new(mts_State *s)
{
  mts_Request *request = make_request(s, 1);
  if (request)
    request->is_send = true;
  return request;
}

mts_Request *mts_request_new_asked(mts_State *s)
{
  mts_Request *request = make_request(s, 2);
  if (request) {
    request->is_send = false;
    mts_state_retain(s);
    mts_mutex_init(&request->future.mutex);
    request->future.first_wait = NULL;
  }
  return request;
}

/* Frees what the request holds, which can be other requests. */
static void free_content(mts_Request *request)
{
  mts_Future *future = &request->future;
  mts_codec_free(&future->values);
  if (future->status == MTS_RAISED)
    mts_buffer_free(&future->text);
  if (!request->is_send) {
    mts_mutex_destroy(&future->mutex);
    mts_state_release(future->state);
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
    free_content(request);
    mts_blocks_put(request);
  }
  is_freeing = false;
}
