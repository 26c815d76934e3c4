/*
** receiver.c - state objects offer the Receiver C API
**
** A receiver is a reference to a state, a writer is a message.  A classic
** state is called with it by the thread that sends; for a service it is a
** request.
**
** Takes no locks of its own: a receiver can be used by any thread, a writer by
** one at a time.
*/
#include "capi/receiver.h"

#include <stdlib.h>

#include "core/call.h"
#include "lua/stateobject.h"
#include "mtstates/receiver_capi.h"
#include "sched/request.h"
#include "value/classes.h"

_Static_assert((int)RECEIVER_UCHAR == (int)CARRAY_UCHAR &&
                   (int)RECEIVER_ULLONG == (int)CARRAY_ULLONG,
               "the two number the element types alike");

/* What msgToReceiver returns. */
enum { DELIVERED = 0, CLOSED = 1, BUSY = 3, NO_MEMORY = 6, FAILED = 7 };

struct receiver_writer {
  mts_Message message;
};

static receiver_object *to_receiver(lua_State *L, int index)
{
  return (receiver_object *)mts_stateobject_to_state(L, index);
}

static void retain_receiver(receiver_object *receiver)
{
  mts_state_retain((mts_State *)receiver);
}

static void release_receiver(receiver_object *receiver)
{
  mts_state_release((mts_State *)receiver);
}

/* The factor only tells whether to grow; by how much is up to the buffer. */
static bool reserve_content(mts_Buffer *bytes, size_t capacity,
                            float grow_factor)
{
  if (grow_factor > 0)
    return mts_buffer_reserve(bytes, capacity) != NULL;
  return mts_buffer_fix(bytes, capacity);
}

static receiver_writer *new_writer(size_t capacity, float grow_factor)
{
  receiver_writer *writer = calloc(1, sizeof(*writer));
  if (!writer)
    return NULL;
  if (!reserve_content(&writer->message.bytes, capacity, grow_factor)) {
    free(writer);
    return NULL;
  }
  return writer;
}

static void free_writer(receiver_writer *writer)
{
  if (writer) {
    mts_buffer_free(&writer->message.bytes);
    free(writer);
  }
}

static void clear_writer(receiver_writer *writer)
{
  mts_codec_clear(&writer->message);
}

static int add_boolean(receiver_writer *writer, int b)
{
  return !mts_codec_add_boolean(&writer->message, b);
}

static int add_integer(receiver_writer *writer, lua_Integer i)
{
  return !mts_codec_add_integer(&writer->message, i);
}

static int add_number(receiver_writer *writer, lua_Number n)
{
  return !mts_codec_add_number(&writer->message, n);
}

static int add_string(receiver_writer *writer, const char *s, size_t len)
{
  return !mts_codec_add_string(&writer->message, s, len);
}

static int add_bytes(receiver_writer *writer, const unsigned char *s,
                     size_t len)
{
  return !mts_codec_add_bytes(&writer->message, s, len);
}

static void *add_array(receiver_writer *writer, receiver_array_type type,
                       size_t count)
{
  return mts_codec_add_array(&writer->message, (carray_type)type, count);
}

/* Makes a request with a copy of the message. */
static mts_Request *copy_to_request(mts_State *s, const mts_Message *message)
{
  mts_Request *request = mts_request_new(s);
  if (request && !mts_codec_append(&request->future.values, message)) {
    mts_request_free(request);
    request = NULL;
  }
  return request;
}

static mts_Status send_message(mts_State *s, const mts_Message *message,
                               double timeout, receiver_error_handler eh,
                               void *ehdata)
{
  const mts_Patience patience = mts_patience_until(timeout);
  mts_Request *request = copy_to_request(s, message);
  mts_Status status = MTS_NO_MEMORY;
  if (request) {
    /* It can be code of a state that calls this. */
    status = mts_request_put(request, atomic_load(&mts_self.held), &patience);
    if (status != MTS_OK)
      mts_request_free(request);
  }
  if (status != MTS_OK && status != MTS_CLOSED && status != MTS_BUSY)
    mts_call_tell(s, status, NULL, eh, ehdata);
  return status;
}

static int deliver_message(receiver_object *receiver, receiver_writer *writer,
                           int clear, int nonblock, receiver_error_handler eh,
                           void *ehdata)
{
  mts_State *s = (mts_State *)receiver;
  const double timeout = nonblock ? 0 : MTS_FOREVER;
  (void)clear; /* what waits there is not taken back */
  switch (s->is_service
              ? send_message(s, &writer->message, timeout, eh, ehdata)
              : mts_call_native(s, &writer->message, timeout, eh, ehdata)) {
  case MTS_OK:
    mts_codec_clear(&writer->message);
    return DELIVERED;
  case MTS_CLOSED:
    return CLOSED;
  case MTS_BUSY:
    return BUSY;
  case MTS_NO_MEMORY:
    return NO_MEMORY;
  default:
    return FAILED;
  }
}

static const receiver_capi receiver_functions = {
    .version_major = RECEIVER_CAPI_VERSION_MAJOR,
    .version_minor = RECEIVER_CAPI_VERSION_MINOR,
    .version_patch = RECEIVER_CAPI_VERSION_PATCH,
    .next_capi = NULL,
    .toReceiver = to_receiver,
    .retainReceiver = retain_receiver,
    .releaseReceiver = release_receiver,
    .newWriter = new_writer,
    .freeWriter = free_writer,
    .msgToReceiver = deliver_message,
    .clearWriter = clear_writer,
    .addBooleanToWriter = add_boolean,
    .addIntegerToWriter = add_integer,
    .addNumberToWriter = add_number,
    .addStringToWriter = add_string,
    .addBytesToWriter = add_bytes,
    .addArrayToWriter = add_array,
};

void mts_receiver_open(lua_State *L)
{
  luaL_getmetatable(L, MTS_STATE_CLASS);
  receiver_set_capi(L, -1, &receiver_functions);
  lua_pop(L, 1);
}
