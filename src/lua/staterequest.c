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

#include <stdlib.h>

#include "core/interrupt.h"
#include "core/registry.h"
#include "core/thread.h"
#include "error.h"
#include "lua/arguments.h"
#include "lua/futureobject.h"
#include "lua/numbers.h"
#include "lua/stateobject.h"
#include "lua/userdata.h"
#include "lua/waiting.h"
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
  mts_RaiseArgument raise;
  mts_Request *request;
  mts_Waiting waiting; /* for room, and for the answer */
  mts_State *caller;   /* whose code it is, or NULL */
  lua_State *outer;    /* which Lua thread ran there before */
} Sending;

/* The arguments of the request are those from the index first on. */
static void open_sending(Sending *sending, lua_State *L, int first)
{
  sending->L = L;
  sending->raise = luaL_argerror;
  mts_transfer_scan(&sending->args, L, first);
  sending->object = mts_stateobject_check_live(L);
  lua_pop(L, 1);
  mts_waiting_open(L, &sending->waiting, MTS_FOREVER);
}

/* The timeout for it all is the second argument. */
static void read_timeout(Sending *sending)
{
  sending->waiting.patience.deadline =
      mts_numbers_deadline(mts_numbers_check_seconds(sending->L, 2));
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
    mts_transfer_check_args(&sending->args, sending->raise);
  if (object->is_finalized)
    mts_stateobject_raise_finalized(sending->L);
}

/* The request has been put or freed: nothing is held any more. */
static void end_sending(const Sending *sending)
{
  mts_StateObject *object = sending->object;
  object->calls--;
  mts_stateobject_release(object);
  mts_interrupt_switch(sending->caller, sending->outer);
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
    mts_waiting_raise(sending->L, status, description);
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
    mts_arguments_raise(L, args->first, encoding, &misfit, sending->raise);
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
  sending->caller = mts_stateobject_caller(sending->L, object);
  sending->outer = mts_interrupt_switch(sending->caller, sending->L);
  object->calls++; /* the object keeps the state if it is finalized */
  if (!add_plain_values(&request->future.values, &sending->args))
    encode_args(sending);
}

/* ======================================================================= */
/* The answer                                                              */
/* ======================================================================= */

/* What is done with the request: mts_Pending.method. */
typedef enum Method { SEND, TSEND, ASYNC, AWAIT, TAWAIT } Method;

/*
** Drops the request, whose answer nobody waits for any more.  Unless it goes
** on unheard, it never begins or is cancelled.
*/
static void drop_request(lua_State *L, mts_Future *future, mts_Status status)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  if (status == MTS_CANCELLED)
    (void)mts_future_cancel(future);
  else if (mts_future_withdraw(future))
    mts_future_release(future); /* for the request */
  mts_future_release(future);
  mts_interrupt_switch(host_state, outer);
}

static int return_false(lua_State *L)
{
  lua_pushboolean(L, false);
  return 1;
}

/*
** The wait for the answer is over: returns the results, or false if it is not
** there in time: then the request never begins, or goes on unheard.
*/
static int finish_answer(lua_State *L, mts_Pending *pending, mts_Status status)
{
  mts_Future *future = pending->future;
  const bool is_timed = pending->method == TAWAIT;
  char description[MTS_DESCRIPTION_SIZE];
  if (status == MTS_OK) {
    if (is_timed)
      lua_pushboolean(L, true);
    return is_timed + mts_futureobject_push_answer(L, future);
  }
  mts_state_describe(future->state, description);
  drop_request(L, future, status);
  return status == MTS_BUSY ? return_false(L)
                            : mts_waiting_raise(L, status, description);
}

/* Waits for the answer to a request that was put, and returns it. */
static int await_answer(mts_Waiting *waiting, mts_Pending *pending)
{
  mts_Status status = MTS_OK;
  pending->finish = finish_answer;
  if (!mts_future_is_answered(pending->future)) {
    if (mts_waiting_can_suspend(waiting))
      return mts_waiting_suspend(waiting->L, pending, 0);
    do {
      status = mts_future_wait(pending->future, &waiting->patience);
    } while (mts_waiting_goes_on(waiting, status));
  }
  return finish_answer(waiting->L, pending, status);
}

