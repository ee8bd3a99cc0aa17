/*
 * Launcher of attention. Items go in groups of ATTENTION_ITEMS, inside the arguments; each group is one
 * launch, and a second one that combines if an item of it has more than one chunk of keys. Groups use the
 * same workspace, one after another.
 */
#include "kernels/cuda/attention.h"

#include <math.h>

#include "kernels/cuda/launchers.h"

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t item_chunks(const sa_attention_item *item)
{
    return ceil_div(item->k_count, ATTENTION_CHUNK);
}

/* Floats of an item's partial results, a multiple of 8 so that the next item's are aligned. */
static size_t item_partials(const sa_attention_args *args, const sa_attention_item *item)
{
    size_t rows = args->heads * item_chunks(item) * item->q_count;
    return item_chunks(item) == 1 ? 0 : ceil_div(rows * (args->head_dim + 2), 8) * 8;
}

size_t sa_cuda_attention_workspace(const sa_stream *stream, const sa_attention_args *args)
{
    (void)stream;
    size_t most = 0, sum = 0;
    for (size_t i = 0; i < args->count; i++) {
        sum = (i % ATTENTION_ITEMS == 0 ? 0 : sum) + item_partials(args, &args->items[i]);
        most = sum > most ? sum : most;
    }
    return most * sizeof(float);
}

static bool rows_aligned(const void *rows, size_t ld, size_t size)
{
    return sa_cuda_aligned(rows, 16) && ld * size % 16 == 0;
}

static sa_attention_launch begin_launch(const sa_attention_args *args)
{
    size_t size = sa_dtype_size(args->dtype);
    return (sa_attention_launch){
        .q = args->q,
        .k = args->k,
        .v = args->v,
        .out = args->out,
        .partials = args->workspace,
        .ldq = args->ldq,
        .ldk = args->ldk,
        .ldv = args->ldv,
        .ldo = args->ldo,
        .heads = (int)args->heads,
        .head_dim = (int)args->head_dim,
        .vector = args->head_dim * size % 16 == 0 && rows_aligned(args->q, args->ldq, size) &&
                  rows_aligned(args->k, args->ldk, size) && rows_aligned(args->v, args->ldv, size) &&
                  rows_aligned(args->out, args->ldo, size),
        .dtype = (int)args->dtype,
        .scale = 1.44269504f / sqrtf((float)args->head_dim),
    };
}

static sa_cuda_kernel choose_kernel(const sa_attention_args *args)
{
    size_t d = args->head_dim;
    if (args->dtype == SA_F32) {
        return d <= 32   ? SA_CUDA_attention_32_f32
               : d <= 64 ? SA_CUDA_attention_64_f32
                         : SA_CUDA_attention_128_f32;
    }
    bool f16 = args->dtype == SA_F16;
    return d <= 16   ? (f16 ? SA_CUDA_attention_16_f16 : SA_CUDA_attention_16)
           : d <= 32 ? (f16 ? SA_CUDA_attention_32_f16 : SA_CUDA_attention_32)
           : d <= 64 ? (f16 ? SA_CUDA_attention_64_f16 : SA_CUDA_attention_64)
                     : (f16 ? SA_CUDA_attention_128_f16 : SA_CUDA_attention_128);
}

/* Useful work and least traffic of one item. */
static void count_work(const sa_attention_args *args, const sa_attention_item *item, double *flops,
                       double *bytes)
{
    double hidden = (double)(args->heads * args->head_dim), size = (double)sa_dtype_size(args->dtype);
    *flops += 4.0 * hidden * (double)item->q_count * (double)item->k_count;
    *bytes += 2.0 * hidden * size * ((double)item->q_count + (double)item->k_count);
}

/* Items [first, first + count) into the launch; fills in the work of the launch too. Returns its blocks. */
static size_t add_items(const sa_attention_args *args, size_t first, sa_attention_launch *launch,
                        sa_cuda_launch_args *launched)
{
    size_t blocks = 0, partials = 0;
    for (int i = 0; i < launch->count; i++) {
        const sa_attention_item *item = &args->items[first + (size_t)i];
        launch->items[i] = (sa_attention_launch_item){
            .q_row = item->q_row,
            .q_count = item->q_count,
            .k_row = item->k_row,
            .k_count = item->k_count,
            .out_row = item->out_row,
            .first_block = sa_cuda_blocks(blocks, 1),
            .partial = partials,
        };
        blocks += ceil_div(item->q_count, ATTENTION_ROWS) * item_chunks(item);
        partials += item_partials(args, item);
        count_work(args, item, &launched->flops, &launched->bytes);
    }
    return blocks;
}

/* The same items for the combining kernel: a warp for each query of those that were split. Returns its
 * blocks. */
static size_t split_items(sa_attention_launch *launch, double *bytes)
{
    size_t blocks = 0;
    for (int i = 0; i < launch->count; i++) {
        sa_attention_launch_item *item = &launch->items[i];
        size_t chunks = ceil_div(item->k_count, ATTENTION_CHUNK), rows = chunks == 1 ? 0 : item->q_count;
        item->first_block = sa_cuda_blocks(blocks, 1);
        blocks += ceil_div(rows, ATTENTION_THREADS / 32);
        *bytes +=
            (double)(rows * chunks * (size_t)launch->heads * ((size_t)launch->head_dim + 2)) * sizeof(float);
    }
    return blocks;
}

static void launch_items(sa_stream *stream, const sa_attention_args *args, size_t first, size_t count)
{
    sa_attention_launch launch = begin_launch(args);
    launch.count = (int)count;
    sa_cuda_launch_args launched = {
        .kernel = choose_kernel(args),
        .block = {args->dtype == SA_F32 ? ATTENTION_F32_THREADS : ATTENTION_THREADS, 1, 1},
        .args = &launch,
        .args_bytes = sizeof launch,
    };
    size_t blocks = add_items(args, first, &launch, &launched);
    launched.grid = (sa_cuda_dim){sa_cuda_blocks(blocks, 1), (unsigned)args->heads, 1};
    sa_cuda_launch(stream, &launched);
    sa_cuda_launch_args combined = {
        .kernel = SA_CUDA_attention_combine_f32,
        .block = {ATTENTION_THREADS, 1, 1},
        .args = &launch,
        .args_bytes = sizeof launch,
    };
    blocks = split_items(&launch, &combined.bytes);
    combined.grid = (sa_cuda_dim){sa_cuda_blocks(blocks, 1), (unsigned)args->heads, 1};
    if (blocks != 0) {
        sa_cuda_launch(stream, &combined);
    }
}

void sa_cuda_attention(sa_stream *stream, const sa_attention_args *args)
{
    SA_ASSERT(args->head_dim >= 1 && args->head_dim <= 128 && args->heads <= SA_CUDA_MOST_YZ);
    SA_ASSERT(args->dtype <= SA_BF16 && (args->dtype == SA_F32 || args->head_dim % 2 == 0));
    for (size_t i = 0; i < args->count; i++) {
        SA_ASSERT(args->items[i].k_count >= 1 && args->items[i].k_count <= INT32_MAX / 2);
    }
    for (size_t first = 0; first < args->count; first += ATTENTION_ITEMS) {
        size_t left = args->count - first;
        launch_items(stream, args, first, left < ATTENTION_ITEMS ? left : ATTENTION_ITEMS);
    }
}
