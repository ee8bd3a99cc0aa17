/* mask_product on the CPU. Contract in kernels.h. A task is one row of tokens: 4 rows of the mask. */
#include "kernels/cpu/ops/vec.h"

enum { MOST_MASKS = 8 };

static float feature_dot(const void *features, sa_dtype dtype, size_t row, const float *hyper,
                         size_t channels)
{
    vf sum = {0};
    size_t c = 0;
    for (; c + VL <= channels; c += VL) {
        vf f = dtype == SA_F32 ? vf_load((const float *)features + row * channels + c)
                               : vf_from_bf16((const sa_bf16 *)features + row * channels + c);
        sum += f * vf_load(hyper + c);
    }
    float total = vf_sum(sum);
    for (; c < channels; c++) {
        size_t at = row * channels + c;
        float f =
            dtype == SA_F32 ? ((const float *)features)[at] : sa_bf16_to_f32(((const sa_bf16 *)features)[at]);
        total += f * hyper[c];
    }
    return total;
}

static void mask_product_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_mask_product_args *args = context;
    size_t g = args->side, width = 4 * g;
    size_t b = task / g, y = task % g;
    for (size_t x = 0; x < g; x++) {
        for (size_t sub = 0; sub < 16; sub++) {
            size_t row = ((b * g + y) * g + x) * 16 + sub;
            size_t py = 4 * y + (sub >> 3 & 1) * 2 + (sub >> 1 & 1);
            size_t px = 4 * x + (sub >> 2 & 1) * 2 + (sub & 1);
            for (size_t m = 0; m < args->masks; m++) {
                const float *hyper = args->hyper + (b * args->masks + m) * args->channels;
                args->logits[((b * args->masks + m) * width + py) * width + px] =
                    feature_dot(args->features, args->dtype, row, hyper, args->channels);
            }
        }
    }
}

void SA_CPU(mask_product)(sa_stream *stream, const sa_mask_product_args *args);
void SA_CPU(mask_product)(sa_stream *stream, const sa_mask_product_args *args)
{
    SA_ASSERT(args->masks >= 1 && args->masks <= MOST_MASKS && args->channels >= 1);
    sa_pool_run(stream->pool, args->batch * args->side, mask_product_task, (void *)args);
}
