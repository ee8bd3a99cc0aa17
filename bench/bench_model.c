/* What the benches of whole models share: the picture, and the ceilings at the model's own shapes. */
#include "bench/bench.h"

#include <stdlib.h>

#include "runtime/base/philox.h"

enum { SIDE = 1280 };

sa_status sa_bench_picture(const sa_cli *cli, const char *file, sa_image *picture, sa_error *err)
{
    if (file != NULL) {
        return sa_image_read(file, NULL, picture, err);
    }
    SA_TRY(sa_image_new(SIDE * 3 / 4, SIDE, picture, err));
    size_t bytes = 3 * picture->height * picture->width;
    for (size_t i = 0; i < bytes; i += 4) {
        sa_philox block = sa_philox_block((uint64_t)cli->common.seed, i, 1);
        for (size_t j = i; j < i + 4 && j < bytes; j++) {
            picture->pixels[j] = (uint8_t)(block.word[j - i] >> 24);
        }
    }
    return SA_OK;
}

sa_status sa_bench_ceilings_open(sa_bench_ceilings *ceilings, sa_device *device, sa_stream *stream,
                                 size_t tokens, size_t hidden, size_t mlp, sa_dtype precision,
                                 sa_bench_case *cases, size_t *count, sa_error *err)
{
    const struct {
        const char *name;
        size_t n, k;
    } shapes[] = {
        {"qkv", 3 * hidden, hidden}, {"proj", hidden, hidden}, {"mlp1", mlp, hidden}, {"mlp2", hidden, mlp}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        SA_TRY(sa_bench_gemm_pair_open(&ceilings->gemms[i], device, stream, shapes[i].name, tokens,
                                       shapes[i].n, shapes[i].k, precision, cases, count, err));
    }
    if (!sa_device_reads_host(device)) {
        return SA_OK; /* the host's memory is no ceiling of this device; it declares its own */
    }
    SA_TRY(sa_bench_memory_open(&ceilings->memory, sa_device_pool(device), SA_BENCH_MEMORY_BYTES, err));
    sa_bench_case *c = &cases[(*count)++];
    *c = sa_bench_case_new(SA_BENCH_CEILING_BYTES, "memory-read", "256 MiB", precision);
    c->run = sa_bench_memory_run;
    c->context = ceilings->memory;
    c->bytes = SA_BENCH_MEMORY_BYTES;
    return SA_OK;
}

void sa_bench_ceilings_close(sa_bench_ceilings *ceilings)
{
    sa_bench_memory_close(ceilings->memory);
    for (size_t i = 0; i < sizeof ceilings->gemms / sizeof *ceilings->gemms; i++) {
        sa_bench_gemm_pair_close(&ceilings->gemms[i]);
    }
}

/* ---- a model's bench ---- */

sa_status sa_bench_model_open(sa_bench_model *m, sa_error *err)
{
    m->cases = calloc(SA_BENCH_MOST_CASES, sizeof *m->cases);
    if (m->cases == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the measurements");
    }
    SA_TRY(sa_cli_open_device(m->cli, &m->device, err));
    SA_TRY(sa_cli_choose_precision(m->cli, m->device, &m->precision, err));
    return sa_stream_open(&m->stream, m->device, err);
}

void sa_bench_model_close(sa_bench_model *m)
{
    sa_bench_ceilings_close(&m->ceilings);
    if (m->stream != NULL) {
        sa_stream_close(m->stream);
    }
    if (m->device != NULL) {
        sa_device_close(m->device);
    }
    free(m->cases);
}

sa_bench_case *sa_bench_model_add(sa_bench_model *m, const char *name, const char *shape,
                                  sa_status (*run)(void *context, sa_error *err), void *context)
{
    sa_bench_case *c = &m->cases[m->count++];
    *c = sa_bench_case_new(SA_BENCH_WORK, name, shape, m->precision);
    c->run = run;
    c->context = context;
    return c;
}

sa_status sa_bench_model_add_ceilings(sa_bench_model *m, size_t tokens, size_t hidden, size_t mlp,
                                      sa_error *err)
{
    return sa_bench_ceilings_open(&m->ceilings, m->device, m->stream, tokens, hidden, mlp, m->precision,
                                  m->cases, &m->count, err);
}

sa_status sa_bench_model_measure(sa_bench_model *m, sa_error *err)
{
    sa_log log = m->cli->log;
    long long total = (long long)(m->count * m->options->repeats);
    sa_progress progress = sa_progress_start(&log, "bench", sa_device_name(m->device), total);
    sa_status status = sa_bench_measure(m->cases, m->count, m->options->repeats, &progress, err);
    sa_progress_end(&progress, total);
    return status;
}

void sa_bench_model_print(sa_bench_model *m)
{
    sa_bench_frame frame = {.device = sa_device_name(m->device),
                            .threads = sa_pool_threads(sa_device_pool(m->device))};
    sa_bench_find_ceilings(m->device, m->cases, m->count, m->precision, &frame);
    if (m->cli->common.json) {
        sa_bench_print_json(m->cases, m->count, &frame, stdout);
    } else {
        sa_bench_print_table(m->cases, m->count, &frame, stdout);
    }
}

sa_status sa_bench_model_kernels(sa_bench_model *m, const char *what,
                                 sa_status (*run)(void *context, sa_error *err), void *context, sa_error *err)
{
    return sa_bench_kernels(m->device, what, m->precision, m->cli->common.json, run, context, err);
}
