/*
 * segagent bench vit: a CLIP's image encoder as a LLaVA uses it (all layers but the last, no class token),
 * one picture and four together; the picture's way to the square on the host, a mask painted on it, that
 * mask's hash and its IoU with another; beside the ceiling at the model's own shapes.
 */
#include <stdlib.h>

#include "bench/bench.h"
#include "runtime/base/clock.h"
#include "runtime/cli/machine.h"
#include "runtime/models/clip.h"

enum { PICTURES = 4, FEATURE_LAYER = -2 };

typedef struct {
    sa_bench_model m;
    sa_clip_config config;
    sa_clip_preprocess preprocess;
    sa_clip *clip;
    double open_seconds;
    sa_image image;
    sa_clip_picture way; /* the picture's way alone */
    void *way_memory;
    uint8_t *square;
    sa_mask masks[2]; /* of the picture */
    uint8_t paint[3][256];
    volatile double sink;
} bench;

/* ---- what is measured ---- */

static sa_status encode(bench *b, size_t count, sa_error *err)
{
    sa_view views[PICTURES];
    size_t at_once = sa_clip_at_once(b->clip);
    for (size_t i = 0; i < PICTURES; i++) {
        views[i] = (sa_view){.picture = &b->image};
    }
    for (size_t i = 0; i < count; i += at_once) {
        sa_clip_encode(b->clip, views, count - i < at_once ? count - i : at_once);
        SA_TRY(sa_stream_wait(b->m.stream, err));
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
    sa_clip_picture_run(&b->way, &b->image, b->square, sa_device_pool(b->m.device));
    return SA_OK;
}

/* What becomes of a state on the host; a GPU does the painting and the hash by itself. */
static sa_status run_paint(void *context, sa_error *err)
{
    bench *b = context;
    sa_image painted;
    const sa_view view = {
        .picture = &b->image, .mask = &b->masks[0], .paint = (const uint8_t(*)[256])b->paint};
    SA_TRY(sa_view_paint(&view, &painted, err));
    sa_image_free(&painted);
    return SA_OK;
}

static sa_status run_mask_hash(void *context, sa_error *err)
{
    (void)err;
    bench *b = context;
    b->sink = (double)sa_mask_hash(&b->masks[0]);
    return SA_OK;
}

static sa_status run_mask_iou(void *context, sa_error *err)
{
    (void)err;
    bench *b = context;
    b->sink = sa_mask_iou(&b->masks[0], &b->masks[1]);
    return SA_OK;
}

/* ---- setting up ---- */

/* Two masks of a ninth of the picture that overlap in most of it. */
static sa_status make_masks(bench *b, sa_error *err)
{
    size_t h = b->image.height, w = b->image.width;
    sa_image_paint paint = sa_image_default_paint();
    sa_image_paint_table(&paint, b->paint);
    for (size_t i = 0; i < 2; i++) {
        SA_TRY(sa_mask_new(&b->masks[i], h, w, err));
        for (size_t y = h / 3; y < h / 3 * 2; y++) {
            for (size_t x = w / 3 + i; x < w / 3 * 2 + i; x++) {
                sa_mask_set(&b->masks[i], x, y, true);
            }
        }
    }
    return SA_OK;
}

static sa_status open_model(bench *b, sa_error *err)
{
    if (b->m.options->model == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--model", "give the directory of a CLIP", "missing");
    }
    SA_TRY(sa_clip_config_open(b->m.options->model, &b->config, err));
    SA_TRY(sa_clip_preprocess_read(b->m.options->model, &b->config, &b->preprocess, err));
    sa_clip_options options = sa_clip_default_options();
    options.precision = b->m.precision;
    double start = sa_clock_seconds();
    SA_TRY(sa_clip_open(&b->clip, b->m.device, b->m.stream, b->m.options->model, FEATURE_LAYER, false,
                        &options, err));
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

static void add_masks(bench *b)
{
    char shape[64];
    double pixels = (double)(b->image.height * b->image.width);
    snprintf(shape, sizeof shape, "%zux%zu", b->image.width, b->image.height);
    sa_bench_model_add(&b->m, "paint", shape, run_paint, b)->bytes = 6.0 * pixels + pixels / 8.0;
    sa_bench_model_add(&b->m, "mask-hash", shape, run_mask_hash, b)->bytes = pixels / 8.0;
    sa_bench_model_add(&b->m, "mask-iou", shape, run_mask_iou, b)->bytes = pixels / 4.0;
}

static void add_model(bench *b)
{
    const sa_clip_costs costs = sa_clip_get_costs(b->clip);
    char shape[160];
    size_t side = b->config.image_size;
    snprintf(shape, sizeof shape, "%zux%zu, hidden %zu, %zu of %zu layers", side, side, b->config.hidden,
             b->config.layers - 1, b->config.layers);
    sa_bench_case *one = sa_bench_model_add(&b->m, "encode", shape, run_encode, b);
    one->flops = costs.encode;
    one->bytes = (double)costs.weight_bytes;
    sa_bench_model_add(&b->m, "encode4", "4 pictures", run_encode_batch, b)->flops = PICTURES * costs.encode;
    snprintf(shape, sizeof shape, "%zux%zu to %zux%zu", b->image.width, b->image.height, side, side);
    sa_bench_model_add(&b->m, "preprocess", shape, run_preprocess, b)->bytes =
        3.0 * ((double)(b->image.height * b->image.width) + (double)(side * side));
    add_masks(b);
}

static sa_status set_up(bench *b, sa_error *err)
{
    SA_TRY(sa_bench_model_open(&b->m, err));
    SA_TRY(sa_bench_picture(b->m.cli, b->m.options->image, &b->image, err));
    SA_TRY(open_model(b, err));
    SA_TRY(make_way(b, err));
    SA_TRY(make_masks(b, err));
    add_model(b);
    size_t grid = b->config.image_size / b->config.patch_size;
    return sa_bench_model_add_ceilings(&b->m, grid * grid + 1, b->config.hidden, b->config.mlp_dim, err);
}

static void tear_down(bench *b)
{
    free(b->square);
    free(b->way_memory);
    sa_mask_free(&b->masks[0]);
    sa_mask_free(&b->masks[1]);
    sa_image_free(&b->image);
    sa_clip_close(b->clip);
    sa_bench_model_close(&b->m);
}

/* ---- saying it ---- */

static sa_status print(bench *b, sa_error *err)
{
    const sa_clip_costs costs = sa_clip_get_costs(b->clip);
    sa_bench_model_print(&b->m);
    if (!b->m.cli->common.json) {
        printf("model opened in %.2f s; weights %.0f MB, activations %.0f MB; peak resident memory %.0f MB\n",
               b->open_seconds, (double)costs.weight_bytes * 1e-6, (double)costs.activation_bytes * 1e-6,
               (double)sa_machine_peak_memory() * 1e-6);
    }
    return sa_bench_model_kernels(&b->m, "encode", run_encode, b, err);
}

sa_status sa_bench_vit(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench b = {.m = {.cli = cli, .options = options}};
    sa_status status = set_up(&b, err);
    if (status == SA_OK) {
        status = sa_bench_model_measure(&b.m, err);
    }
    if (status == SA_OK) {
        status = print(&b, err);
    }
    tear_down(&b);
    return status;
}
