/*
 * gemm on the CPU: c = act(a w^T + bias) + residual. Contract in kernels.h, micro-kernel in tile.h.
 *
 * w is packed once into panels of PANEL columns. A task is a block of BLOCK_ROWS rows times a run of panels.
 * Within it a panel is taken some steps at a time, few enough to stay in a cache while all rows of the block
 * pass over them, TILE_ROWS at once; the sums wait in a scratch tile of f32. Blocking k this way changes no
 * sum: each continues where it was. With few rows (a decoded batch) the steps that come next are fetched
 * meanwhile, so that they run at the memory's speed: otherwise only the first pass over a block would wait
 * for memory, and memory for all the others.
 */
#include "kernels/cpu/ops/pack.h"

enum {
    BLOCK_ROWS = 96,   /* a's block (96 x 768 bf16 = 147 kB) stays in the second-level cache */
    BLOCK_STEPS = 192, /* 192 steps x 256 bytes = 48 kB of a panel: streams from the second-level cache */
    SMALL_STEPS = 64,  /* of few rows: 16 kB of a panel and the next 16 kB stay in the first-level cache */
    FEW_ROWS = 64,
    FETCH_STEPS = 32, /* one pass: how far ahead to fetch, in steps: memory's latency times its speed */
    /*
     * A task: a third of a millisecond of arithmetic, or 1 MB of w where that takes longer; small beside a
     * gemm, large beside the hand-out of a task.
     */
    TASK_FLOPS = 64000000,
    TASK_BYTES = 1 << 20,
};

static size_t panels_of(size_t n)
{
    return (n + PANEL - 1) / PANEL;
}

size_t SA_CPU(gemm_packed_bytes)(size_t n, size_t k, sa_dtype dtype);
size_t SA_CPU(gemm_packed_bytes)(size_t n, size_t k, sa_dtype dtype)
{
    size_t row = 0, bytes = 0;
    /* n and k come from files: the roundings up must not wrap either. */
    if (n == 0 || n > SIZE_MAX - PANEL || k == 0 || k == SIZE_MAX ||
        __builtin_mul_overflow(panels_of(n), tile_step_bytes(), &row) ||
        __builtin_mul_overflow(row, tile_steps(k, dtype), &bytes)) {
        return 0;
    }
    return bytes;
}

static float source_value(const unsigned char *row, size_t index, sa_dtype dtype)
{
    if (dtype == SA_F32) {
        float value;
        memcpy(&value, row + index * 4, 4);
        return value;
    }
    uint16_t half;
    memcpy(&half, row + index * 2, 2);
    return dtype == SA_BF16 ? sa_bf16_to_f32(half) : sa_f16_to_f32(half);
}

/*
 * `count` values of a source row, from `first` on, as words of the packed dtype; odd bf16 rows end with a
 * zero.
 */
static void convert_run(uint32_t *words, const unsigned char *row, size_t first, size_t count, sa_dtype from,
                        sa_dtype to)
{
    if (to == SA_F32) {
        for (size_t i = 0; i < count; i++) {
            float value = source_value(row, first + i, from);
            memcpy(&words[i], &value, 4);
        }
        return;
    }
    for (size_t i = 0; i < count; i += 2) {
        uint32_t low = sa_bf16_from_f32(source_value(row, first + i, from));
        uint32_t high = i + 1 < count ? sa_bf16_from_f32(source_value(row, first + i + 1, from)) : 0;
        words[i / 2] = low | high << 16;
    }
}

static void pack_task(void *context, size_t panel, int worker)
{
    (void)worker;
    enum { RUN = 64 };
    const sa_gemm_pack_args *args = context;
    size_t per_step = args->dtype == SA_F32 ? 1 : 2;
    size_t steps = tile_steps(args->k, args->dtype);
    size_t row_bytes = args->k * sa_dtype_size(args->source_dtype);
    size_t rows = args->n - panel * PANEL < PANEL ? args->n - panel * PANEL : PANEL;
    const unsigned char *source = (const unsigned char *)args->source + panel * PANEL * row_bytes;
    uint32_t *to = (uint32_t *)args->packed + panel * PANEL * steps;
    uint32_t words[PANEL][RUN];
    for (size_t step = 0; step < steps; step += RUN) {
        size_t run = steps - step < RUN ? steps - step : RUN;
        size_t values =
            args->k - step * per_step < run * per_step ? args->k - step * per_step : run * per_step;
        for (size_t j = 0; j < rows; j++) {
            convert_run(words[j], source + j * row_bytes, step * per_step, values, args->source_dtype,
                        args->dtype);
        }
        pack_panel_rows(to + step * PANEL, (const unsigned char *)words, sizeof words[0], rows, run);
    }
}

