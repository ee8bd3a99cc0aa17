/* Shapes and contents that the tests of masks share. */
#ifndef SA_TESTS_REF_MASK_CASES_H
#define SA_TESTS_REF_MASK_CASES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t height, width;
} mask_shape;

/* One pixel, one row, one column, primes, and both sides of a word in either direction. */
extern const mask_shape mask_shapes[];
extern const size_t mask_shape_count;

enum { MASK_FILLS = 7 };
/* Fill k of MASK_FILLS: empty, full, thin noise, even noise, thick noise, blocks, a frame with a hole. */
void mask_case_fill(uint8_t *mask, size_t height, size_t width, int fill, uint64_t seed);

#endif
