/* mask_threshold on the CPU. Contract in kernels.h. A task is one row. */
#include "kernels/cpu/ops/vec.h"

static uint64_t word_of(const float *logits, size_t count, float threshold)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits |= (uint64_t)(logits[i] > threshold) << i;
    }
    return bits;
}

static void threshold_task(void *context, size_t y, int worker)
{
    (void)worker;
    const sa_mask_threshold_args *args = context;
    size_t words = (args->width + 63) / 64;
    for (size_t i = 0; i < words; i++) {
        size_t left = args->width - i * 64;
        args->bits[y * words + i] =
            word_of(args->logits + y * args->width + i * 64, left < 64 ? left : 64, args->threshold);
    }
}

void SA_CPU(mask_threshold)(sa_stream *stream, const sa_mask_threshold_args *args);
void SA_CPU(mask_threshold)(sa_stream *stream, const sa_mask_threshold_args *args)
{
    sa_pool_run(stream->pool, args->height, threshold_task, (void *)args);
}