void SA_CPU(gemm_pack)(sa_stream *stream, const sa_gemm_pack_args *args);
void SA_CPU(gemm_pack)(sa_stream *stream, const sa_gemm_pack_args *args)
{
    SA_ASSERT(args->n >= 1 && args->k >= 1 && (args->dtype == SA_F32 || args->dtype == SA_BF16));
    SA_ASSERT(args->source_dtype <= SA_BF16);
    sa_pool_run(stream->pool, panels_of(args->n), pack_task, (void *)args);
}

typedef struct {
    const sa_gemm_args *args;
    size_t steps;
    size_t row_blocks;
    size_t panels, panels_per_task;
} gemm_plan;

/* Bias, activation, residual and rounding for `rows` x `columns` finished sums. */
SA_INLINE void finish_block(const sa_gemm_args *args, sa_activation act, const float *sums, size_t first_row,
                            size_t rows, size_t first_column, size_t columns)
{
    size_t cycle = args->residual_rows != 0 ? args->residual_rows : args->m;
    for (size_t i = 0; i < rows; i++) {
        size_t row = first_row + i;
        for (size_t j = 0; j < columns; j += VL) {
            size_t count = columns - j < VL ? columns - j : VL;
            vf v = vf_load(sums + i * PANEL + j);
            if (args->bias != NULL) {
                v += count == VL ? vf_load(args->bias + first_column + j)
                                 : vf_load_part(args->bias + first_column + j, count);
            }
            v = vf_activate(v, act);
            if (args->residual != NULL) {
                const float *from = args->residual + (row % cycle) * args->ldr + first_column + j;
                v += count == VL ? vf_load(from) : vf_load_part(from, count);
            }
            vf_store_as(args->c, args->c_dtype, row * args->ldc + first_column + j, v, count);
        }
    }
}

static void finish(const sa_gemm_args *args, const float *sums, size_t first_row, size_t rows,
                   size_t first_column, size_t columns)
{
    switch (args->act) { /* the activation becomes a constant of the loop */
    case SA_ACT_NONE: finish_block(args, SA_ACT_NONE, sums, first_row, rows, first_column, columns); break;
    case SA_ACT_RELU: finish_block(args, SA_ACT_RELU, sums, first_row, rows, first_column, columns); break;
    case SA_ACT_GELU: finish_block(args, SA_ACT_GELU, sums, first_row, rows, first_column, columns); break;
    case SA_ACT_QUICK_GELU:
        finish_block(args, SA_ACT_QUICK_GELU, sums, first_row, rows, first_column, columns);
        break;
    }
}

/*
 * One block of rows times `steps` steps of a full panel, in passes of about equal height; two passes fetch
 * what comes next, half each (the others repeat it: cheaper than to ask).
 */
SA_INLINE void block_times_steps(sa_dtype dtype, size_t rows, size_t steps, const unsigned char *a,
                                 size_t a_stride, const unsigned char *w, float *sums)
{
    size_t passes = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const unsigned char *next = w + (passes == 1 ? FETCH_STEPS : steps) * tile_step_bytes();
    for (size_t pass = 0, i = 0; pass < passes; pass++) {
        size_t part = (rows - i + passes - pass - 1) / (passes - pass);
        tile_full(dtype, (int)part, steps, a + i * a_stride, a_stride, w, sums + i * PANEL, PANEL,
                  next + pass % 2 * TILE_FETCH);
        i += part;
    }
}

