/* What the machine can do: our own GEMM through the op table, and the reading of memory by all threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "runtime/base/checked.h"
#include "runtime/base/philox.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

struct sa_bench_gemm {
    sa_device *device;
    sa_stream *stream;
    sa_gemm_args args;
    void *a, *w, *packed, *c;
};

/* Numbers in [-1, 1), the same on every machine. */
static void fill(void *out, sa_dtype dtype, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i += 4) {
        sa_philox block = sa_philox_block(seed, i, 0);
        for (size_t j = i; j < i + 4 && j < count; j++) {
            float value = 2.0f * sa_philox_unit(block.word[j - i]) - 1.0f;
            if (dtype == SA_BF16) {
                ((sa_bf16 *)out)[j] = sa_bf16_from_f32(value);
            } else {
                ((float *)out)[j] = value;
            }
        }
    }
}

static sa_status take(sa_bench_gemm *g, size_t rows, size_t columns, sa_dtype dtype, void **out,
                      sa_error *err)
{
    size_t bytes;
    if (!sa_mul_size(rows, columns, &bytes) || !sa_mul_size(bytes, sa_dtype_size(dtype), &bytes)) {
        return sa_fail(err, SA_NO_ROOM, "--shape", "take a smaller one", "the matrices do not fit in memory");
    }
    return sa_device_alloc(g->device, bytes, "the bench's matrices", out, err);
}

sa_status sa_bench_fill(sa_device *device, sa_stream *stream, void *out, sa_dtype dtype, size_t count,
                        uint64_t seed, sa_error *err)
{
    if (sa_device_reads_host(device)) {
        fill(out, dtype, count, seed);
        return SA_OK;
    }
    void *host = malloc(count * sa_dtype_size(dtype));
    if (host == NULL) {
        return sa_fail(err, SA_NO_ROOM, "--shape", "take a smaller one", "the matrices do not fit in memory");
    }
    fill(host, dtype, count, seed);
    sa_stream_upload(stream, out, host, count * sa_dtype_size(dtype));
    sa_status status = sa_stream_wait(stream, err);
    free(host);
    return status;
}

static sa_status fill_gemm(sa_bench_gemm *g, sa_error *err)
{
    sa_gemm_args *args = &g->args;
    const sa_ops *ops = sa_device_ops(g->device);
    size_t m = args->m, n = args->n, k = args->k, bytes = ops->gemm_packed_bytes(n, k, args->dtype);
    SA_TRY(take(g, m, k, args->dtype, &g->a, err));
    SA_TRY(take(g, n, k, args->dtype, &g->w, err));
    SA_TRY(take(g, m, n, args->dtype, &g->c, err));
    if (bytes == 0) {
        return sa_fail(err, SA_NO_ROOM, "--shape", "take a smaller one",
                       "the packed matrix does not fit in memory");
    }
    SA_TRY(sa_device_alloc(g->device, bytes, "the bench's packed matrix", &g->packed, err));
    SA_TRY(sa_bench_fill(g->device, g->stream, g->a, args->dtype, m * k, 1, err));
    SA_TRY(sa_bench_fill(g->device, g->stream, g->w, args->dtype, n * k, 2, err));
    const sa_gemm_pack_args pack = {.n = n,
                                    .k = k,
                                    .source = g->w,
                                    .source_dtype = args->dtype,
                                    .packed = g->packed,
                                    .dtype = args->dtype};
    ops->gemm_pack(g->stream, &pack);
    args->a = g->a;
    args->w = g->packed;
    args->c = g->c;
    return sa_stream_wait(g->stream, err);
}

sa_status sa_bench_gemm_open(sa_bench_gemm **gemm, sa_device *device, sa_stream *stream, size_t m, size_t n,
                             size_t k, sa_dtype dtype, sa_error *err)
{
    sa_bench_gemm *g = calloc(1, sizeof *g);
    *gemm = NULL;
    if (g == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    g->device = device;
    g->stream = stream;
    g->args = (sa_gemm_args){.m = m, .n = n, .k = k, .dtype = dtype, .lda = k, .c_dtype = dtype, .ldc = n};
    sa_status status = fill_gemm(g, err);
    if (status != SA_OK) {
        sa_bench_gemm_close(g);
        return status;
    }
    *gemm = g;
    return SA_OK;
}

void sa_bench_gemm_close(sa_bench_gemm *g)
{
    if (g == NULL) {
        return;
    }
    void *const blocks[] = {g->a, g->w, g->packed, g->c};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (blocks[i] != NULL) {
            sa_device_free(g->device, blocks[i]);
        }
    }
    free(g);
}

sa_status sa_bench_gemm_run(void *context, sa_error *err)
{
    sa_bench_gemm *g = context;
    sa_device_ops(g->device)->gemm(g->stream, &g->args);
    return sa_stream_wait(g->stream, err);
}

const void *sa_bench_gemm_a(const sa_bench_gemm *g)
{
    return g->a;
}

const void *sa_bench_gemm_w(const sa_bench_gemm *g)
{
    return g->w;
}

