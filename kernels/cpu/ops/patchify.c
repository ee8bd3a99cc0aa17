/* patchify on the CPU. Contract in kernels.h. A task is one row of patches. */
#include "kernels/cpu/ops/vec.h"

static void store_value(void *y, sa_dtype dtype, size_t index, float value)
{
    if (dtype == SA_F32) {
        ((float *)y)[index] = value;
    } else {
        ((sa_bf16 *)y)[index] = sa_bf16_from_f32(value);
    }
}

static void cut_patch(const sa_patchify_args *args, size_t b, size_t top, size_t left, size_t at)
{
    for (size_t channel = 0; channel < 3; channel++) {
        float scale = 1.0f / args->std[channel];
        float mean = args->mean[channel];
        for (size_t i = 0; i < args->patch; i++) {
            for (size_t j = 0; j < args->patch; j++) {
                size_t y = top + i, x = left + j;
                float value = 0.0f;
                if (y < args->height[b] && x < args->width[b]) {
                    value = ((float)args->pixels[b][(y * args->width[b] + x) * 3 + channel] - mean) * scale;
                }
                store_value(args->y, args->dtype, at++, value);
            }
        }
    }
}

static void patchify_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_patchify_args *args = context;
    size_t grid = args->side / args->patch;
    size_t b = task / grid, row = task % grid;
    for (size_t column = 0; column < grid; column++) {
        size_t token = (b * grid + row) * grid + column;
        cut_patch(args, b, row * args->patch, column * args->patch, token * 3 * args->patch * args->patch);
    }
}

void SA_CPU(patchify)(sa_stream *stream, const sa_patchify_args *args);
void SA_CPU(patchify)(sa_stream *stream, const sa_patchify_args *args)
{
    SA_ASSERT(args->patch >= 1 && args->side % args->patch == 0);
    for (size_t b = 0; b < args->batch; b++) {
        SA_ASSERT(args->height[b] <= args->side && args->width[b] <= args->side);
    }
    sa_pool_run(stream->pool, args->batch * (args->side / args->patch), patchify_task, (void *)args);
}
