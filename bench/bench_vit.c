/*
 * segagent bench vit: a CLIP's image encoder as a LLaVA uses it (all layers but the last, no class token),
 * one picture and four together, and the picture's way to the square, beside the ceiling at the model's own
 * shapes.
 */
#include <stdlib.h>

#include "bench/bench.h"
#include "runtime/base/clock.h"
#include "runtime/cli/machine.h"
#include "runtime/models/clip.h"

enum { PICTURES = 4, FEATURE_LAYER = -2 };

typedef struct {
    const sa_cli *cli;
    const sa_bench_options *options;
    sa_device *device;
    sa_stream *stream;
    sa_clip_config config;
    sa_clip_preprocess preprocess;
    sa_clip *clip;
    sa_dtype precision;
    double open_seconds;
    sa_image image;
    sa_clip_picture way; /* the picture's way alone */
    void *way_memory;
    uint8_t *square;
    sa_bench_ceilings ceilings;
    sa_bench_case *cases;
    size_t count;
} bench;

/* ---- what is measured ---- */

static sa_status encode(bench *b, size_t count, sa_error *err)
{
    const sa_image *pictures[PICTURES];
    size_t at_once = sa_clip_at_once(b->clip);
    for (size_t i = 0; i < PICTURES; i++) {
        pictures[i] = &b->image;
    }
    for (size_t i = 0; i < count; i += at_once) {
        sa_clip_encode(b->clip, pictures, count - i < at_once ? count - i : at_once);
        SA_TRY(sa_stream_wait(b->stream, err));
    }
    return SA_OK;
}

static sa_status run_encode(void *context, sa_error *err)
{
    return encode(context, 1, err);
}

static sa_status run_encode_batch(void *context, sa_error *err)
{
    return encode(context, PICTURES, err);
}

static sa_status run_preprocess(void *context, sa_error *err)
{
    (void)err;
    bench *b = context;
    sa_clip_picture_run(&b->way, &b->image, b->square, sa_device_pool(b->device));
    return SA_OK;
}

/* ---- setting up ---- */

static sa_status open_model(bench *b, sa_error *err)
{
    if (b->options->model == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--model", "give the directory of a CLIP", "missing");
    }
    SA_TRY(sa_clip_config_open(b->options->model, &b->config, err));
    SA_TRY(sa_clip_preprocess_read(b->options->model, &b->config, &b->preprocess, err));
    SA_TRY(sa_cli_open_device(b->cli, &b->device, err));
    SA_TRY(sa_stream_open(&b->stream, b->device, err));
    SA_TRY(sa_cli_choose_precision(b->cli, b->device, &b->precision, err));
    sa_clip_options options = sa_clip_default_options();
    options.precision = b->precision;
    double start = sa_clock_seconds();
    SA_TRY(
        sa_clip_open(&b->clip, b->device, b->stream, b->options->model, FEATURE_LAYER, false, &options, err));
    b->open_seconds = sa_clock_seconds() - start;
    return sa_clip_check_picture(b->clip, &b->image, err);
}

static sa_status make_way(bench *b, sa_error *err)
{
    size_t pixels = b->image.height * b->image.width;
    size_t side = b->image.height > b->image.width ? b->image.height : b->image.width;
    SA_TRY(sa_clip_picture_measure(&b->way, &b->preprocess, &b->config, pixels, side, err));
    sa_arena arena = sa_arena_measure();
    sa_clip_picture_plan(&b->way, &arena);
    b->way_memory = aligned_alloc(SA_ARENA_ALIGN, arena.used);
    b->square = malloc(b->way.shown * b->way.shown * 3);
    if (b->way_memory == NULL || b->square == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    arena = sa_arena_on(b->way_memory, arena.used);
    sa_clip_picture_plan(&b->way, &arena);
    return SA_OK;
}

static sa_bench_case *add(bench *b, const char *name, const char *shape,
                          sa_status (*run)(void *context, sa_error *err))
{
    sa_bench_case *c = &b->cases[b->count++];
    *c = sa_bench_case_new(SA_BENCH_WORK, name, shape, b->precision);
    c->run = run;
    c->context = b;
    return c;
}

static void add_model(bench *b)
{
    const sa_clip_costs costs = sa_clip_get_costs(b->clip);
    char shape[160];
    size_t side = b->config.image_size;
    snprintf(shape, sizeof shape, "%zux%zu, hidden %zu, %zu of %zu layers", side, side, b->config.hidden,
             b->config.layers - 1, b->config.layers);
    sa_bench_case *one = add(b, "encode", shape, run_encode);
    one->flops = costs.encode;
    one->bytes = (double)costs.weight_bytes;
    add(b, "encode4", "4 pictures", run_encode_batch)->flops = PICTURES * costs.encode;
    snprintf(shape, sizeof shape, "%zux%zu to %zux%zu", b->image.width, b->image.height, side, side);
    add(b, "preprocess", shape, run_preprocess)->bytes =
        3.0 * ((double)(b->image.height * b->image.width) + (double)(side * side));
}

static sa_status set_up(bench *b, sa_error *err)
{
    b->cases = calloc(SA_BENCH_MOST_CASES, sizeof *b->cases);
    if (b->cases == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the measurements");
    }
    SA_TRY(sa_bench_picture(b->cli, b->options->image, &b->image, err));
    SA_TRY(open_model(b, err));
    SA_TRY(make_way(b, err));
    add_model(b);
    size_t grid = b->config.image_size / b->config.patch_size;
    return sa_bench_ceilings_open(&b->ceilings, b->device, b->stream, grid * grid + 1, b->config.hidden,
                                  b->config.mlp_dim, b->precision, b->cases, &b->count, err);
}

static void tear_down(bench *b)
{
    sa_bench_ceilings_close(&b->ceilings);
    free(b->square);
    free(b->way_memory);
    sa_image_free(&b->image);
    sa_clip_close(b->clip);
    if (b->stream != NULL) {
        sa_stream_close(b->stream);
    }
    if (b->device != NULL) {
        sa_device_close(b->device);
    }
    free(b->cases);
}

/* ---- saying it ---- */

static sa_status print(bench *b, sa_error *err)
{
    const sa_clip_costs costs = sa_clip_get_costs(b->clip);
    sa_bench_frame frame = {.device = sa_device_name(b->device),
                            .threads = sa_pool_threads(sa_device_pool(b->device))};
    sa_bench_find_ceilings(b->device, b->cases, b->count, b->precision, &frame);
    if (b->cli->common.json) {
        sa_bench_print_json(b->cases, b->count, &frame, stdout);
    } else {
        sa_bench_print_table(b->cases, b->count, &frame, stdout);
        printf("model opened in %.2f s; weights %.0f MB, activations %.0f MB; peak resident memory %.0f MB\n",
               b->open_seconds, (double)costs.weight_bytes * 1e-6, (double)costs.activation_bytes * 1e-6,
               (double)sa_machine_peak_memory() * 1e-6);
    }
    return sa_bench_kernels(b->device, "encode", b->precision, b->cli->common.json, run_encode, b, err);
}

sa_status sa_bench_vit(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench b = {.cli = cli, .options = options};
    sa_log log = cli->log;
    sa_status status = set_up(&b, err);
    if (status == SA_OK) {
        long long total = (long long)(b.count * options->repeats);
        sa_progress progress = sa_progress_start(&log, "bench", sa_device_name(b.device), total);
        status = sa_bench_measure(b.cases, b.count, options->repeats, &progress, err);
        sa_progress_end(&progress, total);
    }
    if (status == SA_OK) {
        status = print(&b, err);
    }
    tear_down(&b);
    return status;
}
