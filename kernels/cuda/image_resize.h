/* The arguments of the image_resize kernels (image_resize.cu), filled by image_resize.c. */
#ifndef SA_KERNELS_CUDA_IMAGE_RESIZE_H
#define SA_KERNELS_CUDA_IMAGE_RESIZE_H

#include <stdint.h>

enum {
    SA_IMAGE_RESIZE_ACROSS = 256,         /* output pixels of a block across */
    SA_IMAGE_RESIZE_ACROSS_ROWS = 64,     /* rows that it takes with the same weights */
    SA_IMAGE_RESIZE_ACROSS_THREADS = 512, /* a thread a pixel of each second group of rows */
    SA_IMAGE_RESIZE_DOWN = 128,           /* pieces of a row, of 4 bytes, of a block down */
    SA_IMAGE_RESIZE_DOWN_ROWS = 48,       /* its output rows */
    SA_IMAGE_RESIZE_DOWN_THREADS = 512,   /* a thread a piece of each fourth row */
};

typedef struct {
    const int32_t *table; /* [out, 2 + taps]; NULL (down only): every output is its input, taps 1 */
    uint32_t taps;
} sa_cuda_resize_axis;

/* One direction. Rows of x and y are x_pitch and y_pitch bytes apart. */
typedef struct {
    const uint8_t *x;
    uint8_t *y;
    sa_cuda_resize_axis axis;
    uint32_t in_height, in_width, out_height, out_width;
    uint32_t x_pitch, y_pitch;
} sa_cuda_image_resize_args;

#endif
