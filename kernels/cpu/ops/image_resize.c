/*
 * image_resize on the CPU. Contract in kernels.h. Across, a pixel is a sum over a window of one row; down, a
 * row is a weighted sum of whole rows, taken in pieces whose sums stay in registers. Both ways are integer
 * sums, exact in any order.
 *
 * workspace: [in_height, out_width, 3] u8, the picture between the two directions; nothing if one is skipped.
 */
#include <stdbool.h>

#include "kernels/cpu/ops/vec.h"

enum {
    PRECISION = 22, /* bits after a weight's point */
    ROWS_PER_TASK = 16,
    PIECE = 64, /* bytes of a row whose sums are kept at hand */
};

typedef struct {
    const sa_image_resize_args *args;
    const uint8_t *from; /* of the direction at work */
    uint8_t *to;
    size_t rows;
} resize_step;

static uint8_t rounded_pixel(int32_t sum)
{
    int32_t value = (sum + (1 << (PRECISION - 1))) >> PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void row_across(const sa_image_resize_args *args, const uint8_t *from, uint8_t *to)
{
    for (size_t i = 0; i < args->out_width; i++) {
        const int32_t *row = args->across.table + i * (2 + args->across.taps);
        const uint8_t *in = from + (size_t)row[0] * 3;
        int32_t r = 0, g = 0, b = 0;
        for (int32_t k = 0; k < row[1]; k++) {
            r += row[2 + k] * in[3 * k];
            g += row[2 + k] * in[3 * k + 1];
            b += row[2 + k] * in[3 * k + 2];
        }
        to[3 * i] = rounded_pixel(r);
        to[3 * i + 1] = rounded_pixel(g);
        to[3 * i + 2] = rounded_pixel(b);
    }
}

/* `count` <= PIECE bytes of one output row; `from` is the first tap's row at the same place. */
SA_INLINE void piece_down(const int32_t *row, const uint8_t *from, size_t stride, size_t count, uint8_t *to)
{
    int32_t sum[PIECE] = {0};
    for (int32_t k = 0; k < row[1]; k++, from += stride) {
        for (size_t i = 0; i < count; i++) {
            sum[i] += row[2 + k] * from[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = rounded_pixel(sum[i]);
    }
}

static void row_down(const sa_image_resize_args *args, const uint8_t *from, size_t y, uint8_t *to)
{
    size_t width = args->out_width * 3, x = 0;
    const int32_t *row = args->down.table + y * (2 + args->down.taps);
    from += (size_t)row[0] * width;
    for (; x + PIECE <= width; x += PIECE) {
        piece_down(row, from + x, width, PIECE, to + x);
    }
    piece_down(row, from + x, width, width - x, to + x);
}

static void across_task(void *context, size_t task, int worker)
{
    (void)worker;
    const resize_step *step = context;
    for (size_t y = task * ROWS_PER_TASK; y < step->rows && y < (task + 1) * ROWS_PER_TASK; y++) {
        row_across(step->args, step->from + y * step->args->in_width * 3,
                   step->to + y * step->args->out_width * 3);
    }
}

static void down_task(void *context, size_t task, int worker)
{
    (void)worker;
    const resize_step *step = context;
    for (size_t y = task * ROWS_PER_TASK; y < step->rows && y < (task + 1) * ROWS_PER_TASK; y++) {
        row_down(step->args, step->from, y, step->to + y * step->args->out_width * 3);
    }
}

static void run_step(sa_stream *stream, resize_step step, sa_pool_task *task)
{
    sa_pool_run(stream->pool, (step.rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, task, &step);
}

size_t SA_CPU(image_resize_workspace)(const sa_stream *stream, const sa_image_resize_args *args);
size_t SA_CPU(image_resize_workspace)(const sa_stream *stream, const sa_image_resize_args *args)
{
    (void)stream;
    bool across = args->across.table != NULL || args->in_width != args->out_width;
    bool down = args->down.table != NULL || args->in_height != args->out_height;
    return across && down ? args->in_height * args->out_width * 3 : 0;
}

void SA_CPU(image_resize)(sa_stream *stream, const sa_image_resize_args *args);
void SA_CPU(image_resize)(sa_stream *stream, const sa_image_resize_args *args)
{
    bool across = args->across.table != NULL, down = args->down.table != NULL;
    SA_ASSERT(args->in_height >= 1 && args->in_width >= 1 && args->out_height >= 1 && args->out_width >= 1);
    SA_ASSERT(across || args->in_width == args->out_width);
    SA_ASSERT(down || args->in_height == args->out_height);
    uint8_t *middle = across && down ? args->workspace : args->y;
    if (across) {
        run_step(stream, (resize_step){args, args->x, middle, args->in_height}, across_task);
    }
    if (down) {
        run_step(stream, (resize_step){args, across ? middle : args->x, args->y, args->out_height},
                 down_task);
    }
    if (!across && !down) {
        memcpy(args->y, args->x, args->in_height * args->in_width * 3);
    }
}
