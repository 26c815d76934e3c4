/*
** slabs: a slab of src/base/slab.c, for specs, which drive it at random and
** look at all of its memory. What it takes from malloc and from the system is
** counted, and can be refused.
*/
#define _GNU_SOURCE

#include "support.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static long taken;   /* pieces of memory, less what has been given back */
static bool refuses; /* whatever is asked for */

static void *counted_malloc(size_t size)
{
  void *memory = refuses ? NULL : malloc(size);
  taken += memory != NULL;
  return memory;
}

static void *counted_realloc(void *memory, size_t size)
{
  return refuses ? NULL : realloc(memory, size);
}

static void counted_free(void *memory)
{
  taken -= memory != NULL;
  free(memory);
}

#define malloc counted_malloc
#define realloc counted_realloc
#define free counted_free
#include "base/pages.c"

static long mapped; /* bytes */

static void *counted_map(size_t size)
{
  void *memory = refuses ? NULL : mts_pages_map(size);
  mapped += memory ? (long)size : 0;
  return memory;
}

static void counted_unmap(void *memory, size_t size)
{
  mapped -= (long)size;
  mts_pages_unmap(memory, size);
}

#define mts_pages_map counted_map
#define mts_pages_unmap counted_unmap
#include "base/slab.c"
#include "base/slabpages.c"
#undef mts_pages_map
#undef mts_pages_unmap
#undef malloc
#undef realloc
#undef free

SUPPORT_EXPORT int luaopen_slabs(lua_State *L);

#define MOST 400000

/* A block is full of bytes that tell which one it is. */
static struct {
  unsigned char *memory; /* NULL: none */
  size_t size;
} blocks[MOST];

static mts_Slab *slab;
static size_t in_use;

static unsigned char mark_of(long number)
{
  return (unsigned char)(number * 7 + 1);
}

static void check_block(lua_State *L, long number)
{
  size_t i;
  if ((uintptr_t)blocks[number].memory % 16 != 0)
    luaL_error(L, "block %d is not aligned", (int)number);
  for (i = 0; i < blocks[number].size; i++)
    if (blocks[number].memory[i] != mark_of(number))
      luaL_error(L, "block %d was overwritten at %d", (int)number, (int)i);
}

static void put_block(lua_State *L, long number)
{
  check_block(L, number);
  in_use -= blocks[number].size;
  mts_slab_put(slab, blocks[number].memory, blocks[number].size, in_use);
  blocks[number].memory = NULL;
}

static bool get_block(long number, size_t size)
{
  unsigned char *memory = mts_slab_get(slab, size, in_use);
  if (!memory)
    return false;
  memset(memory, mark_of(number), size);
  blocks[number].memory = memory;
  blocks[number].size = size;
  in_use += size;
  return true;
}

static bool resize_block(lua_State *L, long number, size_t size)
{
  size_t old_size = blocks[number].size;
  unsigned char *memory;
  check_block(L, number);
  memory = mts_slab_resize(slab, blocks[number].memory, old_size, size,
                           in_use - old_size);
  if (!memory) {
    if (size <= old_size)
      luaL_error(L, "block %d cannot get smaller", (int)number);
    return false;
  }
  blocks[number].memory = memory;
  if (size < old_size)
    blocks[number].size = size;
  check_block(L, number);
  memset(memory, mark_of(number), size);
  blocks[number].size = size;
  in_use += size - old_size;
  return true;
}

static long check_number(lua_State *L, int arg)
{
  lua_Integer number = luaL_checkinteger(L, arg);
  luaL_argcheck(L, number >= 0 && number < MOST, arg, "no block");
  return (long)number;
}

/* open(): a slab without blocks. */
static int slabs_open(lua_State *L)
{
  memset(blocks, 0, sizeof blocks);
  in_use = 0;
  refuses = false;
  slab = mts_slab_new();
  if (!slab)
    return luaL_error(L, "no memory");
  return 0;
}

/* close() -> pieces of malloc's memory, and bytes that are mapped still. */
static int slabs_close(lua_State *L)
{
  long number;
  for (number = 0; number < MOST; number++)
    if (blocks[number].memory)
      put_block(L, number);
  mts_slab_delete(slab);
  slab = NULL;
  lua_pushinteger(L, taken);
  lua_pushinteger(L, mapped);
  return 2;
}

/* get(number, size) -> whether there was memory */
static int slabs_get(lua_State *L)
{
  long number = check_number(L, 1);
  size_t size = (size_t)luaL_checkinteger(L, 2);
  if (blocks[number].memory)
    lua_pushboolean(L, resize_block(L, number, size));
  else
    lua_pushboolean(L, get_block(number, size));
  return 1;
}

/* put(number) */
static int slabs_put(lua_State *L)
{
  put_block(L, check_number(L, 1));
  return 0;
}

