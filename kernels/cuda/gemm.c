/* Launcher of gemm: checks the contract, chooses a tile by the shape and the device, never by data. */
#include "kernels/cuda/gemm.h"

#include "kernels/cuda/gemm_library.h"
#include "kernels/cuda/launchers.h"

typedef struct {
    sa_cuda_kernel kernel;
    unsigned rows, columns, threads;
    bool any;                /* takes rows of a of any alignment */
    unsigned percent, extra; /* gemm.h */
} gemm_choice;

#define BF16(name, m, n, wm, wn, k, stages, blocks, copy, percent, extra)                                    \
    {SA_CUDA_gemm_bf16_##name, m, n, 32 * (wm) * (wn), (copy) != 16, percent, extra},
#define F16(name, m, n, wm, wn, k, stages, blocks, copy, percent, extra)                                     \
    {SA_CUDA_gemm_f16_##name, m, n, 32 * (wm) * (wn), (copy) != 16, percent, extra},
#define F32(name, m, n, wm, wn, rows, groups, percent, extra)                                                \
    {SA_CUDA_gemm_f32_##name, m, n, 32 * (wm) * (wn), true, percent, extra},

static const gemm_choice tiles_bf16[] = {GEMM_TILES(BF16)};
static const gemm_choice tiles_f16[] = {GEMM_TILES_F16(F16)};
static const gemm_choice tiles_f32[] = {GEMM_TILES_F32(F32)};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* list.h must give each kernel the shared memory that its tile takes. */
enum {
#define SA_CUDA_KERNEL(name, shared_bytes) name##_bytes = (shared_bytes),
#include "kernels/cuda/list.h"
#undef SA_CUDA_KERNEL
};
#define CHECK_BF16(name, m, n, wm, wn, k, stages, blocks, copy, percent, extra)                              \
    _Static_assert(gemm_bf16_##name##_bytes == GEMM_SHARED(m, n, k, stages, 2), "list.h");
#define CHECK_F16(name, m, n, wm, wn, k, stages, blocks, copy, percent, extra)                               \
    _Static_assert(gemm_f16_##name##_bytes == GEMM_SHARED(m, n, k, stages, 2), "list.h");
#define CHECK_F32(name, m, n, wm, wn, rows, groups, percent, extra)                                          \
    _Static_assert(gemm_f32_##name##_bytes == GEMM_SHARED(m, n, GEMM_F32_K, GEMM_F32_STAGES, 4), "list.h");
GEMM_TILES(CHECK_BF16)
GEMM_TILES_F16(CHECK_F16)
GEMM_TILES_F32(CHECK_F32)

/*
 * The time per element of c and k in which the second-level cache brings a tile's operands, when all SMs ask,
 * in units of the tensor cores' time: 2540 flops a clock that an H100's SM gets from mma.sync, over 28 bytes
 * a clock from that cache. In f32 multiply-adds are ten times slower, and the cache does not matter.
 */
static double cache_share(const gemm_choice *tile, const sa_gemm_args *args)
{
    double rows =
        args->m < tile->rows ? (double)args->m : (double)tile->rows; /* rows past m are not fetched */
    double fetched = (rows + tile->columns) / ((double)tile->rows * tile->columns);
    return args->dtype == SA_F32 ? 0.0 : fetched * 2540.0 / 28.0;
}

/*
 * Estimated time of a tile for a shape: the tiles that the busiest SM computes, times a tile's size, times
 * its time per element: k, of what is slowest, and a block's beginning and end. A GELU of either kind costs
 * about as much again as the rest of the end.
 */
static double estimate(const gemm_choice *tile, const sa_gemm_args *args, size_t processors)
{
    size_t row_tiles = (args->m + tile->rows - 1) / tile->rows;
    size_t column_tiles = (args->n + tile->columns - 1) / tile->columns;
    size_t blocks = row_tiles * column_tiles, rounds = (blocks + processors - 1) / processors;
    double busy = blocks < processors ? (double)blocks / (double)processors : 1.0;
    double cache = cache_share(tile, args) * busy, own = tile->percent / 100.0;
    double extra = tile->extra * (args->act >= SA_ACT_GELU ? 2.0 : 1.0);
    return (double)rounds * tile->rows * tile->columns *
           ((double)args->k * (own > cache ? own : cache) + extra);
}

static bool rows_aligned(const void *base, size_t ld, sa_dtype dtype)
{
    return sa_cuda_aligned(base, 16) && ld * sa_dtype_size(dtype) % 16 == 0;
}

static int forced = -1;

void sa_cuda_gemm_force(int index)
{
    forced = index;
}

static const gemm_choice *best_of(const gemm_choice *list, size_t count, const sa_gemm_args *args,
                                  size_t processors)
{
    bool aligned = rows_aligned(args->a, args->lda, args->dtype);
    const gemm_choice *best = NULL;
    double least = 0.0;
    if (forced >= 0 && (size_t)forced < count && (aligned || list[forced].any)) {
        return &list[forced];
    }
    for (size_t i = 0; i < count; i++) {
        double time = estimate(&list[i], args, processors);
        if ((aligned || list[i].any) && (best == NULL || time < least)) {
            best = &list[i];
            least = time;
        }
    }
    return best;
}

static const gemm_choice *choose(const sa_gemm_args *args, size_t processors)
{
    switch (args->dtype) {
    case SA_F32: return best_of(tiles_f32, COUNT(tiles_f32), args, processors);
    case SA_F16: return best_of(tiles_f16, COUNT(tiles_f16), args, processors);
    default: return best_of(tiles_bf16, COUNT(tiles_bf16), args, processors);
    }
}

static void check_contract(const sa_gemm_args *args)
{
    SA_ASSERT(args->n >= 1 && args->k >= 1 && args->lda >= args->k && args->ldc >= args->n);
    SA_ASSERT(args->dtype == SA_F32 || args->k % 2 == 0);
    SA_ASSERT(args->dtype <= SA_BF16 && args->c_dtype <= SA_BF16);
    /* The epilogue of a 16-bit kernel knows f32 and its own type. */
    SA_ASSERT(args->dtype == SA_F32 || args->c_dtype == SA_F32 || args->c_dtype == args->dtype);
    SA_ASSERT(args->residual == NULL || args->ldr >= args->n);
    SA_ASSERT(args->m < INT32_MAX - 256 && args->n < INT32_MAX - 256 && args->k < INT32_MAX - 256);
    SA_ASSERT(args->residual_rows <= UINT32_MAX);
}

static double least_bytes(const sa_gemm_args *args)
{
    double m = (double)args->m, n = (double)args->n, k = (double)args->k;
    size_t cycle = args->residual_rows != 0 && args->residual_rows < args->m ? args->residual_rows : args->m;
    return (m + n) * k * (double)sa_dtype_size(args->dtype) + m * n * (double)sa_dtype_size(args->c_dtype) +
           (args->bias != NULL ? 4.0 * n : 0.0) + (args->residual != NULL ? 4.0 * n * (double)cycle : 0.0);
}

static sa_gemm_tile_args tile_args(const sa_gemm_args *args, const gemm_choice *tile)
{
    size_t row_tiles = (args->m + tile->rows - 1) / tile->rows;
    size_t column_tiles = (args->n + tile->columns - 1) / tile->columns;
    SA_ASSERT(column_tiles <= INT32_MAX / row_tiles && column_tiles < UINT32_MAX / GEMM_GROUP);
    bool f32 = args->dtype == SA_F32;
    size_t pack = f32 ? GEMM_PACK_N : GEMM_PACK_K, row = f32 ? args->n : args->k;
    return (sa_gemm_tile_args){
        .a = args->a,
        .w = args->w,
        .bias = args->bias,
        .residual = args->residual,
        .c = args->c,
        .lda = args->lda,
        .ldw = (row + pack - 1) / pack * pack,
        .ldc = args->ldc,
        .ldr = args->ldr,
        .m = (uint32_t)args->m,
        .n = (uint32_t)args->n,
        .k = (uint32_t)args->k,
        .residual_rows = (uint32_t)(args->residual_rows != 0 ? args->residual_rows : args->m),
        .row_tiles = (uint32_t)row_tiles,
        .column_tiles = (uint32_t)column_tiles,
        .act = (int32_t)args->act,
        .c_dtype = (int32_t)args->c_dtype,
        .vector_a = rows_aligned(args->a, args->lda, args->dtype),
        .vector_c = rows_aligned(args->c, args->ldc, args->c_dtype),
        .vector_r = rows_aligned(args->residual, args->ldr, SA_F32),
    };
}

void sa_cuda_gemm_own(sa_stream *stream, const sa_gemm_args *args)
{
    const gemm_choice *tile = choose(args, sa_cuda_processors(stream));
    sa_gemm_tile_args a = tile_args(args, tile);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = tile->kernel,
                               .grid = {a.row_tiles * a.column_tiles, 1, 1},
                               .block = {tile->threads, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 2.0 * (double)args->m * (double)args->n * (double)args->k,
                               .bytes = least_bytes(args),
                           });
}

void sa_cuda_gemm(sa_stream *stream, const sa_gemm_args *args)
{
    check_contract(args);
    sa_gemm_library *library = sa_cuda_device_of(stream->device)->gemm_library;
    if (args->m > 0 && !sa_gemm_library_run(library, stream, args)) {
        sa_cuda_gemm_own(stream, args);
    }
}
