/*
** blocks: what src/base/blocks.c does with blocks and with malloc, for specs.
** Blocks are numbered from 1 on.
*/
#define _GNU_SOURCE

#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_long taken; /* from malloc, less what has been freed */

static void *counted_malloc(size_t size)
{
  atomic_fetch_add(&taken, 1);
  return malloc(size);
}

static void counted_free(void *memory)
{
  atomic_fetch_sub(&taken, 1);
  free(memory);
}

/* Blocks in a thread's pool are no leak, but gcc's analyser takes them for one
** when it sees both files at once. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

#define malloc counted_malloc
#define free counted_free
#undef __SANITIZE_ADDRESS__ /* it is the pools that the specs are about */
#undef MTS_NO_BLOCK_CACHE
#include "base/blocks.c"
#undef malloc
#undef free

SUPPORT_EXPORT int luaopen_blocks(lua_State *L);

#define MOST 10000

static unsigned char *blocks[MOST + 1];

/* What a thread does with the blocks first, ..., last. */
typedef struct Work {
  int first, last;
  int count; /* gives and takes that often */
} Work;

static void *put_blocks(void *data)
{
  const Work *work = data;
  int i;
  for (i = work->first; i <= work->last; i++) {
    mts_blocks_put(blocks[i]);
    blocks[i] = NULL;
  }
  return NULL;
}

/* Fills each block with what depends on its number. */
static void *get_blocks(void *data)
{
  const Work *work = data;
  int i;
  for (i = work->first; i <= work->last; i++) {
    blocks[i] = mts_blocks_get();
    if (blocks[i]) {
      memset(blocks[i], i % 251, MTS_BLOCK_SIZE);
    }
  }
  return NULL;
}

static void *exchange_blocks(void *data)
{
  const Work *work = data;
  int i;
  for (i = 0; i < work->count; i++) {
    Work part = *work;
    part.last = work->first + (i * 7) % (work->last - work->first + 1);
    put_blocks(&part);
    get_blocks(&part);
  }
  return NULL;
}

static Work check_work(lua_State *L)
{
  Work work = {.first = (int)luaL_checknumber(L, 1),
               .last = (int)luaL_checknumber(L, 2)};
  luaL_argcheck(L, work.first >= 1, 1, "number of a block expected");
  luaL_argcheck(L, work.last <= MOST, 2, "number of a block expected");
  return work;
}

/* blocks.get(first, last), blocks.put(first, last): in this thread. */
static int get(lua_State *L)
{
  Work work = check_work(L);
  get_blocks(&work);
  return 0;
}

static int put(lua_State *L)
{
  Work work = check_work(L);
  put_blocks(&work);
  return 0;
}

static void run_in_thread(lua_State *L, void *(*function)(void *), Work *work)
{
  pthread_t thread;
  if (pthread_create(&thread, NULL, function, work) != 0) {
    luaL_error(L, "no thread");
  }
  pthread_join(thread, NULL);
}

/* blocks.thread_gets(first, last), ...: in a thread that ends then. */
static int thread_gets(lua_State *L)
{
  Work work = check_work(L);
  run_in_thread(L, get_blocks, &work);
  return 0;
}

static int thread_puts(lua_State *L)
{
  Work work = check_work(L);
  run_in_thread(L, put_blocks, &work);
  return 0;
}

/*
** blocks.exchange(first, last, count): four threads share these blocks, and
** each gives some of its own back and gets others, that often.
*/
static int exchange(lua_State *L)
{
  Work work = check_work(L);
  Work parts[4];
  pthread_t threads[4];
  int share = (work.last - work.first + 1) / 4;
  int i;
  for (i = 0; i < 4; i++) {
    parts[i].first = work.first + i * share;
    parts[i].last = parts[i].first + share - 1;
    parts[i].count = (int)luaL_checknumber(L, 3);
    if (pthread_create(&threads[i], NULL, exchange_blocks, &parts[i]) != 0) {
      return luaL_error(L, "no thread");
    }
  }
  for (i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
  return 0;
}

/* blocks.taken(): what malloc gave and has not got back, pools included. */
static int count_taken(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)atomic_load(&taken));
  return 1;
}

/* blocks.intact(first, last): whether they are as they were filled. */
static int intact(lua_State *L)
{
  Work work = check_work(L);
  int is_intact = 1;
  int i, k;
  for (i = work.first; i <= work.last; i++) {
    for (k = 0; k < MTS_BLOCK_SIZE; k++) {
      is_intact &= blocks[i] && blocks[i][k] == i % 251;
    }
  }
  lua_pushboolean(L, is_intact);
  return 1;
}

static pthread_key_t late_key;

static void put_late(void *data)
{
  put_blocks(data);
}

static void *put_at_end(void *data)
{
  void *block = mts_blocks_get();
  if (block)
    mts_blocks_put(block);
  pthread_setspecific(late_key, data);
  return NULL;
}

/* Returns: how many keys the system had. */
static int take_keys(void)
{
  pthread_key_t key;
  int count = 0;
  while (pthread_key_create(&key, NULL) == 0) {
    count++;
  }
  return count;
}

/*
** blocks.ends_with_puts(first, last): in a thread that has a pool, puts them
** in the destructor of a key that is made later than the one of the pool.
*/
static int ends_with_puts(lua_State *L)
{
  Work work = check_work(L);
  if (pthread_key_create(&late_key, put_late) != 0) {
    return luaL_error(L, "no key");
  }
  run_in_thread(L, put_at_end, &work);
  pthread_key_delete(late_key);
  return 0;
}

/* blocks.take_keys(): none is left. */
static int take_all_keys(lua_State *L)
{
  lua_pushinteger(L, take_keys());
  return 1;
}

/* blocks.hold_depot(is_held): another thread would be in it. */
static int hold_depot(lua_State *L) MTS_UNCHECKED
{
  if (lua_toboolean(L, 1)) {
    mts_mutex_lock(&depot_mutex);
  }
  else {
    mts_mutex_unlock(&depot_mutex);
  }
  return 0;
}

static const luaL_Reg functions[] = {{"get", get},
                                     {"put", put},
                                     {"thread_gets", thread_gets},
                                     {"thread_puts", thread_puts},
                                     {"exchange", exchange},
                                     {"taken", count_taken},
                                     {"intact", intact},
                                     {"ends_with_puts", ends_with_puts},
                                     {"take_keys", take_all_keys},
                                     {"hold_depot", hold_depot},
                                     {NULL, NULL}};

int luaopen_blocks(lua_State *L)
{
  support_pin(L, blocks);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
