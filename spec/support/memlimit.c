/*
** memlimit: makes the allocator of the running Lua state refuse, so that
** specs see what happens when memory is out, at a point of their choice.
**
** The state's own allocator stays in use behind a wrapper, which refuses
** blocks above a size, or every new block after a number of them. The wrapper
** stays installed for the life of the state; allow() makes it let all pass.
** The module pins itself: lua_close unloads modules before the last block.
*/
#define _GNU_SOURCE

#include "support.h"

#include <pthread.h>
#include <stdlib.h>

SUPPORT_EXPORT int luaopen_memlimit(lua_State *L);

typedef struct Limit {
  struct Limit *next;
  lua_Alloc alloc;
  void *ud;
  size_t largest;
  long remaining; /* allocations until all are refused; < 0: no limit */
} Limit;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Limit *limits; /* guarded by lock; keeps all reachable */

static void *limited_alloc(void *ud, void *block, size_t osize, size_t nsize)
{
  Limit *limit = ud;
  int grows = nsize > 0 && (block == NULL || nsize > osize);
  if (grows && nsize > limit->largest) {
    return NULL;
  }
  if (grows && limit->remaining == 0) {
    return NULL;
  }
  if (grows && limit->remaining > 0) {
    limit->remaining--;
  }
  return limit->alloc(limit->ud, block, osize, nsize);
}

/*
** The limit of this state, installed when it is new. It is never freed: the
** state needs it until the last block of lua_close.
*/
static Limit *limit_of(lua_State *L)
{
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  if (alloc == limited_alloc) {
    return ud;
  }
  Limit *limit = malloc(sizeof *limit);
  if (limit == NULL) {
    luaL_error(L, "memlimit: no memory");
    return NULL;
  }
  limit->alloc = alloc;
  limit->ud = ud;
  limit->largest = (size_t)-1;
  limit->remaining = -1;
  pthread_mutex_lock(&lock);
  limit->next = limits;
  limits = limit;
  pthread_mutex_unlock(&lock);
  lua_setallocf(L, limited_alloc, limit);
  return limit;
}

/* memlimit.refuse_larger(n): no block above n bytes. */
static int refuse_larger(lua_State *L)
{
  lua_Number size = luaL_checknumber(L, 1);
  limit_of(L)->largest = (size_t)size;
  return 0;
}

/* memlimit.refuse_after(n): n more blocks, then none. */
static int refuse_after(lua_State *L)
{
  lua_Number count = luaL_checknumber(L, 1);
  limit_of(L)->remaining = (long)count;
  return 0;
}

/* memlimit.allow(): everything again. */
static int allow(lua_State *L)
{
  Limit *limit = limit_of(L);
  limit->largest = (size_t)-1;
  limit->remaining = -1;
  return 0;
}

/* memlimit.allow_everywhere(): in all states; none of them may be running. */
static int allow_everywhere(lua_State *L)
{
  (void)L;
  pthread_mutex_lock(&lock);
  for (Limit *limit = limits; limit != NULL; limit = limit->next) {
    limit->largest = (size_t)-1;
    limit->remaining = -1;
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

static const luaL_Reg functions[] = {{"refuse_larger", refuse_larger},
                                     {"refuse_after", refuse_after},
                                     {"allow", allow},
                                     {"allow_everywhere", allow_everywhere},
                                     {NULL, NULL}};

int luaopen_memlimit(lua_State *L)
{
  support_pin(L, &lock);
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
