/*
** staterequest.c - requests of Lua code to states
**
** Each method checks its arguments, makes a request, writes the arguments into
** its message, and puts it into the queue of the state.  From the first of
** these steps on nothing is raised before the request has been put or given
** up.  See stateobject.c for what holds while code of other states runs.
**
** Takes no locks of its own.
*/
#include "lua/staterequest.h"

#include "core/interrupt.h"
#include "core/registry.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/futureobject.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "sched/queue.h"
#include "sched/request.h"
#include "value/transfer.h"

/* ======================================================================= */
/* Requests                                                                */
/* ======================================================================= */

/* A method that makes a request. */
typedef struct Sending {
  lua_State *L;
  mts_StateObject *object;
  mts_Values args;
  mts_Request *request;
  lua_State *outer; /* which Lua thread ran in the host state before */
} Sending;

/* The arguments of the request are those from the index first on. */
static void open_sending(Sending *sending, lua_State *L, int first)
{
  sending->L = L;
  mts_transfer_scan(&sending->args, L, first);
  sending->object = mts_stateobject_check_live(L);
  lua_pop(L, 1);
}

/*
** Examines the arguments if the state is classic.  That can run finalizers,
** and so can what was done since the sending was opened; they can finalize the
** object that the method is called for.
*/
static void examine_args(Sending *sending)
{
  const mts_StateObject *object = sending->object;
  if (!object->is_finalized && !object->state->is_service)
    mts_transfer_check_args(&sending->args);
  if (object->is_finalized)
    mts_stateobject_raise_finalized(sending->L);
}

/* The request has been put or freed: nothing is held any more. */
static void end_sending(const Sending *sending)
{
  mts_StateObject *object = sending->object;
  object->calls--;
  mts_stateobject_release(object);
  mts_interrupt_switch(object->host_state, sending->outer);
}

/*
** Gives up the request for the reason in status, and raises that; but MTS_BUSY
** is no error.
*/
static void give_up(Sending *sending, mts_Status status)
{
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(sending->object->state, description);
  mts_request_free(sending->request);
  end_sending(sending);
  if (status != MTS_BUSY)
    mts_error_raise_status(sending->L, status, description);
}

/* Adds the values, if none needs more than memory; false: none is added. */
static bool add_plain_values(mts_Message *message, const mts_Values *values)
{
  int i;
  if (values->need == MTS_NEED_EXAMINATION)
    return false;
  for (i = 0; i < values->count; i++)
    if (!mts_codec_add_typed(message, values->L, values->first + i,
                             mts_transfer_type(values, i))) {
      mts_codec_clear(message);
      return false;
    }
  return true;
}

/* Encodes arguments of any kind; raises if that fails. */
static void encode_args(Sending *sending)
{
  lua_State *L = sending->L;
  const mts_Values *args = &sending->args;
  mts_Misfit misfit;
  const mts_Encoding encoding = mts_arguments_try(
      L, args->first, args->count, &sending->request->future.values, &misfit);
  if (encoding != MTS_ENCODED) {
    give_up(sending, MTS_BUSY);
    mts_arguments_raise(L, args->first, encoding, &misfit);
  }
  if (sending->object->is_finalized) { /* by __transfer */
    give_up(sending, MTS_BUSY);
    mts_stateobject_raise_finalized(L);
  }
}

/*
** Writes the arguments into the new request, which is NULL if there is no
** memory.  From here on the request is held.
*/
static void begin_sending(Sending *sending, mts_Request *request)
{
  mts_StateObject *object = sending->object;
  if (!request)
    mts_error_raise_about(sending->L, MTS_NO_MEMORY, object->state);
  sending->request = request;
  sending->outer = mts_interrupt_switch(object->host_state, sending->L);
  object->calls++; /* the object keeps the state if it is finalized */
  if (!add_plain_values(&request->future.values, &sending->args))
    encode_args(sending);
}

/*
** Puts the request into the queue.  Returns false if there was no room in
** time; raises all other errors.
*/
static bool put_request(Sending *sending, double deadline)
{
  const mts_Status status =
      mts_request_put(sending->request, sending->object->host_state, deadline);
  if (status == MTS_OK)
    end_sending(sending);
  else
    give_up(sending, status);
  return status == MTS_OK;
}

