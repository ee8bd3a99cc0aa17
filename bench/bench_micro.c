/*
 * segagent bench micro: the decoder's ops at the shapes of a language model of 1 to 3 billion parameters:
 * products of 1 to 640 rows with weights larger than the caches, and attention over pages, beside the reading
 * of memory and the best product of the same run.
 */
#include <stdlib.h>

#include "bench/bench.h"

enum { ROWS = 5, MOST_FORKS = 16, MEMORY = 256 << 20, WIDE = 32768, HIDDEN_SIZE = 2048 };

static const size_t row_counts[ROWS] = {1, 2, 8, 64, 640};

/* `items` sequences of `keys` tokens, of which the last `queries` are new and the first `shared` are common.
 */
typedef struct {
    const char *name;
    size_t items, queries, keys, shared, heads, kv_heads, head_dim;
} paged_shape;

static const paged_shape paged_shapes[] = {
    {"attention-decode", 16, 1, 2048, 0, 32, 8, 128},   {"attention-decode", 16, 1, 640, 0, 16, 16, 64},
    {"attention-forks", 8, 1, 640, 608, 32, 32, 128},   {"attention-prefill", 1, 640, 640, 0, 32, 8, 128},
    {"attention-prefill", 1, 2048, 2048, 0, 16, 8, 64},
};
enum { PAGED = sizeof paged_shapes / sizeof paged_shapes[0] };

typedef struct {
    sa_device *device;
    sa_stream *stream;
    sa_attention_paged_args args;
    sa_attention_paged_item items[MOST_FORKS];
    void *blocks[6];
    size_t block_count;
    size_t pool_pages;
} paged;

typedef struct {
    const sa_cli *cli;
    sa_device *device;
    sa_stream *stream;
    sa_bench_gemm_pair gemms[ROWS];
    paged paged[PAGED];
    sa_bench_memory *memory;
    sa_bench_case *cases;
    size_t count;
    sa_dtype precision;
} bench;

static sa_status run_paged(void *context, sa_error *err)
{
    paged *p = context;
    sa_device_ops(p->device)->attention_paged(p->stream, &p->args);
    return sa_stream_wait(p->stream, err);
}

static sa_status take(paged *p, size_t bytes, void **out, sa_error *err)
{
    SA_TRY(sa_device_alloc(p->device, bytes, "the bench's sequences", out, err));
    p->blocks[p->block_count++] = *out;
    return SA_OK;
}

