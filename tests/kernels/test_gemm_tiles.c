/*
 * Each tile of the CUDA backend's gemm by itself (kernels/cuda/gemm.h), whatever the shape would choose:
 * right, and the same bits from all tiles of a dtype. That is what batch invariance stands on. Needs a GPU,
 * simulated or not (SEGAGENT_TEST_DEVICE=cuda).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

#ifdef SEGAGENT_CUDA
#include "kernels/cuda/gemm.h"

enum { SEED = 20240611 };

#define COUNT_TILE(...) +1
enum {
    TILES_BF16 = 0 GEMM_TILES(COUNT_TILE),
    TILES_F16 = 0 GEMM_TILES_F16(COUNT_TILE),
    TILES_F32 = 0 GEMM_TILES_F32(COUNT_TILE),
};

typedef struct {
    sa_dtype dtype, c_dtype;
    int tiles;
    size_t m, n, k, lda, ldc, ldr;
    sa_activation act;
    bool bias, residual;
} tile_case;

/*
 * Ragged in every axis, more than one tile of each kind in every axis, k shorter than the ring of stages, and
 * both ways to the end of a tile: 16 bytes at a time (aligned rows and whole tiles) and value by value.
 */
static const tile_case cases[] = {
    {SA_BF16, SA_F32, TILES_BF16, 141, 388, 264, 264, 392, 388, SA_ACT_GELU, true, true},
    {SA_BF16, SA_BF16, TILES_BF16, 133, 392, 200, 208, 392, 392, SA_ACT_RELU, true, false},
    {SA_BF16, SA_BF16, TILES_BF16, 129, 259, 98, 104, 259, 261, SA_ACT_NONE, false, true},
    {SA_BF16, SA_F32, TILES_BF16, 17, 770, 18, 24, 771, 770, SA_ACT_NONE, true, false},
    {SA_BF16, SA_F32, TILES_BF16, 1100, 40, 64, 64, 40, 40, SA_ACT_GELU, true, true},
    {SA_F16, SA_F16, TILES_F16, 133, 392, 200, 208, 392, 392, SA_ACT_GELU, true, false},
    {SA_F16, SA_F32, TILES_F16, 129, 131, 74, 80, 131, 131, SA_ACT_NONE, true, true},
    {SA_F32, SA_F32, TILES_F32, 141, 260, 136, 136, 260, 260, SA_ACT_GELU, true, true},
    {SA_F32, SA_BF16, TILES_F32, 133, 131, 77, 79, 135, 131, SA_ACT_RELU, true, false},
};

typedef struct {
    operand a, w;
    float *bias, *residual, *want;
    check_buffer packed;
    sa_gemm_args args;
} tile_data;

static tile_data make_data(const test_level *level, const tile_case *c, uint64_t seed)
{
    tile_data d = {
        .a = operand_new(c->dtype, (c->m - 1) * c->lda + c->k, 1.0f, seed),
        .w = operand_new(c->dtype, c->n * c->k, 1.0f, seed + 1),
        .bias = normal_new(c->n, 1.0f, seed + 2),
        .residual = normal_new(c->m * c->ldr, 1.0f, seed + 3),
        .want = malloc(c->m * c->n * sizeof(float)),
        .packed = check_buffer_new(level->ops->gemm_packed_bytes(c->n, c->k, c->dtype)),
    };
    level->ops->gemm_pack(level->stream, &(sa_gemm_pack_args){.n = c->n,
                                                              .k = c->k,
                                                              .source = d.w.stored,
                                                              .source_dtype = c->dtype,
                                                              .packed = d.packed.bytes,
                                                              .dtype = c->dtype});
    d.args = (sa_gemm_args){.m = c->m,
                            .n = c->n,
                            .k = c->k,
                            .dtype = c->dtype,
                            .a = d.a.stored,
                            .lda = c->lda,
                            .w = d.packed.bytes,
                            .bias = c->bias ? d.bias : NULL,
                            .act = c->act,
                            .residual = c->residual ? d.residual : NULL,
                            .ldr = c->ldr,
                            .c_dtype = c->c_dtype,
                            .ldc = c->ldc};
    ref_gemm(&d.args, d.a.value, d.w.value, d.want);
    return d;
}

static void free_data(tile_data *d)
{
    operand_free(&d->a);
    operand_free(&d->w);
    free(d->bias);
    free(d->residual);
    free(d->want);
    check_buffer_free(&d->packed);
}

static void check_result(const test_level *level, const tile_case *c, const tile_data *d,
                         const check_buffer *out, int tile, uint64_t seed)
{
    tolerance t = tolerance_gemm(c->k, 1.0, c->act, c->c_dtype);
    check_spec spec = {.label = label(level, "gemm %s->%s, tile %d, k %zu", sa_dtype_name(c->dtype),
                                      sa_dtype_name(c->c_dtype), tile, c->k),
                       .absolute = t.absolute,
                       .relative = t.relative,
                       .seed = seed,
                       .rank = 2,
                       .axes = {c->m, c->n}};
    void *rows = malloc(c->m * c->n * sa_dtype_size(c->c_dtype));
    gather_rows(rows, out->bytes, c->m, c->n, c->ldc, c->c_dtype);
    assert_true(check_close(rows, c->c_dtype, d->want, &spec));
    assert_true(gaps_untouched(out->bytes, c->m, c->n, c->ldc, c->c_dtype));
    free(rows);
}

static void check_tiles(const test_level *level, const tile_case *c, uint64_t seed)
{
    tile_data d = make_data(level, c, seed);
    size_t bytes = c->m * c->ldc * sa_dtype_size(c->c_dtype);
    check_buffer first = {0};
    for (int tile = 0; tile < c->tiles; tile++) {
        check_buffer out = check_buffer_new(bytes);
        d.args.c = out.bytes;
        sa_cuda_gemm_force(tile);
        level->ops->gemm(level->stream, &d.args);
        sa_cuda_gemm_force(-1);
        check_result(level, c, &d, &out, tile, seed);
        if (tile == 0) {
            first = out;
            continue;
        }
        assert_memory_equal(out.bytes, first.bytes, bytes);
        check_buffer_free(&out);
    }
    check_buffer_free(&first);
    free_data(&d);
}

static void test_tiles(void **state)
{
    const test_levels *levels = *state;
    if (strcmp(levels->level[0].ops->name, "cuda") != 0) {
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_tiles(&levels->level[0], &cases[i], SEED + 10 * i);
    }
}

#else

static void test_tiles(void **state)
{
    (void)state;
    skip(); /* a build without CUDA has no tiles */
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles)};
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
