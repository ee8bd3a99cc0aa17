/* What the benches of whole models share: the picture, and the ceilings at the model's own shapes. */
#include "bench/bench.h"

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
