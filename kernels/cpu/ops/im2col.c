/* im2col on the CPU. Contract in kernels.h. A task is one row of output pixels. */
#include "kernels/cpu/ops/vec.h"

typedef struct {
    const sa_im2col_args *args;
    size_t out_height, out_width;
} im2col_plan;

static void gather_pixel(const sa_im2col_args *args, size_t b, size_t oy, size_t ox, unsigned char *to)
{
    size_t run = args->channels * sa_dtype_size(args->dtype);
    for (size_t ky = 0; ky < args->kernel; ky++) {
        for (size_t kx = 0; kx < args->kernel; kx++) {
            /* Unsigned: a place left of or above the map wraps to a huge number and is outside too. */
            size_t y = oy * args->stride + ky - args->pad;
            size_t x = ox * args->stride + kx - args->pad;
            if (y < args->height && x < args->width) {
                memcpy(to, (const unsigned char *)args->x + ((b * args->height + y) * args->width + x) * run,
                       run);
            } else {
                memset(to, 0, run);
            }
            to += run;
        }
    }
}

static void im2col_task(void *context, size_t task, int worker)
{
    (void)worker;
    const im2col_plan *plan = context;
    const sa_im2col_args *args = plan->args;
    size_t row_bytes = args->kernel * args->kernel * args->channels * sa_dtype_size(args->dtype);
    unsigned char *to = (unsigned char *)args->y + task * plan->out_width * row_bytes;
    for (size_t ox = 0; ox < plan->out_width; ox++) {
        gather_pixel(args, task / plan->out_height, task % plan->out_height, ox, to + ox * row_bytes);
    }
}

void SA_CPU(im2col)(sa_stream *stream, const sa_im2col_args *args);
void SA_CPU(im2col)(sa_stream *stream, const sa_im2col_args *args)
{
    SA_ASSERT(args->kernel >= 1 && args->stride >= 1 && args->pad < args->kernel);
    SA_ASSERT(args->height + 2 * args->pad >= args->kernel && args->width + 2 * args->pad >= args->kernel);
    im2col_plan plan = {
        .args = args,
        .out_height = (args->height + 2 * args->pad - args->kernel) / args->stride + 1,
        .out_width = (args->width + 2 * args->pad - args->kernel) / args->stride + 1,
    };
    sa_pool_run(stream->pool, args->batch * plan.out_height, im2col_task, &plan);
}
