/*
 * Launcher of attention_paged. Items of few rows and items of many go in launches of their own, PAGED_ITEMS
 * of them at a time, inside the arguments; the former take a second launch, which combines, if any of them
 * has partial results. Launches use the same workspace, one after another.
 */
#include "kernels/cuda/attention_paged.h"

#include <math.h>

#include "kernels/cuda/launchers.h"

static size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of one kv head. */
static size_t item_rows(const sa_attention_paged_args *args, const sa_attention_paged_item *item)
{
    return item->q_count * (args->heads / args->kv_heads);
}

static size_t item_splits(const sa_attention_paged_item *item)
{
    return ceil_div(item->k_count, PAGED_SPLIT);
}

static bool is_whole(const sa_attention_paged_args *args, const sa_attention_paged_item *item)
{
    return item_rows(args, item) > PAGED_ROWS;
}

/* Floats of an item's partial results, a multiple of 8 so that the next item's are aligned. */
static size_t item_partials(const sa_attention_paged_args *args, const sa_attention_paged_item *item)
{
    size_t rows = args->heads * item_splits(item) * item->q_count;
    return !is_whole(args, item) && item_splits(item) > 1 ? ceil_div(rows * (args->head_dim + 2), 8) * 8 : 0;
}

/*
 * Enough for every smaller batch, as the contract asks: as if all queries were of items with few rows, as
 * many as a launch takes, and all of the longest sequence.
 */
size_t sa_cuda_attention_paged_workspace(const sa_stream *stream, const sa_attention_paged_args *args)
{
    (void)stream;
    size_t queries = 0, splits = 0, items = smaller(args->count, PAGED_ITEMS);
    for (size_t i = 0; i < args->count; i++) {
        queries += args->items[i].q_count;
        size_t own = item_splits(&args->items[i]);
        splits = own > splits ? own : splits;
    }
    size_t few = smaller(queries, items * (PAGED_ROWS / (args->heads / args->kv_heads)));
    return splits > 1 ? (args->heads * splits * few * (args->head_dim + 2) + 8 * items) * sizeof(float) : 0;
}

static sa_paged_launch begin_launch(const sa_attention_paged_args *args, bool whole)
{
    size_t size = sa_dtype_size(args->dtype);
    bool whole_units = args->head_dim * size % 16 == 0;
    return (sa_paged_launch){
        .q = args->q,
        .k_pages = args->k_pages,
        .v_pages = args->v_pages,
        .out = args->out,
        .partials = args->workspace,
        .pages = args->pages,
        .ldq = args->ldq,
        .ldo = args->ldo,
        .heads = (int)args->heads,
        .kv_heads = (int)args->kv_heads,
        .head_dim = (int)args->head_dim,
        .vector = whole_units && sa_cuda_aligned(args->k_pages, 16) && sa_cuda_aligned(args->v_pages, 16),
        .vector_q = whole_units && args->ldq * size % 16 == 0 && sa_cuda_aligned(args->q, 16),
        .pairs = args->ldo % 2 == 0 && sa_cuda_aligned(args->out, 2 * size),
        .dtype = (int)args->dtype,
        .whole = whole,
        .scale = 1.44269504f / sqrtf((float)args->head_dim),
    };
}

