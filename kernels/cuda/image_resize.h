/* The arguments of the image_resize kernels (image_resize.cu), filled by image_resize.c. */
#ifndef SA_KERNELS_CUDA_IMAGE_RESIZE_H
#define SA_KERNELS_CUDA_IMAGE_RESIZE_H

#include <stdint.h>

enum {
    SA_IMAGE_RESIZE_THREADS = 256, /* and output pixels of a block across */
    SA_IMAGE_RESIZE_ACROSS = 64,   /* rows that such a block takes with the same weights, at most */
    SA_IMAGE_RESIZE_DOWN = 8,      /* output rows of a block down */
};

typedef struct {
    const int32_t *table; /* [out, 2 + taps]; NULL (down only): every output is its input */
    uint32_t taps;
} sa_cuda_resize_axis;

/* One direction. Rows of x and y are x_pitch and y_pitch bytes apart. */
typedef struct {
    const uint8_t *x;
    uint8_t *y;
    sa_cuda_resize_axis axis;
    uint32_t in_height, in_width, out_height, out_width;
    uint32_t x_pitch, y_pitch;
    uint32_t rows; /* of a block across */
} sa_cuda_image_resize_args;

#endif
