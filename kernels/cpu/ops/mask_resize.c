/*
 * mask_resize on the CPU. Contract in kernels.h.
 *
 * Both bilinear stages are linear and separable, so rows and columns can be done apart: first every row of
 * the low map is resized in x through both stages (low -> frame, crop, -> width) into the workspace; then
 * each output row is a blend of at most four of those, compared with the threshold and packed into bits on
 * the fly. The [frame, frame] map never exists. Against the two full stages this only changes the order of
 * roundings.
 *
 * workspace: [low_side, width rounded up] f32, then one frame-wide row per thread.
 */
#include "kernels/cpu/ops/vec.h"

typedef struct {
    size_t low, high; /* the two source indices */
    float weight;     /* of `high` */
} blend;

/* torch's bilinear, align_corners false (MODEL_SPECS 1.3), in f32 like torch. */
static blend blend_at(size_t index, size_t in, size_t out)
{
    float scale = (float)in / (float)out;
    float source = ((float)index + 0.5f) * scale - 0.5f;
    source = source < 0.0f ? 0.0f : source;
    size_t low = (size_t)source;
    low = low < in ? low : in - 1;
    return (blend){.low = low, .high = low + 1 < in ? low + 1 : low, .weight = source - (float)low};
}

static float blend_values(const float *values, blend b)
{
    return values[b.low] * (1.0f - b.weight) + values[b.high] * b.weight;
}

typedef struct {
    const sa_mask_resize_args *args;
    size_t row_floats; /* of one row in the workspace */
    float *rows;       /* [low_side, row_floats] */
    float *scratch;    /* [threads, frame rounded up] */
} resize_plan;

static size_t round_up(size_t count)
{
    return (count + 63) / 64 * 64;
}

static void columns_task(void *context, size_t row, int worker)
{
    const resize_plan *plan = context;
    const sa_mask_resize_args *args = plan->args;
    float *framed = plan->scratch + (size_t)worker * round_up(args->frame);
    const float *low = args->low + row * args->low_side;
    float *to = plan->rows + row * plan->row_floats;
    for (size_t x = 0; x < args->crop_width; x++) {
        framed[x] = blend_values(low, blend_at(x, args->low_side, args->frame));
    }
    for (size_t x = 0; x < args->width; x++) {
        to[x] = blend_values(framed, blend_at(x, args->crop_width, args->width));
    }
    memset(to + args->width, 0, (plan->row_floats - args->width) * sizeof(float));
}

static void rows_task(void *context, size_t row, int worker)
{
    (void)worker;
    const resize_plan *plan = context;
    const sa_mask_resize_args *args = plan->args;
    size_t words = (args->width + 63) / 64;
    blend outer = blend_at(row, args->crop_height, args->height);
    blend first = blend_at(outer.low, args->low_side, args->frame);
    blend second = blend_at(outer.high, args->low_side, args->frame);
    const float *a = plan->rows + first.low * plan->row_floats,
                *b = plan->rows + first.high * plan->row_floats;
    const float *c = plan->rows + second.low * plan->row_floats,
                *d = plan->rows + second.high * plan->row_floats;
    for (size_t word = 0; word < words; word++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < 64; i += VL) {
            size_t x = word * 64 + i;
            vf upper = vf_load(a + x) * (1.0f - first.weight) + vf_load(b + x) * first.weight;
            vf lower = vf_load(c + x) * (1.0f - second.weight) + vf_load(d + x) * second.weight;
            vf value = upper * (1.0f - outer.weight) + lower * outer.weight;
            vi above = value > args->threshold;
            for (size_t lane = 0; lane < VL; lane++) {
                bits |= (uint64_t)(above[lane] & 1) << (i + lane);
            }
        }
        size_t left = args->width - word * 64;
        args->bits[row * words + word] = left < 64 ? bits & (((uint64_t)1 << left) - 1) : bits;
    }
}

size_t SA_CPU(mask_resize_workspace)(const sa_stream *stream, const sa_mask_resize_args *args);
size_t SA_CPU(mask_resize_workspace)(const sa_stream *stream, const sa_mask_resize_args *args)
{
    size_t threads = (size_t)sa_pool_threads(stream->pool);
    return (args->low_side * round_up(args->width) + threads * round_up(args->frame)) * sizeof(float);
}

void SA_CPU(mask_resize)(sa_stream *stream, const sa_mask_resize_args *args);
void SA_CPU(mask_resize)(sa_stream *stream, const sa_mask_resize_args *args)
{
    SA_ASSERT(args->low_side >= 1 && args->height >= 1 && args->width >= 1);
    SA_ASSERT(args->crop_height >= 1 && args->crop_height <= args->frame);
    SA_ASSERT(args->crop_width >= 1 && args->crop_width <= args->frame);
    size_t row_floats = round_up(args->width);
    resize_plan plan = {
        .args = args,
        .row_floats = row_floats,
        .rows = args->workspace,
        .scratch = (float *)args->workspace + args->low_side * row_floats,
    };
    sa_pool_run(stream->pool, args->low_side, columns_task, &plan);
    sa_pool_run(stream->pool, args->height, rows_task, &plan);
}
