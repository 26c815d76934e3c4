/*
** walk.c - the way through nested values, to any depth
**
** Takes no locks: a walk is used by one thread.
*/
#include "value/walk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* So many slots are on the stack at most. */
#define WINDOW MTS_DEEP_STACK

void mts_walk_open(mts_Walk *walk, lua_State *L)
{
  walk->L = L;
  walk->limit = 0;
  walk->older = 0;
  walk->spilled = 0;
  walk->has_older = false;
  walk->depth = 0;
  walk->capacity = MTS_FIRST_FRAMES;
  walk->frames = walk->first_frames;
}

void mts_walk_close(mts_Walk *walk)
{
  if (walk->frames != walk->first_frames)
    free(walk->frames);
  walk->frames = walk->first_frames;
}

/* Moves the older slots, all but a quarter, into the table. */
static void spill(mts_Walk *walk, int top)
{
  lua_State *L = walk->L;
  const int used = top - walk->base + 1;
  const int count = used - used / 4;
  int i;
  if (lua_isnil(L, walk->older)) {
    lua_newtable(L);
    lua_replace(L, walk->older);
  }
  walk->has_older = true;
  for (i = 0; i < count; i++) {
    lua_pushvalue(L, walk->base + i);
    lua_rawseti(L, walk->older, (int)(walk->spilled + (size_t)i + 1));
  }
  walk->spilled += (size_t)count;
  for (i = walk->base + count; i <= top; i++)
    lua_copy(L, i, i - count);
  lua_settop(L, top - count);
}

bool mts_walk_extend(mts_Walk *walk, int top, int size)
{
  /* For one more value, too: spill pushes it. */
  if (!lua_checkstack(walk->L, size + 1))
    return false;
  walk->limit = top + size;
  return true;
}

bool mts_walk_grow(mts_Walk *walk, int top)
{
  const int used = top - walk->base + 1;
  if (used < WINDOW && mts_walk_extend(walk, top, used + 4 * MTS_WALK_STEP))
    return true;
  if (walk->older == 0 || used < 8 * MTS_WALK_STEP ||
      walk->spilled > (size_t)(INT_MAX - used))
    return false;
  spill(walk, top);
  return true;
}

void mts_walk_unspill(mts_Walk *walk)
{
  lua_State *L = walk->L;
  const int top = lua_gettop(L);
  const int room = walk->limit - MTS_WALK_STEP - top;
  const int count =
      walk->spilled < (size_t)room / 2 ? (int)walk->spilled : room / 2;
  int i;
  walk->spilled -= (size_t)count;
  lua_settop(L, top + count);
  for (i = top; i >= walk->base; i--)
    lua_copy(L, i, i + count);
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, walk->older, (int)(walk->spilled + (size_t)i + 1));
    lua_replace(L, walk->base + i);
  }
}

bool mts_walk_grow_frames(mts_Walk *walk)
{
  const size_t capacity = 2 * walk->capacity;
  const size_t size = capacity * sizeof(mts_Frame);
  mts_Frame *frames;
  if (walk->frames == walk->first_frames) {
    frames = malloc(size);
    if (frames)
      memcpy(frames, walk->first_frames, sizeof(walk->first_frames));
  }
  else
    frames = realloc(walk->frames, size);
  if (!frames)
    return false;
  walk->frames = frames;
  walk->capacity = capacity;
  return true;
}

void mts_walk_push_slot(const mts_Walk *walk, size_t slot)
{
  if (slot < walk->spilled)
    lua_rawgeti(walk->L, walk->older, (int)slot + 1);
  else
    lua_pushvalue(walk->L, walk->base + (int)(slot - walk->spilled));
}