/* One block of rows times one panel, all of k. */
SA_INLINE void block_times_panel(const gemm_plan *plan, sa_dtype dtype, size_t first_row, size_t rows,
                                 size_t panel, float *sums)
{
    const sa_gemm_args *args = plan->args;
    size_t first_column = panel * PANEL;
    size_t columns = args->n - first_column < PANEL ? args->n - first_column : PANEL;
    int vectors = (int)((columns + VL - 1) / VL);
    size_t a_stride = args->lda * sa_dtype_size(dtype);
    const unsigned char *a = (const unsigned char *)args->a + first_row * a_stride;
    const unsigned char *w = (const unsigned char *)args->w + panel * plan->steps * tile_step_bytes();
    memset(sums, 0, rows * PANEL * sizeof(float));
    size_t block = rows <= TILE_ROWS ? plan->steps : rows <= FEW_ROWS ? SMALL_STEPS : BLOCK_STEPS;
    for (size_t step = 0; step < plan->steps; step += block) {
        size_t run = plan->steps - step < block ? plan->steps - step : block;
        const unsigned char *from = w + step * tile_step_bytes();
        if (vectors == TILE_VECTORS && rows <= FEW_ROWS) {
            block_times_steps(dtype, rows, run, a + step * 4, a_stride, from, sums);
        } else {
            tile_rows(dtype, rows, vectors, run, a + step * 4, a_stride, from, sums, PANEL);
        }
    }
    finish(args, sums, first_row, rows, first_column, columns);
}

static void gemm_task(void *context, size_t task, int worker)
{
    (void)worker;
    const gemm_plan *plan = context;
    float sums[BLOCK_ROWS * PANEL] __attribute__((aligned(64)));
    size_t first_row = task % plan->row_blocks * BLOCK_ROWS;
    size_t rows = plan->args->m - first_row < BLOCK_ROWS ? plan->args->m - first_row : BLOCK_ROWS;
    size_t panel = task / plan->row_blocks * plan->panels_per_task;
    size_t end = panel + plan->panels_per_task < plan->panels ? panel + plan->panels_per_task : plan->panels;
    for (; panel < end; panel++) {
        if (plan->args->dtype == SA_F32) {
            block_times_panel(plan, SA_F32, first_row, rows, panel, sums);
        } else {
            block_times_panel(plan, SA_BF16, first_row, rows, panel, sums);
        }
    }
}

void SA_CPU(gemm)(sa_stream *stream, const sa_gemm_args *args);
void SA_CPU(gemm)(sa_stream *stream, const sa_gemm_args *args)
{
    SA_ASSERT(args->n >= 1 && args->k >= 1 && args->lda >= args->k && args->ldc >= args->n);
    SA_ASSERT(args->dtype == SA_F32 || (args->dtype == SA_BF16 && args->k % 2 == 0));
    SA_ASSERT(args->c_dtype == SA_F32 || args->c_dtype == SA_BF16);
    SA_ASSERT(args->residual == NULL || args->ldr >= args->n);
    if (args->m == 0) {
        return;
    }
    gemm_plan plan = {
        .args = args,
        .steps = tile_steps(args->k, args->dtype),
        .row_blocks = (args->m + BLOCK_ROWS - 1) / BLOCK_ROWS,
        .panels = panels_of(args->n),
    };
    size_t block_rows = args->m < BLOCK_ROWS ? args->m : BLOCK_ROWS;
    size_t panel_flops = 2 * block_rows * PANEL * args->k, panel_bytes = plan.steps * tile_step_bytes();
    size_t fill = TASK_FLOPS / panel_flops + 1, read = TASK_BYTES / panel_bytes + 1;
    fill = fill < read ? fill : read;
    /* Few rows: spread the panels over all threads instead. */
    size_t threads = (size_t)sa_pool_threads(stream->pool);
    size_t share = (plan.panels * plan.row_blocks + threads - 1) / threads;
    plan.panels_per_task = fill < share ? fill : share;
    size_t runs = (plan.panels + plan.panels_per_task - 1) / plan.panels_per_task;
    sa_pool_run(stream->pool, plan.row_blocks * runs, gemm_task, &plan);
}
