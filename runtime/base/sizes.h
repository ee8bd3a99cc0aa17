/* The smaller and the larger of two sizes: what every planner of memory asks for. */
#ifndef SA_BASE_SIZES_H
#define SA_BASE_SIZES_H

#include <stddef.h>

static inline size_t sa_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t sa_most(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