#define BY_DTYPE(kind, d)                                                                                    \
    sa_cuda_by_dtype(dtype, SA_CUDA_attention_paged_##d##_f32, SA_CUDA_attention_##kind##_##d,               \
                     SA_CUDA_attention_##kind##_##d##_f16)

static sa_cuda_kernel choose_kernel(sa_dtype dtype, size_t d, bool whole)
{
    if (whole) {
        return d <= 32   ? BY_DTYPE(paged_whole, 32)
               : d <= 64 ? BY_DTYPE(paged_whole, 64)
                         : BY_DTYPE(paged_whole, 128);
    }
    return d <= 32 ? BY_DTYPE(paged, 32) : d <= 64 ? BY_DTYPE(paged, 64) : BY_DTYPE(paged, 128);
}

/*
 * Pages that item i may read together with the one before it: none beyond that one's own, and none if the run
 * of items that it would lengthen, of *run rows, got more than a block has.
 */
static size_t shared_pages(const sa_attention_paged_args *args, size_t i, bool first, size_t *run)
{
    const sa_attention_paged_item *item = &args->items[i];
    size_t rows = item_rows(args, item), shared = 0;
    if (!first) {
        size_t before = ceil_div(args->items[i - 1].k_count, SA_KV_PAGE);
        shared = smaller(smaller(item->shared, before), ceil_div(item->k_count, SA_KV_PAGE));
    }
    if (shared == 0 || *run + rows > PAGED_ROWS) {
        *run = rows;
        return 0;
    }
    *run += rows;
    return shared;
}

/* Useful work and least traffic of one item: its query-key pairs, and the keys that no item before it has. */
static void count_work(const sa_attention_paged_args *args, const sa_attention_paged_item *item,
                       sa_cuda_launch_args *launched)
{
    double size = (double)sa_dtype_size(args->dtype), d = (double)args->head_dim;
    double q = (double)item->q_count, k = (double)item->k_count;
    double shared = smaller(item->shared * (size_t)SA_KV_PAGE, item->k_count);
    launched->flops += 4.0 * d * (double)args->heads * q * (k - (q - 1.0) / 2.0);
    launched->bytes += 2.0 * d * size * (q * (double)args->heads + (k - shared) * (double)args->kv_heads);
}

/* A launch in the making. */
typedef struct {
    sa_paged_launch args;
    sa_cuda_launch_args launched;
    bool whole;
    size_t blocks, partials, run; /* run: rows of the run of items that the last one belongs to */
    size_t last;                  /* index of the last item */
} batch;

static void add_item(batch *b, const sa_attention_paged_args *args, size_t i)
{
    const sa_attention_paged_item *item = &args->items[i];
    bool first = b->whole || b->args.count == 0 || b->last + 1 != i;
    b->args.items[b->args.count++] = (sa_paged_item){
        .q_row = item->q_row,
        .q_count = item->q_count,
        .k_count = item->k_count,
        .first_page = item->first_page,
        .shared = (uint32_t)shared_pages(args, i, first, &b->run),
        .first_block = sa_cuda_blocks(b->blocks, 1),
        .partial = b->partials,
    };
    b->blocks += b->whole ? ceil_div(item_rows(args, item), PAGED_ROWS) : item_splits(item);
    b->partials += item_partials(args, item);
    b->last = i;
    count_work(args, item, &b->launched);
}

/* Puts the partial results together: a warp for each query of the items that have some. */
static void combine(sa_stream *stream, batch *b)
{
    size_t blocks = 0;
    for (int i = 0; i < b->args.count; i++) {
        sa_paged_item *item = &b->args.items[i];
        item->first_block = sa_cuda_blocks(blocks, 1);
        blocks += item->k_count > PAGED_SPLIT ? ceil_div(item->q_count, PAGED_THREADS / 32) : 0;
    }
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_attention_paged_combine_f32,
                               .grid = {sa_cuda_blocks(blocks, 1), (unsigned)b->args.heads, 1},
                               .block = {PAGED_THREADS, 1, 1},
                               .args = &b->args,
                               .args_bytes = sizeof b->args,
                               .bytes = (double)b->partials * sizeof(float),
                           });
}

static void run_batch(sa_stream *stream, const sa_attention_paged_args *args, batch *b)
{
    b->launched.kernel = choose_kernel(args->dtype, args->head_dim, b->whole);
    b->launched.grid = (sa_cuda_dim){sa_cuda_blocks(b->blocks, 1), (unsigned)args->kv_heads, 1};
    b->launched.block = (sa_cuda_dim){args->dtype == SA_F32 ? PAGED_F32_THREADS : PAGED_THREADS, 1, 1};
    b->launched.args = &b->args;
    b->launched.args_bytes = sizeof b->args;
    sa_cuda_launch(stream, &b->launched);
    if (b->partials != 0) {
        combine(stream, b);
    }
}

/* All items of one kind. */
static void run_items(sa_stream *stream, const sa_attention_paged_args *args, bool whole)
{
    batch b = {.args = begin_launch(args, whole), .whole = whole};
    for (size_t i = 0; i < args->count; i++) {
        if (is_whole(args, &args->items[i]) == whole) {
            add_item(&b, args, i);
        }
        if (b.args.count == PAGED_ITEMS || (i + 1 == args->count && b.args.count > 0)) {
            run_batch(stream, args, &b);
            b = (batch){.args = begin_launch(args, whole), .whole = whole};
        }
    }
}

void sa_cuda_attention_paged(sa_stream *stream, const sa_attention_paged_args *args)
{
    SA_ASSERT(args->head_dim >= 16 && args->head_dim <= 128 && args->head_dim % 2 == 0);
    SA_ASSERT(args->heads <= SA_CUDA_MOST_YZ && args->kv_heads >= 1 && args->heads % args->kv_heads == 0);
    SA_ASSERT(args->dtype <= SA_BF16);
    for (size_t i = 0; i < args->count; i++) {
        const sa_attention_paged_item *item = &args->items[i];
        SA_ASSERT(item->q_count >= 1 && item->q_count <= item->k_count && item->k_count <= INT32_MAX / 2);
        SA_ASSERT(item_rows(args, item) <= INT32_MAX / 2);
    }
    run_items(stream, args, true);
    run_items(stream, args, false);
}