/* ======================================================================= */
/* Put                                                                     */
/* ======================================================================= */

/*
** The request is in the queue: does what is left to do.  Of an async, the
** object of the future is on top of the stack.
*/
static int finish_put(mts_Waiting *waiting, mts_Request *request,
                      Method method)
{
  lua_State *L = waiting->L;
  mts_Pending pending = {.deadline = waiting->patience.deadline,
                         .future = &request->future,
                         .method = (char)method};
  mts_FutureObject *object;
  switch (method) {
  case SEND:
    return 0;
  case TSEND:
    lua_pushboolean(L, true);
    return 1;
  case ASYNC:
    object = lua_touserdata(L, -1);
    object->future = &request->future;
    return 1;
  case AWAIT:
  case TAWAIT:
    break;
  }
  return await_answer(waiting, &pending);
}

/* The wait of a suspended task for room is over. */
static int finish_room(lua_State *L, mts_Pending *pending, mts_Status status)
{
  mts_State *s = pending->state;
  mts_Request *request = pending->sender->request;
  mts_Waiting waiting;
  char description[MTS_DESCRIPTION_SIZE];
  mts_state_describe(s, description);
  if (!pending->sender->is_granted)
    mts_request_free(request);
  else if (status != MTS_OK && pending->has_future)
    drop_request(L, &request->future, status);
  free(pending->sender);
  mts_state_release(s);
  if (status == MTS_OK) {
    mts_waiting_open(L, &waiting, pending->deadline);
    return finish_put(&waiting, request, (Method)pending->method);
  }
  return status == MTS_BUSY ? return_false(L)
                            : mts_waiting_raise(L, status, description);
}

/* Has the task wait for room. */
static int suspend_for_room(Sending *sending, Method method)
{
  mts_Sender *sender = malloc(sizeof(*sender));
  mts_Pending pending = {.finish = finish_room,
                         .deadline = sending->waiting.patience.deadline,
                         .sender = sender,
                         .state = sending->object->state,
                         .has_future = method >= ASYNC,
                         .method = (char)method};
  if (!sender) {
    give_up(sending, MTS_NO_MEMORY);
    return 0;
  }
  *sender =
      (mts_Sender){.request = sending->request, .wait = &mts_self.task->wait};
  mts_state_retain(pending.state);
  end_sending(sending);
  return mts_waiting_suspend(sending->L, &pending, method == ASYNC ? 1 : 0);
}

/*
** Puts the request into the queue with the thread waiting.  Returns false if
** there was no room in time; raises all other errors.
*/
static bool put_request(Sending *sending)
{
  mts_Status status;
  do {
    status = mts_request_put(sending->request, sending->caller,
                             &sending->waiting.patience);
  } while (mts_waiting_goes_on(&sending->waiting, status));
  if (status == MTS_OK)
    end_sending(sending);
  else
    give_up(sending, status);
  return status == MTS_OK;
}

/* Puts the request into the queue, and does what is left to do. */
static int put_and_finish(Sending *sending, Method method)
{
  const double deadline = sending->waiting.patience.deadline;
  const mts_Patience none = mts_patience_until(0);
  const mts_Status status =
      mts_request_put(sending->request, sending->caller, &none);
  if (status == MTS_BUSY && deadline > 0) {
    if (mts_waiting_can_suspend(&sending->waiting))
      return suspend_for_room(sending, method);
    if (!put_request(sending))
      return return_false(sending->L);
  }
  else if (status != MTS_OK) {
    give_up(sending, status);
    return return_false(sending->L);
  }
  else
    end_sending(sending);
  return finish_put(&sending->waiting, sending->request, method);
}

/* ======================================================================= */
/* Methods                                                                 */
/* ======================================================================= */

