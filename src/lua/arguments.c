/*
** arguments.c - arguments for services as messages
**
** A message can hold states, and to free it can close them, so the host state
** has to know meanwhile what runs there (see stateobject.c).
**
** Takes no locks of its own.
*/
#include "lua/arguments.h"

#include "core/interrupt.h"
#include "error.h"
#include "lua/userdata.h"

#define MESSAGE_CLASS "mtstates.message"

void mts_arguments_free(lua_State *L, mts_Message *message)
{
  if (message->handles) {
    mts_State *host_state = mts_userdata_state(L);
    lua_State *outer = mts_interrupt_switch(host_state, L);
    mts_codec_free(message);
    mts_interrupt_switch(host_state, outer);
  }
  else
    mts_codec_free(message);
}

static int collect_message(lua_State *L)
{
  mts_Message *message = mts_userdata_to(L);
  if (message)
    mts_arguments_free(L, message);
  return 0;
}

static const luaL_Reg message_metamethods[] = {{"__gc", collect_message},
                                               {NULL, NULL}};

void mts_arguments_open(lua_State *L)
{
  luaL_newmetatable(L, MESSAGE_CLASS);
  lua_pushvalue(L, -2);
  lua_insert(L, -2);
  lua_pushvalue(L, -1);
  mts_userdata_set_functions(L, message_metamethods);
  lua_pop(L, 3);
}

mts_Message *mts_arguments_push(lua_State *L)
{
  mts_Message *message = lua_newuserdatauv(L, sizeof(*message), 0);
  *message = (mts_Message){0};
  luaL_setmetatable(L, MESSAGE_CLASS);
  return message;
}

/* As mts_encode; the message is freed unless that returns MTS_ENCODED. */
static mts_Encoding encode_values(lua_State *L, const mts_Encodable *values,
                                  mts_Message *message, mts_Misfit *misfit)
{
  mts_State *host_state = mts_userdata_state(L);
  lua_State *outer = mts_interrupt_switch(host_state, L);
  const mts_Encoding encoding = mts_encode(values, message, misfit);
  if (encoding != MTS_ENCODED)
    mts_codec_free(message);
  mts_interrupt_switch(host_state, outer);
  return encoding;
}

void mts_arguments_encode(lua_State *L, int first, int count,
                          mts_Message *message)
{
  const mts_Encodable arguments = {.L = L,
                                   .first = first,
                                   .count = count,
                                   .style = MTS_WAY_OF_ARGUMENT,
                                   .holds_strings = true};
  mts_Misfit misfit;
  const mts_Encoding encoding = encode_values(L, &arguments, message, &misfit);
  if (encoding != MTS_ENCODED)
    mts_arguments_raise(L, first, encoding, &misfit, luaL_argerror);
}

mts_Encoding mts_arguments_try(lua_State *L, int first, int count,
                               mts_Message *message, mts_Misfit *misfit)
{
  const mts_Encodable arguments = {
      .L = L, .first = first, .count = count, .style = MTS_WAY_OF_ARGUMENT};
  return encode_values(L, &arguments, message, misfit);
}

int mts_arguments_raise(lua_State *L, int first, mts_Encoding encoding,
                        const mts_Misfit *misfit, mts_RaiseArgument raise)
{
  if (encoding == MTS_ENCODING_NO_MEMORY)
    return mts_error_raise(L, MTS_ERROR_OUT_OF_MEMORY, "not enough memory");
  if (encoding != MTS_ENCODING_MISFIT)
    return lua_error(L);
  lua_pushfstring(L, "%s%s%s cannot be transferred to another state",
                  misfit->way, *misfit->way != '\0' ? ": " : "", misfit->what);
  return raise(L, first + misfit->number - 1, lua_tostring(L, -1));
}
