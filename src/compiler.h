/*
** compiler.h - what the compiler is told in the source and not by flags
**
** Who builds the module need not know any flags, and luarocks could not pass
** them.  Every header of ours includes this one before all others.
*/
#ifndef MTS_COMPILER_H
#define MTS_COMPILER_H

/*
** Around the declarations of a header, behind its includes: what is declared
** between the two can be used in all files of the module and is not exported.
** Other modules in the process can have functions of the same names.
*/
#if defined(__GNUC__) && !defined(_WIN32)
#define MTS_BEGIN_HIDDEN _Pragma("GCC visibility push(hidden)")
#define MTS_END_HIDDEN _Pragma("GCC visibility pop")
#else
#define MTS_BEGIN_HIDDEN
#define MTS_END_HIDDEN
#endif

/* For the one function that is exported. */
#if defined(_WIN32)
#define MTS_EXPORT __declspec(dllexport)
#else
#define MTS_EXPORT __attribute__((visibility("default")))
#endif

#endif
