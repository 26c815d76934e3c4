/*
** walk.h - the way through nested values, to any depth
**
** Encoder and decoder go depth first through tables, functions and objects
** without recursion in C.  Each container that is open has a frame, and some
** slots on the Lua stack.  Only the newest slots have to be there: when they
** become too many, older ones are moved into a Lua table, and back when they
** are needed.  Slots are numbered from 0, wherever they are:
**
**   [container] [key] [value, or the next container]...
**
** The frames tell where in the values the walk is, for error messages.
**
** Errors: mts_walk_extend and mts_walk_make_room, for want of memory, only if
** MTS_STACK_GROWTH_RAISES or there is a table for older slots.  Nothing here
** runs Lua code.
*/
#ifndef MTS_WALK_H
#define MTS_WALK_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* What is under way in a container. */
typedef enum mts_Step {
  MTS_STEP_RUN,     /* table: element number done, counted from 1 */
  MTS_STEP_KEY,     /* table: a key */
  MTS_STEP_VALUE,   /* table: the value of the key in the slot behind it */
  MTS_STEP_ENV,     /* function: its environment */
  MTS_STEP_UPVALUE, /* function: upvalue number done */
  MTS_STEP_RESULT   /* object: result number done of __transfer */
} mts_Step;

typedef struct mts_Frame {
  mts_Step step;
  size_t slot; /* of the container */
  size_t done; /* steps, the present one included */
  /*
  ** Encoder: pairs of the table; results of __transfer; 1 if the environment
  ** of the function has been written.
  */
  size_t total;
  size_t head;    /* position: of the sizes of the table, or of the tag */
  bool is_shared; /* decoder: the object is referred to */
} mts_Frame;

#define MTS_FIRST_FRAMES 24

typedef struct mts_Walk {
  lua_State *L;
  int base;       /* stack index of the first slot that is on the stack */
  int limit;      /* the stack has room up to this index */
  int older;      /* stack index of the table for older slots, or of nil as
                     long as it is empty; 0: there is none */
  size_t spilled; /* slots in it */
  bool has_older; /* it is, or was, used */
  size_t depth;   /* open frames */
  size_t capacity;
  mts_Frame *frames;
  mts_Frame first_frames[MTS_FIRST_FRAMES];
} mts_Walk;

/* Room is made for so many slots at a time, which is what a value can need. */
#define MTS_WALK_STEP 12

/* Prepares a walk on the stack of L; no memory is held yet. */
void mts_walk_open(mts_Walk *walk, lua_State *L);

/*
** Makes room for size slots above the top of the stack, before any is used.
** Returns: false if there is no memory.
*/
bool mts_walk_extend(mts_Walk *walk, int top, int size);

/* Frees what the walk holds; to be called in the end, also after errors. */
void mts_walk_close(mts_Walk *walk);

/* Part of mts_walk_make_room. */
bool mts_walk_grow(mts_Walk *walk, int top);

/*
** Makes room for MTS_WALK_STEP more slots above the top of the stack.
** Returns: false if there is none: no memory, or no table for older slots.
** Stack: [-n, +0, m]
*/
static inline bool mts_walk_make_room(mts_Walk *walk, int top)
{
  return top + MTS_WALK_STEP <= walk->limit || mts_walk_grow(walk, top);
}

/* Part of mts_walk_refill. */
void mts_walk_unspill(mts_Walk *walk);

/*
** Has the newest MTS_WALK_STEP slots, as far as there are so many, on the
** stack.  To be called when slots have been popped.
** Stack: [-0, +n, m]
*/
static inline void mts_walk_refill(mts_Walk *walk)
{
  if (walk->spilled > 0 &&
      lua_gettop(walk->L) - walk->base + 1 < MTS_WALK_STEP)
    mts_walk_unspill(walk);
}

/* Part of mts_walk_open_frame. */
bool mts_walk_grow_frames(mts_Walk *walk);

/*
** Opens a frame for the container on top of the stack; the outermost one is
** the first slot.
** Returns: the frame, which moves when the next one is opened; NULL if there
** is no memory.
*/
static inline mts_Frame *mts_walk_open_frame(mts_Walk *walk, mts_Step step,
                                             int top)
{
  mts_Frame *frame;
  if (walk->depth == walk->capacity && !mts_walk_grow_frames(walk))
    return NULL;
  if (walk->depth == 0)
    walk->base = top;
  frame = &walk->frames[walk->depth++];
  frame->step = step;
  frame->slot = walk->spilled + (size_t)(top - walk->base);
  frame->done = 0;
  frame->total = 0;
  return frame;
}

/* Returns: the innermost open frame; there is one. */
static inline mts_Frame *mts_walk_frame(const mts_Walk *walk)
{
  return &walk->frames[walk->depth - 1];
}

/*
** Pushes the content of a slot.  The stack has room for it.
** Stack: [-0, +1, -]
*/
void mts_walk_push_slot(const mts_Walk *walk, size_t slot);

MTS_END_HIDDEN

#endif
