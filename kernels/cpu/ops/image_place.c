/* image_place on the CPU. Contract in kernels.h. A task is one row of the canvas. */
#include "kernels/cpu/ops/vec.h"

static void fill(uint8_t *to, size_t pixels, const uint8_t color[3])
{
    for (size_t i = 0; i < pixels; i++) {
        memcpy(to + 3 * i, color, 3);
    }
}

static void place_task(void *context, size_t r, int worker)
{
    (void)worker;
    const sa_image_place_args *args = context;
    uint8_t *row = args->y + r * args->canvas_width * 3;
    if (r < args->top || r - args->top >= args->height) {
        fill(row, args->canvas_width, args->color);
        return;
    }
    size_t right = args->left + args->width;
    fill(row, args->left, args->color);
    memcpy(row + args->left * 3, args->pixels + (r - args->top) * args->width * 3, args->width * 3);
    fill(row + right * 3, args->canvas_width - right, args->color);
}

void SA_CPU(image_place)(sa_stream *stream, const sa_image_place_args *args);
void SA_CPU(image_place)(sa_stream *stream, const sa_image_place_args *args)
{
    sa_pool_run(stream->pool, args->canvas_height, place_task, (void *)args);
}
