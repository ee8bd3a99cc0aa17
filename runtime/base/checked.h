/*
 * Size arithmetic on numbers that come from files. Each returns false, and leaves *out alone, when the true
 * result does not fit in size_t; nothing wraps.
 */
#ifndef SA_BASE_CHECKED_H
#define SA_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool sa_add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

static inline bool sa_mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/* *out = a rounded up to a multiple of `align`, a power of two. */
static inline bool sa_align_size(size_t a, size_t align, size_t *out)
{
    size_t sum;
    if (!sa_add_size(a, align - 1, &sum)) {
        return false;
    }
    *out = sum & ~(align - 1);
    return true;
}

#endif