/* ======================================================================= */
/* Send                                                                    */
/* ======================================================================= */

int mts_staterequest_send(lua_State *L)
{
  Sending sending;
  open_sending(&sending, L, 2);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new(sending.object->state));
  put_request(&sending, MTS_FOREVER);
  return 0;
}

int mts_staterequest_tsend(lua_State *L)
{
  Sending sending;
  double deadline;
  open_sending(&sending, L, 3);
  deadline = mts_numbers_deadline(mts_numbers_check_seconds(L, 2));
  examine_args(&sending);
  begin_sending(&sending, mts_request_new(sending.object->state));
  lua_pushboolean(L, put_request(&sending, deadline));
  return 1;
}

/* ======================================================================= */
/* Await                                                                   */
/* ======================================================================= */

int mts_staterequest_async(lua_State *L)
{
  Sending sending;
  mts_FutureObject *object;
  int index;
  open_sending(&sending, L, 2);
  object = mts_futureobject_push(L);
  index = lua_gettop(L);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  put_request(&sending, MTS_FOREVER);
  object->future = &sending.request->future;
  lua_pushvalue(L, index);
  return 1;
}

/*
** Waits until the deadline for the answer to a request that was put, and
** pushes it.  Returns how many results there are, or -1 if it is not there in
** time: then the request never begins, or goes on unheard.
*/
static int await_answer(const Sending *sending, double deadline)
{
  lua_State *L = sending->L;
  mts_Future *future = &sending->request->future;
  char description[MTS_DESCRIPTION_SIZE];
  const mts_Status status = mts_future_wait(future, deadline);
  if (status == MTS_OK)
    return mts_futureobject_push_answer(L, future);
  mts_state_describe(future->state, description);
  if (mts_future_withdraw(future))
    mts_futureobject_release(L, future); /* for the request */
  mts_futureobject_release(L, future);
  if (status != MTS_BUSY)
    mts_error_raise_status(L, status, description);
  return -1;
}

int mts_staterequest_await(lua_State *L)
{
  Sending sending;
  open_sending(&sending, L, 2);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  put_request(&sending, MTS_FOREVER);
  return await_answer(&sending, MTS_FOREVER);
}

/*
** Puts the request and awaits the answer, both until the deadline; 0: that has
** passed, and nothing begins.  Returns as await_answer.
*/
static int await_until(Sending *sending, double deadline)
{
  const mts_LockWord *word = &sending->object->state->lock.word;
  if (deadline > 0)
    return put_request(sending, deadline) ? await_answer(sending, deadline)
                                          : -1;
  give_up(sending,
          mts_lockword_is_ending(atomic_load(word)) ? MTS_CLOSED : MTS_BUSY);
  return -1;
}

int mts_staterequest_tawait(lua_State *L)
{
  Sending sending;
  double deadline;
  int results;
  open_sending(&sending, L, 3);
  deadline = mts_numbers_deadline(mts_numbers_check_seconds(L, 2));
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  lua_pushboolean(L, true);
  results = await_until(&sending, deadline);
  if (results < 0)
    lua_pushboolean(L, false);
  return results < 0 ? 1 : results + 1;
}

/* ======================================================================= */
/* Stats                                                                   */
/* ======================================================================= */

static void set_field(lua_State *L, const char *name, size_t number)
{
  lua_pushinteger(L, (lua_Integer)number);
  lua_setfield(L, -2, name);
}

int mts_staterequest_stats(lua_State *L)
{
  mts_State *s;
  mts_QueueStats stats;
  mts_Status status;
  size_t owners = 0;
  mts_stateobject_check(L);
  lua_createtable(L, 0, 5);
  s = mts_stateobject_check_live(L)->state; /* finalizers have run */
  lua_pop(L, 1);
  status = mts_registry_count_owners(s, &owners);
  if (status != MTS_OK)
    return mts_error_raise_about(L, status, s);
  stats = mts_queue_stats(s);
  set_field(L, "id", (size_t)s->id);
  if (s->has_name) {
    lua_pushlstring(L, s->name, s->name_length);
    lua_setfield(L, -2, "name");
  }
  set_field(L, "owners", owners);
  set_field(L, "queue", stats.waiting);
  set_field(L, "tasks", stats.is_under_way);
  return 1;
}