/* Raises an error, before anything is sent, if the code must not wait. */
static void check_may_wait(const Sending *sending)
{
  if (mts_wait_is_refused(&sending->waiting.patience))
    mts_waiting_raise(sending->L, MTS_ENDING, "");
}

int mts_staterequest_send(lua_State *L)
{
  Sending sending;
  open_sending(&sending, L, 2);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new(sending.object->state));
  return put_and_finish(&sending, SEND);
}

int mts_staterequest_tsend(lua_State *L)
{
  Sending sending;
  open_sending(&sending, L, 3);
  read_timeout(&sending);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new(sending.object->state));
  return put_and_finish(&sending, TSEND);
}

int mts_staterequest_ask(lua_State *L, int first, mts_RaiseArgument raise)
{
  Sending sending;
  int index;
  open_sending(&sending, L, first);
  sending.raise = raise;
  mts_futureobject_push(L);
  index = lua_gettop(L);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  lua_pushvalue(L, index);
  return put_and_finish(&sending, ASYNC);
}

int mts_staterequest_async(lua_State *L)
{
  return mts_staterequest_ask(L, 2, luaL_argerror);
}

int mts_staterequest_await(lua_State *L)
{
  Sending sending;
  open_sending(&sending, L, 2);
  check_may_wait(&sending);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  return put_and_finish(&sending, AWAIT);
}

int mts_staterequest_tawait(lua_State *L)
{
  Sending sending;
  const mts_LockWord *word;
  open_sending(&sending, L, 3);
  read_timeout(&sending);
  check_may_wait(&sending);
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  if (sending.waiting.patience.deadline > 0)
    return put_and_finish(&sending, TAWAIT);
  word = &sending.object->state->lock.word; /* nothing begins */
  give_up(&sending,
          mts_lockword_is_ending(atomic_load(word)) ? MTS_CLOSED : MTS_BUSY);
  return return_false(L);
}

/* ======================================================================= */
/* Calls of a state that has a thread of its own                           */
/* ======================================================================= */

/*
** Whether the thread that runs s, another one, has other things to do: it does
** not begin a call at once.
*/
static bool runs_when_it_likes(const mts_State *s)
{
  return s->is_host && atomic_load(&s->own_thread) != mts_thread_id();
}

/*
** Waits until the thread of the state has begun the call, and for its results,
** which it pushes.  Returns how many there are, or -1 if the thread did not
** begin in time.
*/
static int await_call(Sending *sending)
{
  lua_State *L = sending->L;
  mts_Request *request = sending->request;
  mts_Future *future = &request->future;
  mts_Patience *patience = &sending->waiting.patience;
  mts_Pending pending = {.future = future, .method = AWAIT};
  const bool begins = request->is_first && !runs_when_it_likes(future->state);
  mts_Status status = MTS_BUSY;
  if (patience->deadline > 0 && !begins)
    do {
      status = mts_future_wait(future, patience);
    } while (mts_waiting_goes_on(&sending->waiting, status));
  if (status == MTS_BUSY && !begins && mts_future_withdraw(future)) {
    mts_futureobject_release(L, future);
    mts_futureobject_release(L, future);
    return -1;
  }
  patience->deadline = MTS_FOREVER; /* that was for getting in */
  while (status == MTS_BUSY) {
    do {
      status = mts_future_wait(future, patience);
    } while (mts_waiting_goes_on(&sending->waiting, status));
  }
  return finish_answer(L, &pending, status);
}

int mts_staterequest_call(lua_State *L, int first, double timeout)
{
  Sending sending;
  open_sending(&sending, L, first);
  sending.waiting.patience.deadline = mts_numbers_deadline(timeout);
  sending.waiting.patience.host = NULL; /* it goes on until it is back */
  examine_args(&sending);
  begin_sending(&sending, mts_request_new_asked(sending.object->state));
  sending.request->is_call = true;
  put_request(&sending);
  return await_call(&sending);
}
