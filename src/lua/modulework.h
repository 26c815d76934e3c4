/*
** modulework.h - the functions of the module about workers, time, and logging
*/
#ifndef MTS_MODULEWORK_H
#define MTS_MODULEWORK_H

#include "base/compiler.h"
#include "luaapi/compat.h"

MTS_BEGIN_HIDDEN

/* mtstates.workers([n]) */
int mts_modulework_workers(lua_State *L);

/* mtstates.logger([state or function]) */
int mts_modulework_logger(lua_State *L);

/* mtstates.sleep(seconds) */
int mts_modulework_sleep(lua_State *L);

/* mtstates.now() */
int mts_modulework_now(lua_State *L);

/* mtstates.trace(path or nil) */
int mts_modulework_trace(lua_State *L);

/* mtstates.quit() and mtstates.shutdown([timeout]) */
int mts_modulework_quit(lua_State *L);
int mts_modulework_shutdown(lua_State *L);

MTS_END_HIDDEN

#endif
