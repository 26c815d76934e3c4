/*
** events_portable: the module events, with events as systems without futexes
** have them.
*/
#define MTS_NO_FUTEX
#define luaopen_events luaopen_events_portable

#include "events.c"