/* Each sequence's pages in order, those of the beginning being the first one's. */
static sa_status list_pages(paged *p, const paged_shape *shape, sa_error *err)
{
    size_t each = (shape->keys + SA_KV_PAGE - 1) / SA_KV_PAGE, common = shape->shared / SA_KV_PAGE;
    int32_t *list = malloc(shape->items * each * sizeof *list), fresh = 0;
    if (list == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    for (size_t i = 0; i < shape->items; i++) {
        p->items[i] = (sa_attention_paged_item){.q_row = (uint32_t)(i * shape->queries),
                                                .q_count = (uint32_t)shape->queries,
                                                .k_count = (uint32_t)shape->keys,
                                                .first_page = (uint32_t)(i * each),
                                                .shared = i == 0 ? 0 : (uint32_t)common};
        for (size_t page = 0; page < each; page++) {
            list[i * each + page] = i > 0 && page < common ? list[page] : fresh++;
        }
    }
    void *pages;
    sa_status status = take(p, shape->items * each * sizeof *list, &pages, err);
    if (status == SA_OK) {
        sa_stream_upload(p->stream, pages, list, shape->items * each * sizeof *list);
        status = sa_stream_wait(p->stream, err);
    }
    free(list);
    p->args.pages = pages;
    p->pool_pages = (size_t)fresh;
    return status;
}

static sa_status open_paged(paged *p, bench *b, const paged_shape *shape, sa_error *err)
{
    size_t size = sa_dtype_size(b->precision), hidden = shape->heads * shape->head_dim;
    size_t rows = shape->items * shape->queries * hidden;
    void *q, *k, *v, *out, *workspace;
    *p = (paged){.device = b->device, .stream = b->stream};
    SA_TRY(list_pages(p, shape, err));
    size_t pool = p->pool_pages * SA_KV_PAGE * shape->kv_heads * shape->head_dim;
    SA_TRY(take(p, rows * size, &q, err));
    SA_TRY(take(p, rows * size, &out, err));
    SA_TRY(take(p, pool * size, &k, err));
    SA_TRY(take(p, pool * size, &v, err));
    SA_TRY(sa_bench_fill(b->device, b->stream, q, b->precision, rows, 1, err));
    SA_TRY(sa_bench_fill(b->device, b->stream, k, b->precision, pool, 2, err));
    SA_TRY(sa_bench_fill(b->device, b->stream, v, b->precision, pool, 3, err));
    p->args = (sa_attention_paged_args){.count = shape->items,
                                        .heads = shape->heads,
                                        .kv_heads = shape->kv_heads,
                                        .head_dim = shape->head_dim,
                                        .items = p->items,
                                        .pages = p->args.pages,
                                        .dtype = b->precision,
                                        .q = q,
                                        .ldq = hidden,
                                        .k_pages = k,
                                        .v_pages = v,
                                        .out = out,
                                        .ldo = hidden};
    SA_TRY(
        take(p, sa_device_ops(b->device)->attention_paged_workspace(b->stream, &p->args), &workspace, err));
    p->args.workspace = workspace;
    return SA_OK;
}

static sa_status add_paged(bench *b, size_t index, sa_error *err)
{
    const paged_shape *shape = &paged_shapes[index];
    char text[64];
    snprintf(text, sizeof text, "%zux%zu new, %zu keys, %zu on %zu of %zu", shape->items, shape->queries,
             shape->keys, shape->heads, shape->kv_heads, shape->head_dim);
    SA_TRY(open_paged(&b->paged[index], b, shape, err));
    sa_bench_case *c = &b->cases[b->count++];
    *c = sa_bench_case_new(SA_BENCH_WORK, shape->name, text, b->precision);
    c->run = run_paged;
    c->context = &b->paged[index];
    size_t pool = b->paged[index].pool_pages * SA_KV_PAGE * shape->kv_heads * shape->head_dim;
    size_t rows = shape->items * shape->queries * shape->heads * shape->head_dim;
    double seen = (double)shape->keys - 0.5 * (double)(shape->queries - 1); /* of a query, on average */
    c->bytes = 2.0 * (double)(pool + rows) * (double)sa_dtype_size(b->precision);
    c->flops = 4.0 * (double)rows * seen;
    return SA_OK;
}

static sa_status set_up(bench *b, sa_error *err)
{
    SA_TRY(sa_cli_open_device(b->cli, &b->device, err));
    SA_TRY(sa_stream_open(&b->stream, b->device, err));
    SA_TRY(sa_cli_choose_precision(b->cli, b->device, &b->precision, err));
    b->cases = calloc(SA_BENCH_MOST_CASES, sizeof *b->cases);
    if (b->cases == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the measurements");
    }
    for (size_t i = 0; i < ROWS; i++) {
        SA_TRY(sa_bench_gemm_pair_open(&b->gemms[i], b->device, b->stream, "", row_counts[i], WIDE,
                                       HIDDEN_SIZE, b->precision, b->cases, &b->count, err));
    }
    for (size_t i = 0; i < PAGED; i++) {
        SA_TRY(add_paged(b, i, err));
    }
    if (sa_device_reads_host(b->device)) {
        SA_TRY(sa_bench_memory_open(&b->memory, sa_device_pool(b->device), MEMORY, err));
        sa_bench_case *c = &b->cases[b->count++];
        *c = sa_bench_case_new(SA_BENCH_CEILING_BYTES, "memory-read", "256 MiB", b->precision);
        c->run = sa_bench_memory_run;
        c->context = b->memory;
        c->bytes = MEMORY;
    }
    return SA_OK;
}

static sa_status run(bench *b, const sa_bench_options *options, sa_error *err)
{
    SA_TRY(set_up(b, err));
    sa_log log = b->cli->log;
    long long total = (long long)(b->count * options->repeats);
    sa_progress progress = sa_progress_start(&log, "bench", sa_device_name(b->device), total);
    sa_status status = sa_bench_measure(b->cases, b->count, options->repeats, &progress, err);
    sa_progress_end(&progress, total);
    SA_TRY(status);
    sa_bench_frame frame = {.device = sa_device_name(b->device),
                            .threads = sa_pool_threads(sa_device_pool(b->device))};
    sa_bench_find_ceilings(b->device, b->cases, b->count, b->precision, &frame);
    (b->cli->common.json ? sa_bench_print_json : sa_bench_print_table)(b->cases, b->count, &frame, stdout);
    for (size_t i = 0; i < PAGED; i++) { /* nothing where the device has no profile */
        SA_TRY(sa_bench_kernels(b->device, paged_shapes[i].name, b->precision, b->cli->common.json, run_paged,
                                &b->paged[i], err));
    }
    return SA_OK;
}

sa_status sa_bench_micro(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the measurements");
    }
    b->cli = cli;
    sa_status status = run(b, options, err);
    sa_bench_memory_close(b->memory);
    for (size_t i = 0; i < ROWS; i++) {
        sa_bench_gemm_pair_close(&b->gemms[i]);
    }
    for (size_t i = 0; i < PAGED; i++) {
        for (size_t block = 0; block < b->paged[i].block_count; block++) {
            sa_device_free(b->device, b->paged[i].blocks[block]);
        }
    }
    if (b->stream != NULL) {
        sa_stream_close(b->stream);
    }
    if (b->device != NULL) {
        sa_device_close(b->device);
    }
    free(b->cases);
    free(b);
    return status;
}
