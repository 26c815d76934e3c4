/*
** A second C stack for the calling OS thread, as hosts have them that run
** each coroutine on a C stack of its own.
**
** stacks.prepare(f)  f runs there, in a Lua thread of its own, from the next
**                    switch on
** stacks.switch()    goes on on the other stack; code of any Lua state can
**                    call it. When f has ended the first stack goes on.
** stacks.ended()     whether f has ended well; nil: not yet
** stacks.wipe(n)     fills what is free of the running stack with numbers n
*/
#define _GNU_SOURCE

#include "support.h"

#include <stdbool.h>
#include <stdlib.h>
#include <ucontext.h>

SUPPORT_EXPORT int luaopen_stacks(lua_State *L);

#define STACK_SIZE ((size_t)1024 * 1024)

static ucontext_t first, second;
static char *stack;
static lua_State *runner;
static bool is_on_second, has_ended, is_ok;

static void run(void)
{
  is_ok = lua_pcall(runner, 0, 0, 0) == 0;
  has_ended = true;
  is_on_second = false; /* uc_link goes on there */
}

static int prepare(lua_State *L)
{
  if (stack == NULL) {
    support_pin(L, &stack);
    stack = malloc(STACK_SIZE);
  }
  runner = lua_newthread(L);
  lua_setfield(L, LUA_REGISTRYINDEX, "stacks");
  lua_pushvalue(L, 1);
  lua_xmove(L, runner, 1);
  getcontext(&second);
  second.uc_stack.ss_sp = stack;
  second.uc_stack.ss_size = STACK_SIZE;
  second.uc_link = &first;
  makecontext(&second, run, 0);
  has_ended = is_on_second = false;
  return 0;
}

static int switch_stacks(lua_State *L)
{
  (void)L;
  is_on_second = !is_on_second;
  if (is_on_second) {
    swapcontext(&first, &second);
  }
  else {
    swapcontext(&second, &first);
  }
  return 0;
}

static int ended(lua_State *L)
{
  if (!has_ended) {
    return 0;
  }
  lua_pushboolean(L, is_ok);
  return 1;
}

static int wipe(lua_State *L)
{
  volatile int words[16 * 1024];
  const int number = (int)luaL_checknumber(L, 1);
  size_t i;
  for (i = 0; i < sizeof words / sizeof *words; i++) {
    words[i] = number;
  }
  return 0;
}

int luaopen_stacks(lua_State *L)
{
  static const luaL_Reg functions[] = {{"prepare", prepare},
                                       {"switch", switch_stacks},
                                       {"ended", ended},
                                       {"wipe", wipe},
                                       {NULL, NULL}};
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
