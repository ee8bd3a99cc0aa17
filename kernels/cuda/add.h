/* The argument of the add kernels (add.cu), filled by add.c. */
#ifndef SA_KERNELS_CUDA_ADD_H
#define SA_KERNELS_CUDA_ADD_H

#include <stdint.h>

enum {
    SA_ADD_THREADS = 256,
    SA_ADD_REPEATS = 16, /* times that a thread uses a value of b before another one fetches it anew */
};

/* Rows play no part: y[i] = a[i % a_size] + b[i % b_size]. Sizes in pieces of 1 or 4 values. */
typedef struct {
    const float *a, *b; /* b may be NULL */
    void *y;
    uint32_t size, a_size, b_size; /* b_size is the cycle, also without b */
} sa_cuda_add_args;

#endif