static double value_at(const void *values, sa_dtype dtype, size_t i)
{
    return dtype == SA_BF16 ? (double)sa_bf16_to_f32(((const sa_bf16 *)values)[i])
                            : (double)((const float *)values)[i];
}

double sa_bench_gemm_difference(const sa_bench_gemm *ours, const void *other, sa_dtype dtype)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < ours->args.m * ours->args.n; i++) {
        double value = value_at(ours->c, dtype, i), difference = fabs(value - value_at(other, dtype, i));
        if (!(difference <= worst)) {
            worst = difference; /* NaN stays: it is no agreement */
        }
        largest = fmax(largest, fabs(value));
    }
    return largest > 0 ? worst / largest : worst;
}

sa_status sa_bench_gemm_pair_open(sa_bench_gemm_pair *pair, sa_device *device, sa_stream *stream,
                                  const char *name, size_t m, size_t n, size_t k, sa_dtype dtype,
                                  sa_bench_case *cases, size_t *count, sa_error *err)
{
    char title[40], shape[64];
    *pair = (sa_bench_gemm_pair){0};
    SA_TRY(sa_bench_gemm_open(&pair->ours, device, stream, m, n, k, dtype, err));
    snprintf(title, sizeof title, "gemm%s%.30s", name[0] != '\0' ? "-" : "", name);
    snprintf(shape, sizeof shape, "m=%zu n=%zu k=%zu", m, n, k);
    sa_bench_case *c = &cases[(*count)++];
    *c = sa_bench_case_new(SA_BENCH_CEILING_FLOPS, title, shape, dtype);
    c->run = sa_bench_gemm_run;
    c->context = pair->ours;
    c->flops = 2.0 * (double)m * (double)n * (double)k;
    c->bytes = (double)(m * k + n * k + m * n) * (double)sa_dtype_size(dtype);
    int threads = sa_pool_threads(sa_device_pool(device));
    if (!sa_onednn_available() || !sa_device_reads_host(device)) {
        return SA_OK;
    }
    SA_TRY(sa_onednn_gemm_open(&pair->onednn, m, n, k, dtype, pair->ours->a, pair->ours->w, threads, err));
    sa_bench_case *other = &cases[(*count)++];
    *other = *c;
    snprintf(other->name, sizeof other->name, "onednn%s%.30s", name[0] != '\0' ? "-" : "", name);
    other->run = sa_onednn_gemm_run;
    other->context = pair->onednn;
    return SA_OK;
}

void sa_bench_gemm_pair_close(sa_bench_gemm_pair *pair)
{
    sa_bench_gemm_close(pair->ours);
    sa_onednn_gemm_close(pair->onednn);
    *pair = (sa_bench_gemm_pair){0};
}

/* ---- memory ---- */

enum {
    MEMORY_PIECE = 1 << 20, /* bytes of one task: many per thread, so that a slow thread gets fewer */
    HUGE_PAGE = 2 << 20,
    FETCH_LINES = 128, /* how far ahead to fetch, in cache lines */
};

struct sa_bench_memory {
    sa_pool *pool;
    unsigned char *bytes;
    size_t pieces;
    uint64_t *sums; /* [pieces]: something must come of the reading, or it is left out */
};

typedef uint64_t lanes __attribute__((vector_size(64), aligned(64)));

static void read_piece(void *context, size_t task, int worker)
{
    const sa_bench_memory *m = context;
    const lanes *at = (const lanes *)(const void *)(m->bytes + task * MEMORY_PIECE);
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    (void)worker;
    for (size_t i = 0; i < MEMORY_PIECE / sizeof *at; i += 4) {
        for (size_t line = 0; line < 4;
             line++) { /* the fastest way to read: faster than the processor's own guess */
            __builtin_prefetch(&at[i + line + FETCH_LINES]);
        }
        a += at[i];
        b += at[i + 1];
        c += at[i + 2];
        d += at[i + 3];
    }
    a += b + c + d;
    m->sums[task] = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

sa_status sa_bench_memory_open(sa_bench_memory **memory, sa_pool *pool, size_t bytes, sa_error *err)
{
    sa_bench_memory *m = calloc(1, sizeof *m);
    *memory = m;
    if (m == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    m->pool = pool;
    m->pieces = bytes / MEMORY_PIECE;
    m->bytes = aligned_alloc(HUGE_PAGE, m->pieces * MEMORY_PIECE);
    m->sums = calloc(m->pieces, sizeof *m->sums);
    if (m->bytes == NULL || m->sums == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory to measure its speed with");
    }
#if defined(__linux__)
    madvise(m->bytes, m->pieces * MEMORY_PIECE, MADV_HUGEPAGE); /* as weights have them */
#endif
    memset(m->bytes, 1, m->pieces * MEMORY_PIECE); /* real pages, not the shared page of zeros */
    return SA_OK;
}

void sa_bench_memory_close(sa_bench_memory *m)
{
    if (m != NULL) {
        free(m->bytes);
        free(m->sums);
        free(m);
    }
}

sa_status sa_bench_memory_run(void *context, sa_error *err)
{
    sa_bench_memory *m = context;
    (void)err;
    sa_pool_run(m->pool, m->pieces, read_piece, m);
    return SA_OK;
}
