/*
 * A window on kernels/cpu/ops/vec.h for test_vec: the functions that no op shows by themselves. vec_probe.c
 * is compiled once per level, as the ops are, but belongs to the tests alone.
 */
#ifndef SA_TESTS_KERNELS_VEC_PROBE_H
#define SA_TESTS_KERNELS_VEC_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* Each works on `count` values, a multiple of 16 (the widest vector). */
typedef struct {
    const char *name;
    void (*exp2_negative)(float *y, const float *x, size_t count);
    void (*exp2_negative_short)(float *y, const float *x, size_t count);
    void (*gelu)(float *y, const float *x, size_t count);
    void (*relu)(float *y, const float *x, size_t count);
    void (*to_bf16)(uint16_t *y, const float *x, size_t count);
    void (*from_bf16)(float *y, const uint16_t *x, size_t count);
    size_t lanes; /* of a vector, of which each gives one number: y[i / lanes] */
    void (*sum)(float *y, const float *x, size_t count);
    void (*max_lane)(float *y, const float *x, size_t count);
} vec_probe;

extern const vec_probe vec_probe_plain, vec_probe_avx2, vec_probe_avx512, vec_probe_avx512bf16;

#endif
