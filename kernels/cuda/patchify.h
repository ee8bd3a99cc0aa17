/* The argument of the patchify kernels (patchify.cu), filled by patchify.c. */
#ifndef SA_KERNELS_CUDA_PATCHIFY_H
#define SA_KERNELS_CUDA_PATCHIFY_H

#include <stdint.h>

enum {
    SA_PATCHIFY_PICTURES = 32, /* of one launch: they travel in the argument */
    SA_PATCHIFY_PIXELS = 1024, /* of one row that a block cuts */
    SA_PATCHIFY_THREADS = 128,
};

typedef struct {
    const uint8_t *pixels[SA_PATCHIFY_PICTURES];
    uint32_t height[SA_PATCHIFY_PICTURES], width[SA_PATCHIFY_PICTURES];
    uint32_t side, patch;
    uint32_t in_runs;        /* patch rows are whole pieces of 16 bytes on 16-byte borders */
    float mean[3], scale[3]; /* scale is 1 / std */
    void *y;                 /* of the launch's first picture */
} sa_cuda_patchify_args;

#endif
