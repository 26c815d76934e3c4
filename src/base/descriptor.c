/*
** descriptor.c - a file descriptor that event loops can poll
**
** On Linux it is an eventfd, whose counter is 1 or 0; on other systems a pipe,
** which holds a byte or none.  On Windows, where loops do not poll
** descriptors, there is none.
**
** Reading and writing never block: a pipe has room for the one byte.  Takes no
** locks.
*/
#define _GNU_SOURCE /* eventfd */

#include "base/descriptor.h"

#include "async_util.h"

#if defined(_WIN32)

bool mts_descriptor_open(mts_Descriptor *descriptor)
{
  (void)descriptor;
  return false;
}

void mts_descriptor_close(mts_Descriptor *descriptor)
{
  (void)descriptor;
}

void mts_descriptor_set(mts_Descriptor *descriptor, bool is_raised)
{
  (void)descriptor;
  (void)is_raised;
}

#else

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__) && !defined(MTS_NO_EVENTFD)

#include <sys/eventfd.h>

typedef uint64_t Signal;

static bool open_ends(int ends[2])
{
  ends[0] = ends[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return ends[0] >= 0;
}

#else

typedef char Signal;

static bool prepare_end(int end)
{
  return fcntl(end, F_SETFD, FD_CLOEXEC) == 0 &&
         fcntl(end, F_SETFL, O_NONBLOCK) == 0;
}

static bool open_ends(int ends[2])
{
  if (pipe(ends) != 0)
    return false;
  if (prepare_end(ends[0]) && prepare_end(ends[1]))
    return true;
  (void)close(ends[0]);
  (void)close(ends[1]);
  return false;
}

#endif

bool mts_descriptor_open(mts_Descriptor *descriptor)
{
  int ends[2];
  if (!open_ends(ends))
    return false;
  *descriptor = (mts_Descriptor){ends[0], ends[1], false};
  return true;
}

void mts_descriptor_close(mts_Descriptor *descriptor)
{
  (void)close(descriptor->read_end);
  if (descriptor->write_end != descriptor->read_end)
    (void)close(descriptor->write_end);
}

void mts_descriptor_set(mts_Descriptor *descriptor, bool is_raised)
{
  Signal signal = 1;
  ssize_t done;
  if (descriptor->is_raised == is_raised)
    return;
  do { /* other failures: the program has closed it, or read from it */
    done = is_raised ? write(descriptor->write_end, &signal, sizeof(signal))
                     : read(descriptor->read_end, &signal, sizeof(signal));
  } while (done < 0 && errno == EINTR);
  descriptor->is_raised = is_raised;
}

#endif
