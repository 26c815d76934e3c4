/*
** notify.c - state objects offer the Notify C API
**
** A notifier is a reference to a state, nothing more.  Any thread can call
** every function but toNotifier.  A classic state is called by the thread that
** notifies; for a service that is counted, and workers do what is counted.
**
** Takes no locks of its own.
*/
#include "capi/notify.h"

#include "core/call.h"
#include "lua/stateobject.h"
#include "mtstates/notify_capi.h"
#include "sched/notices.h"

/* What notify returns. */
enum { NOTIFIED = 0, CLOSED = 1, FAILED = 2 };

static notify_notifier *to_notifier(lua_State *L, int index)
{
  mts_State *s = mts_stateobject_to_state(L, index);
  if (s && s->is_service && mts_notices_open(s) != MTS_OK)
    return NULL;
  return (notify_notifier *)s;
}

static void retain_notifier(notify_notifier *notifier)
{
  mts_state_retain((mts_State *)notifier);
}

static void release_notifier(notify_notifier *notifier)
{
  mts_state_release((mts_State *)notifier);
}

static mts_Status count_notice(mts_State *s, notifier_error_handler eh,
                               void *ehdata)
{
  const mts_Status status = mts_notices_add(s);
  if (status != MTS_OK && status != MTS_CLOSED)
    mts_call_tell(s, status, NULL, eh, ehdata);
  return status;
}

static int notify(notify_notifier *notifier, notifier_error_handler eh,
                  void *ehdata)
{
  mts_State *s = (mts_State *)notifier;
  switch (s->is_service ? count_notice(s, eh, ehdata)
                        : mts_call_native(s, NULL, MTS_FOREVER, eh, ehdata)) {
  case MTS_OK:
    return NOTIFIED;
  case MTS_CLOSED:
    return CLOSED;
  default:
    return FAILED;
  }
}

static const notify_capi notify_functions = {
    .version_major = NOTIFY_CAPI_VERSION_MAJOR,
    .version_minor = NOTIFY_CAPI_VERSION_MINOR,
    .version_patch = NOTIFY_CAPI_VERSION_PATCH,
    .next_capi = NULL,
    .toNotifier = to_notifier,
    .retainNotifier = retain_notifier,
    .releaseNotifier = release_notifier,
    .notify = notify,
};

void mts_notify_open(lua_State *L)
{
  luaL_getmetatable(L, MTS_STATE_CLASS);
  notify_set_capi(L, -1, &notify_functions);
  lua_pop(L, 1);
}
