/*
** signals: what specs about signals need: who has the handler of a signal,
** taking one like any other library would, blocking all signals in the
** calling thread, the masks of the module's own threads, a system call that
** waits, and a process that forks.
*/
#define _GNU_SOURCE

#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "async_util.h"
#include "core/signal.h"

SUPPORT_EXPORT int luaopen_signals(lua_State *L);

static atomic_int taken, bytes_read;

static void count_signal(int number)
{
  (void)number;
  atomic_fetch_add(&taken, 1);
}

/* signals.handler(number): "default", "ignored", "taken" (by take), "other" */
static int handler(lua_State *L)
{
  struct sigaction action;
  if (sigaction((int)luaL_checknumber(L, 1), NULL, &action) != 0) {
    return luaL_error(L, "no such signal");
  }
  lua_pushstring(L, action.sa_handler == SIG_DFL        ? "default"
                    : action.sa_handler == SIG_IGN      ? "ignored"
                    : action.sa_handler == count_signal ? "taken"
                                                        : "other");
  return 1;
}

/* signals.take(number): a handler that counts */
static int take(lua_State *L)
{
  struct sigaction action = {.sa_handler = count_signal};
  if (sigaction((int)luaL_checknumber(L, 1), &action, NULL) != 0) {
    return luaL_error(L, "no such signal");
  }
  return 0;
}

/* signals.count(): how often it ran */
static int count(lua_State *L)
{
  lua_pushinteger(L, atomic_load(&taken));
  return 1;
}

/* signals.range(): the first and the last real-time signal */
static int range(lua_State *L)
{
  lua_pushinteger(L, SIGRTMIN);
  lua_pushinteger(L, SIGRTMAX);
  return 2;
}

/* signals.block(yes [, number]): all signals, or that one, in this thread */
static int block(lua_State *L)
{
  sigset_t set;
  sigfillset(&set);
  if (!lua_isnoneornil(L, 2)) {
    sigemptyset(&set);
    sigaddset(&set, (int)luaL_checkinteger(L, 2));
  }
  pthread_sigmask(lua_toboolean(L, 1) ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
  return 0;
}

/*
** signals.swallow(): waits for a real-time signal, which is blocked, as code
** does that has handlers for none; then blocks no signals.
*/
static int swallow(lua_State *L)
{
  sigset_t set;
  int number;
  sigemptyset(&set);
  for (number = SIGRTMIN; number <= SIGRTMAX; number++)
    sigaddset(&set, number);
  while (sigwaitinfo(&set, NULL) < 0) {
  }
  lua_pushboolean(L, false);
  lua_replace(L, 1);
  lua_settop(L, 1);
  return block(L);
}

/* What a thread of the module blocks of SIGINT, SIGUSR1 and SIGUSR2. */
typedef struct Masks {
  char at_start[4], in_lua[4], parked[4];
} Masks;

static void read_mask(char blocked[4])
{
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  snprintf(blocked, 4, "%c%c%c", sigismember(&mask, SIGINT) ? 'i' : '-',
           sigismember(&mask, SIGUSR1) ? '1' : '-',
           sigismember(&mask, SIGUSR2) ? '2' : '-');
}

static void *read_masks(void *data)
{
  Masks *masks = data;
  read_mask(masks->at_start);
  mts_signal_unblock();
  read_mask(masks->in_lua);
  mts_signal_block_all();
  read_mask(masks->parked);
  return NULL;
}

static void ignore_signal(void)
{
}

/*
** signals.masks(is_blocked): the masks of a thread of src/core/signal.c, which
** is linked into this module, too, when SIGUSR1 and SIGUSR2 were blocked, or
** not, as it was opened.
*/
static int masks_of_thread(lua_State *L)
{
  Masks masks;
  mts_ThreadHandle thread;
  sigset_t both;
  sigemptyset(&both);
  sigaddset(&both, SIGUSR1);
  sigaddset(&both, SIGUSR2);
  pthread_sigmask(lua_toboolean(L, 1) ? SIG_BLOCK : SIG_UNBLOCK, &both, NULL);
  if (!mts_signal_open(ignore_signal))
    return luaL_error(L, "no such signal");
  pthread_sigmask(SIG_UNBLOCK, &both, NULL);
  if (!mts_async_start_thread(read_masks, &masks, (size_t)1 << 20, &thread))
    return luaL_error(L, "no thread");
  mts_async_join_thread(thread);
  lua_pushfstring(L, "%s %s %s", masks.at_start, masks.in_lua, masks.parked);
  return 1;
}

/* signals.pipe(): its ends, to read from and to write to */
static int make_pipe(lua_State *L)
{
  int ends[2];
  if (pipe(ends) != 0) {
    return luaL_error(L, "no pipe");
  }
  lua_pushinteger(L, ends[0]);
  lua_pushinteger(L, ends[1]);
  return 2;
}

/*
** signals.read(pipe): waits for one byte. What came is kept here: an interrupt
** hits the caller as soon as this returns.
*/
static int read_byte(lua_State *L)
{
  char byte;
  int number = (int)luaL_checknumber(L, 1);
  atomic_store(&bytes_read, (int)read(number, &byte, 1));
  return 0;
}

/* signals.bytes_read(): what the last read came back with */
static int last_read(lua_State *L)
{
  lua_pushinteger(L, atomic_load(&bytes_read));
  return 1;
}

/* signals.write(pipe) */
static int write_byte(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)write((int)luaL_checknumber(L, 1), "x", 1));
  return 1;
}

/*
** signals.read_and_unhook(pipe): waits for one byte, then removes the hook of
** the running Lua thread, as if it got lost.
*/
static int read_and_unhook(lua_State *L)
{
  (void)read_byte(L);
  lua_sethook(L, NULL, 0, 0);
  return 0;
}

/* signals.fork(): nil in the child; in the parent the child's exit status */
static int fork_and_wait(lua_State *L)
{
  int status = 0;
  pid_t child = fork();
  if (child < 0) {
    return luaL_error(L, "cannot fork");
  }
  if (child == 0) {
    lua_pushnil(L);
    return 1;
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return 1;
}

static const luaL_Reg functions[] = {
    {"handler", handler},       {"take", take},
    {"count", count},           {"range", range},
    {"block", block},           {"swallow", swallow},
    {"masks", masks_of_thread}, {"pipe", make_pipe},
    {"read", read_byte},        {"read_and_unhook", read_and_unhook},
    {"bytes_read", last_read},  {"write", write_byte},
    {"fork", fork_and_wait},    {NULL, NULL}};

int luaopen_signals(lua_State *L)
{
  support_pin(L, &taken); /* it can have a handler */
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
