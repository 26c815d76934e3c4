/*
** pages.c - memory that is taken from the system by pages
*/
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#endif

#include "base/pages.h"

#if defined(_WIN32)

#include <windows.h>

void *mts_pages_map(size_t size)
{
  return VirtualAlloc(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
}

void mts_pages_unmap(void *memory, size_t size)
{
  (void)size;
  (void)VirtualFree(memory, 0, MEM_RELEASE);
}

void mts_pages_release(void *memory, size_t size)
{
  (void)VirtualAlloc(memory, size, MEM_RESET, PAGE_READWRITE);
}

#else

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void *mts_pages_map(size_t size)
{
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED ? memory : NULL;
}

void mts_pages_unmap(void *memory, size_t size)
{
  (void)munmap(memory, size);
}

/* The system's pages can be larger than those of the caller. */
void mts_pages_release(void *memory, size_t size)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = ((uintptr_t)memory + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)memory + size) & ~(page - 1);
  if (begin < end)
    (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

#endif
