/* The argument of the image_place kernel (image_place.cu), filled by image_place.c. */
#ifndef SA_KERNELS_CUDA_IMAGE_PLACE_H
#define SA_KERNELS_CUDA_IMAGE_PLACE_H

#include <stdint.h>

enum { SA_IMAGE_PLACE_THREADS = 256 };

typedef struct {
    const uint8_t *pixels;
    uint8_t *y;
    uint32_t top, left, height, row, canvas_row, size; /* left, rows, size (of the canvas) in bytes */
    uint8_t color[4];
} sa_cuda_image_place_args;

#endif
