/*
 * point_encode on the CPU. Contract in kernels.h. Few points: plain loops with the C library's sine and
 * cosine.
 */
#include "kernels/cpu/ops/vec.h"

static void encode_point(const sa_point_encode_args *args, size_t i)
{
    size_t half = args->channels / 2;
    float *y = args->y + i * args->channels;
    int32_t kind = args->kind[i];
    if (kind <= -2) {
        memcpy(y, args->table + (size_t)(-kind - 2) * args->channels, args->channels * sizeof(float));
        return;
    }
    float u = 2.0f * args->uv[2 * i] - 1.0f;
    float v = 2.0f * args->uv[2 * i + 1] - 1.0f;
    for (size_t c = 0; c < half; c++) {
        float phase = 6.2831853071795865f * (u * args->gaussian[c] + v * args->gaussian[half + c]);
        y[c] = sinf(phase);
        y[half + c] = cosf(phase);
    }
    for (size_t c = 0; kind >= 0 && c < args->channels; c++) {
        y[c] += args->table[(size_t)kind * args->channels + c];
    }
}

static void point_encode_task(void *context, size_t task, int worker)
{
    (void)worker;
    encode_point(context, task);
}

void SA_CPU(point_encode)(sa_stream *stream, const sa_point_encode_args *args);
void SA_CPU(point_encode)(sa_stream *stream, const sa_point_encode_args *args)
{
    SA_ASSERT(args->channels % 2 == 0);
    sa_pool_run(stream->pool, args->n, point_encode_task, (void *)args);
}