/* fill(first, last, step, size): gets these blocks, as far as there is memory
*/
static int slabs_fill(lua_State *L)
{
  long last = check_number(L, 2), number;
  long step = (long)luaL_checkinteger(L, 3);
  size_t size = (size_t)luaL_checkinteger(L, 4);
  for (number = check_number(L, 1); number <= last; number += step)
    if (!get_block(number, size))
      break;
  return 0;
}

/* drop(first, last): puts those of these blocks that there are. */
static int slabs_drop(lua_State *L)
{
  long last = check_number(L, 2), number;
  for (number = check_number(L, 1); number <= last; number++)
    if (blocks[number].memory)
      put_block(L, number);
  return 0;
}

/* refuse(boolean) */
static int slabs_refuse(lua_State *L)
{
  refuses = lua_toboolean(L, 1);
  return 0;
}

static size_t rounded(size_t size)
{
  return size <= MTS_SLAB_MOST ? mts_slab_class_size(MTS_SLAB_CLASS(size)) : 0;
}

/* Bytes of the free blocks, each of which has to be where blocks can be. */
static size_t free_bytes(lua_State *L)
{
  size_t class, sum = 0;
  mts_SlabBlock *block;
  for (class = 1; class < MTS_SLAB_CLASSES; class ++)
    for (block = slab->unused[class]; block; block = block->next) {
      if ((uintptr_t)block % 16 != 0)
        luaL_error(L, "a free block is not aligned");
      if (!mts_slab_is_in_small_chunk(slab, block) &&
          ((uintptr_t)block & (PAGE - 1)) + mts_slab_class_size(class) > PAGE)
        luaL_error(L, "a free block crosses the border of a page");
      sum += mts_slab_class_size(class);
    }
  return sum;
}

/* Bytes of all pages and small chunks that can be of blocks. */
static size_t all_bytes(lua_State *L)
{
  size_t sum = 0, pages = 0, index;
  SmallChunk *small;
  Chunk *chunk;
  for (small = slab->small; small; small = small->next) {
    sum += (size_t)((char *)small - small->begin);
    if (small->begin == (char *)slab)
      sum -= (sizeof *slab + 15) / 16 * 16;
  }
  for (chunk = slab->chunks; chunk; chunk = chunk->next) {
    size_t used = 0;
    for (index = 0; index < chunk->pages; index++)
      if (is_used(chunk, index)) {
        Page *page = page_at(chunk, index);
        if (page->taken != header_size(page))
          luaL_error(L, "a page is taken by more than its header");
        sum += PAGE - page->taken;
        used++;
      }
    if (used != chunk->used_pages || used == 0)
      luaL_error(L, "%d pages of a chunk are in use, not %d", (int)used,
                 (int)chunk->used_pages);
    pages += used;
  }
  if (pages != slab->pages)
    luaL_error(L, "there are %d pages, not %d", (int)pages, (int)slab->pages);
  return sum;
}

/* check() -> pages; raises if a byte is nobody's, or of two. */
static int slabs_check(lua_State *L)
{
  size_t used = 0, sum = 0, large = 0, available;
  long number;
  for (number = 0; number < MOST; number++)
    if (blocks[number].memory) {
      check_block(L, number);
      used += rounded(blocks[number].size);
      sum += blocks[number].size;
      if (blocks[number].size > MTS_SLAB_MOST)
        large += blocks[number].size;
    }
  available = free_bytes(L) + (size_t)(slab->rest_end - slab->rest);
  if (used + available != all_bytes(L))
    return luaL_error(L, "%d bytes in use and %d free are not all %d",
                      (int)used, (int)available, (int)all_bytes(L));
  if (sum != in_use || large != slab->large)
    return luaL_error(L, "%d large bytes, not %d", (int)slab->large,
                      (int)large);
  lua_pushinteger(L, (lua_Integer)slab->pages);
  return 1;
}

/*
** release() -> which pages of eight are empty when memory that begins within
** the second one and ends within the seventh has been given back: "00111100"
*/
static int slabs_release(lua_State *L)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), i;
  char empty[9] = "";
  char *memory = mts_pages_map(8 * page);
  if (!memory)
    return luaL_error(L, "no memory");
  memset(memory, 1, 8 * page);
  mts_pages_release(memory + page + 1, 5 * page);
  for (i = 0; i < 8; i++)
    empty[i] =
        memory[i * page] == 1 && memory[(i + 1) * page - 1] == 1 ? '0' : '1';
  mts_pages_unmap(memory, 8 * page);
  lua_pushstring(L, empty);
  return 1;
}

int luaopen_slabs(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"open", slabs_open},       {"close", slabs_close},
      {"get", slabs_get},         {"put", slabs_put},
      {"fill", slabs_fill},       {"drop", slabs_drop},
      {"check", slabs_check},     {"refuse", slabs_refuse},
      {"release", slabs_release}, {NULL, NULL},
  };
  lua_newtable(L);
  support_set_functions(L, functions);
  return 1;
}
