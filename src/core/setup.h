/*
** setup.h - what a new state starts with
*/
#ifndef MTS_SETUP_H
#define MTS_SETUP_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

#include "luaapi/compat.h"
#include "value/codec.h"
#include "value/transfer.h"

MTS_BEGIN_HIDDEN

/*
** The code crosses as bytes.  Nothing is copied: strings and arguments are
** those on the creator's stack and have to stay there until the setup has run.
*/
typedef struct mts_Setup {
  const char *code; /* source or bytecode, zero terminated */
  size_t length;
  mts_Values args;
  /* Of a service: the arguments; without code, the setup function first. */
  mts_Message *message;
  int skipped;      /* arguments of the creator before its first value */
  const char *path; /* package.path; NULL: as it is by default */
  const char *cpath;
  lua_CFunction open_module; /* opens this module, for require */
  bool with_libs;
  bool is_service; /* it was made with an options table */
  bool has_own_thread;
  size_t queue_limit;  /* requests that may wait, or MTS_STATE_NO_LIMIT; */
  size_t task_limit;   /* requests under way, too */
  size_t memory_limit; /* bytes, or MTS_HEAP_NO_LIMIT */
  size_t members;      /* an option of mtstates.pool; 0: none is given */
  const char *name;    /* an option of mtstates.thread; NULL: none */
  size_t name_length;
} mts_Setup;

MTS_END_HIDDEN

#endif
