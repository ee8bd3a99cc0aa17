/*
 * segagent bench gemm: our GEMM against oneDNN's, shape by shape, interleaved, with the ratio and the
 * agreement.
 */
#include <stdlib.h>

#include "bench/bench.h"

enum { MOST_SHAPES = 16 };

typedef struct {
    int64_t m, n, k;
} shape;

/* SAM ViT-B's layer over 1024 x 1024 pixels, its largest and a click's token shapes. */
static const shape usual[] = {{4096, 2304, 768},  {4096, 768, 768}, {4096, 3072, 768}, {4096, 768, 3072},
                              {4900, 3840, 1280}, {4096, 128, 256}, {7, 256, 256}};

static sa_status read_shapes(const sa_cli *cli, shape *shapes, size_t *count, sa_error *err)
{
    const sa_arguments *arguments = &cli->arguments;
    *count = 0;
    for (size_t i = 0; i < arguments->use_count; i++) {
        int64_t numbers[3];
        const char *text = arguments->uses[i].value;
        bool good = sa_parse_integers(text, 3, numbers) == 3;
        for (int axis = 0; good && axis < 3; axis++) {
            good = numbers[axis] >= 1 && numbers[axis] <= 1 << 20;
        }
        if (!good || *count == MOST_SHAPES) {
            return sa_fail(err, SA_BAD_USAGE, "--shape", "give M,N,K such as 4096,768,768, at most 16 times",
                           "\"%.100s\" is no shape", text);
        }
        shapes[(*count)++] = (shape){numbers[0], numbers[1], numbers[2]};
    }
    for (size_t i = 0; arguments->use_count == 0 && i < sizeof usual / sizeof usual[0]; i++) {
        shapes[(*count)++] = usual[i];
    }
    return SA_OK;
}

typedef struct {
    const sa_cli *cli;
    sa_device *device;
    sa_stream *stream;
    sa_bench_gemm_pair pairs[MOST_SHAPES];
    sa_bench_case *cases;
    size_t pair_count, count;
} bench;

static sa_status open_all(bench *b, const shape *shapes, size_t count, sa_dtype *precision, sa_error *err)
{
    SA_TRY(sa_cli_open_device(b->cli, &b->device, err));
    SA_TRY(sa_stream_open(&b->stream, b->device, err));
    SA_TRY(sa_cli_choose_precision(b->cli, b->device, precision, err));
    b->cases = calloc(2 * count, sizeof *b->cases);
    if (b->cases == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the measurements");
    }
    for (; b->pair_count < count; b->pair_count++) {
        const shape *s = &shapes[b->pair_count];
        SA_TRY(sa_bench_gemm_pair_open(&b->pairs[b->pair_count], b->device, b->stream, "", (size_t)s->m,
                                       (size_t)s->n, (size_t)s->k, *precision, b->cases, &b->count, err));
    }
    return SA_OK;
}

/* The cases stand in pairs; prints ours over theirs. */
static void print_ratios(const bench *b, sa_dtype precision)
{
    if (!sa_onednn_available()) {
        printf("oneDNN is not compiled in: no ratio\n");
        return;
    }
    if (b->count != 2 * b->pair_count) {
        return; /* a GPU: oneDNN has no part in it */
    }
    printf("\n| shape | ours / oneDNN (speed) | largest difference / largest value |\n|---|---:|---:|\n");
    for (size_t i = 0; i < b->pair_count; i++) {
        double ours = sa_bench_median(&b->cases[2 * i]), theirs = sa_bench_median(&b->cases[2 * i + 1]);
        double difference =
            sa_bench_gemm_difference(b->pairs[i].ours, sa_onednn_gemm_c(b->pairs[i].onednn), precision);
        printf("| %s | %.2f | %.2g |\n", b->cases[2 * i].shape, theirs / ours, difference);
    }
}

/* On a GPU: which kernel each shape took, by the device's clock; the rows above have a wait in every run. */
static sa_status print_kernels(const bench *b, sa_dtype precision, sa_error *err)
{
    for (size_t i = 0; b->count == b->pair_count && i < b->count; i++) {
        SA_TRY(sa_bench_kernels(b->device, b->cases[i].shape, precision, b->cli->common.json,
                                sa_bench_gemm_run, b->pairs[i].ours, err));
    }
    return SA_OK;
}

static sa_status run(bench *b, const sa_bench_options *options, sa_error *err)
{
    shape shapes[MOST_SHAPES];
    size_t count;
    sa_dtype precision;
    SA_TRY(read_shapes(b->cli, shapes, &count, err));
    SA_TRY(open_all(b, shapes, count, &precision, err));
    sa_log log = b->cli->log;
    long long total = (long long)(b->count * options->repeats);
    sa_progress progress = sa_progress_start(&log, "bench", sa_device_name(b->device), total);
    sa_status status = sa_bench_measure(b->cases, b->count, options->repeats, &progress, err);
    sa_progress_end(&progress, total);
    SA_TRY(status);
    sa_bench_frame frame = {.device = sa_device_name(b->device),
                            .threads = sa_pool_threads(sa_device_pool(b->device))};
    sa_bench_find_ceilings(b->device, b->cases, b->count, precision, &frame);
    if (b->cli->common.json) {
        sa_bench_print_json(b->cases, b->count, &frame, stdout);
    } else {
        sa_bench_print_table(b->cases, b->count, &frame, stdout);
        print_ratios(b, precision);
    }
    return print_kernels(b, precision, err);
}

sa_status sa_bench_gemms(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench b = {.cli = cli};
    sa_status status = run(&b, options, err);
    for (size_t i = 0; i < MOST_SHAPES; i++) {
        sa_bench_gemm_pair_close(&b.pairs[i]);
    }
    free(b.cases);
    if (b.stream != NULL) {
        sa_stream_close(b.stream);
    }
    if (b.device != NULL) {
        sa_device_close(b.device);
    }
    return status;
}
