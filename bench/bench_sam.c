/*
 * segagent bench sam: one picture encoded, clicks decoded alone and in a batch, and the ends that can be
 * taken apart (resizing the picture, resizing the mask), beside the ceiling at the model's own shapes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "runtime/base/arena.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/cli/machine.h"
#include "runtime/image/image.h"
#include "runtime/image/resize.h"
#include "runtime/models/sam_config.h"
#include "runtime/models/segmenter.h"

enum { CLICKS = 16 };

typedef struct {
    sa_bench_model m;
    sa_sam_config config;
    sa_segmenter *segmenter;
    double open_seconds;
    sa_image image;
    sa_click clicks[CLICKS];
    sa_segmenter_query queries[CLICKS];
    sa_segmenter_answer answers[CLICKS];
    sa_mask masks[CLICKS];
    size_t resized_height, resized_width;
    uint8_t *resized;
    float *logits;   /* [s,s], of the mask's resizing, as its other operands on the device: */
    void *on_device; /* one block for the three below */
    float *device_logits;
    uint64_t *device_bits;
    void *workspace;
    sa_mask resized_mask;
} bench;

/* ---- what is measured ---- */

static sa_status run_encode(void *context, sa_error *err)
{
    bench *b = context;
    const sa_image *picture = &b->image;
    const size_t slot = 0;
    return sa_segmenter_encode(b->segmenter, &picture, &slot, 1, err);
}

static sa_status run_decode(void *context, sa_error *err)
{
    bench *b = context;
    return sa_segmenter_click(b->segmenter, b->queries, b->answers, 1, err);
}

static sa_status run_decode_batch(void *context, sa_error *err)
{
    bench *b = context;
    return sa_segmenter_click(b->segmenter, b->queries, b->answers, CLICKS, err);
}

static sa_status run_decode_singles(void *context, sa_error *err)
{
    bench *b = context;
    for (size_t i = 0; i < CLICKS; i++) {
        SA_TRY(sa_segmenter_click(b->segmenter, &b->queries[i], &b->answers[i], 1, err));
    }
    return SA_OK;
}

static sa_status run_preprocess(void *context, sa_error *err)
{
    bench *b = context;
    const sa_resize_u8_args args = {.in = b->image.pixels,
                                    .in_height = b->image.height,
                                    .in_width = b->image.width,
                                    .in_stride = 3 * b->image.width,
                                    .out = b->resized,
                                    .out_height = b->resized_height,
                                    .out_width = b->resized_width,
                                    .out_stride = 3 * b->resized_width,
                                    .channels = 3,
                                    .filter = SA_RESIZE_BILINEAR};
    return sa_resize_u8(&args, sa_device_pool(b->m.device), err);
}

static sa_mask_resize_args mask_resize_args(const bench *b)
{
    return (sa_mask_resize_args){.low_side = sa_segmenter_state_side(b->segmenter),
                                 .frame = b->config.vision.image_size,
                                 .crop_height = b->resized_height,
                                 .crop_width = b->resized_width,
                                 .height = b->image.height,
                                 .width = b->image.width,
                                 .low = b->device_logits,
                                 .bits = b->device_bits,
                                 .workspace = b->workspace};
}

static sa_status run_postprocess(void *context, sa_error *err)
{
    bench *b = context;
    const sa_mask_resize_args args = mask_resize_args(b);
    sa_device_ops(b->m.device)->mask_resize(b->m.stream, &args);
    sa_stream_download(b->m.stream, b->resized_mask.bits, b->device_bits,
                       b->resized_mask.height * b->resized_mask.stride_words * sizeof(uint64_t));
    return sa_stream_wait(b->m.stream, err);
}

/* ---- setting up ---- */

static sa_status make_queries(bench *b, sa_error *err)
{
    for (size_t i = 0; i < CLICKS; i++) {
        sa_philox block = sa_philox_block((uint64_t)b->m.cli->common.seed, i, 2);
        b->clicks[i] = (sa_click){floorf(sa_philox_unit(block.word[0]) * (float)b->image.width),
                                  floorf(sa_philox_unit(block.word[1]) * (float)b->image.height), true};
        SA_TRY(sa_mask_new(&b->masks[i], b->image.height, b->image.width, err));
        b->queries[i] = (sa_segmenter_query){.prompt = {.clicks = &b->clicks[i], .click_count = 1}};
        b->answers[i] = (sa_segmenter_answer){.best_mask = &b->masks[i]};
    }
    return SA_OK;
}

static sa_status read_config(const char *path, sa_sam_config *config, sa_error *err)
{
    if (sa_file_is_directory(path)) {
        return sa_sam_config_read(path, config, err);
    }
    sa_weights *weights;
    SA_TRY(sa_weights_open(&weights, path, err));
    sa_status status = sa_sam_config_from_weights(weights, config, err);
    sa_weights_close(weights);
    return status;
}

static sa_status open_model(bench *b, sa_error *err)
{
    SA_TRY(read_config(b->m.options->segmenter, &b->config, err));
    const sa_segmenter_options options = {.precision = b->m.precision,
                                          .slots = 1,
                                          .batch = CLICKS,
                                          .max_clicks = 1,
                                          .max_pixels = b->image.height * b->image.width,
                                          .max_side = b->image.height > b->image.width ? b->image.height
                                                                                       : b->image.width,
                                          .device_pixels = sa_segmenter_default_options().device_pixels};
    double start = sa_clock_seconds();
    SA_TRY(sa_segmenter_open(&b->segmenter, b->m.device, b->m.options->segmenter, &options, err));
    b->open_seconds = sa_clock_seconds() - start;
    return SA_OK;
}

static void plan_postprocess(bench *b, sa_arena *arena)
{
    const sa_mask_resize_args args = mask_resize_args(b);
    size_t bytes = sa_device_ops(b->m.device)->mask_resize_workspace(b->m.stream, &args);
    b->device_logits = sa_arena_take(arena, sa_segmenter_state_size(b->segmenter), sizeof(float));
    b->device_bits =
        sa_arena_take(arena, b->resized_mask.height * b->resized_mask.stride_words, sizeof(uint64_t));
    b->workspace = sa_arena_take(arena, bytes, 1);
}

static sa_status place_postprocess(bench *b, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan_postprocess(b, &arena);
    SA_TRY(sa_device_alloc(b->m.device, arena.used, "the bench's mask", &b->on_device, err));
    arena = sa_arena_on(b->on_device, arena.used);
    plan_postprocess(b, &arena);
    sa_stream_upload(b->m.stream, b->device_logits, b->logits,
                     sa_segmenter_state_size(b->segmenter) * sizeof(float));
    return sa_stream_wait(b->m.stream, err);
}

/* The sizes of MODEL_SPECS 2.6: the longest side becomes the model's. */
static sa_status make_ends(bench *b, sa_error *err)
{
    size_t side = b->config.vision.image_size;
    size_t longest = b->image.height > b->image.width ? b->image.height : b->image.width;
    double scale = (double)side / (double)longest;
    b->resized_height = (size_t)((double)b->image.height * scale + 0.5);
    b->resized_width = (size_t)((double)b->image.width * scale + 0.5);
    if (b->resized_height == 0 || b->resized_width == 0) {
        return sa_fail(err, SA_BAD_INPUT, b->m.options->image, "take another picture",
                       "too narrow for the model");
    }
    b->resized = malloc(3 * b->resized_height * b->resized_width);
    size_t state = sa_segmenter_state_size(b->segmenter);
    b->logits = malloc(state * sizeof *b->logits);
    if (b->resized == NULL || b->logits == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a measurement");
    }
    for (size_t i = 0; i < state; i++) {
        b->logits[i] = 20.0f * sa_philox_unit(sa_philox_block(3, i, 0).word[0]) - 10.0f;
    }
    SA_TRY(sa_mask_new(&b->resized_mask, b->image.height, b->image.width, err));
    return place_postprocess(b, err);
}

static void add_model(bench *b)
{
    const sa_segmenter_costs costs = sa_segmenter_get_costs(b->segmenter);
    char picture[48], ends[160], shape[160];
    size_t frame = b->config.vision.image_size;
    snprintf(picture, sizeof picture, "%zux%zu", b->image.width, b->image.height);
    snprintf(shape, sizeof shape, "%zux%zu, hidden %zu, %zu layers", frame, frame, b->config.vision.hidden,
             b->config.vision.layers);
    sa_bench_case *encode = sa_bench_model_add(&b->m, "encode", shape, run_encode, b);
    encode->flops = costs.encode;
    encode->bytes = (double)costs.weight_bytes;
    sa_bench_model_add(&b->m, "decode", "1 click", run_decode, b)->flops = costs.click;
    sa_bench_model_add(&b->m, "decode16", "16 clicks, one call", run_decode_batch, b)->flops =
        CLICKS * costs.click;
    sa_bench_model_add(&b->m, "decode16-single", "16 clicks, 16 calls", run_decode_singles, b)->flops =
        CLICKS * costs.click;
    snprintf(ends, sizeof ends, "%s to %zux%zu", picture, b->resized_width, b->resized_height);
    sa_bench_model_add(&b->m, "preprocess", ends, run_preprocess, b)->bytes =
        3.0 * ((double)(b->image.height * b->image.width) + (double)(b->resized_height * b->resized_width));
    snprintf(ends, sizeof ends, "%zu to %s", sa_segmenter_state_side(b->segmenter), picture);
    sa_bench_model_add(&b->m, "postprocess", ends, run_postprocess, b)->bytes =
        4.0 * (double)sa_segmenter_state_size(b->segmenter) +
        (double)(b->image.height * b->image.width) / 8.0;
}

static sa_status set_up(bench *b, sa_error *err)
{
    SA_TRY(sa_bench_model_open(&b->m, err));
    SA_TRY(sa_bench_picture(b->m.cli, b->m.options->image, &b->image, err));
    SA_TRY(open_model(b, err));
    SA_TRY(make_queries(b, err));
    SA_TRY(make_ends(b, err));
    add_model(b);
    const sa_sam_vision_config *v = &b->config.vision;
    size_t grid = v->image_size / v->patch_size;
    return sa_bench_model_add_ceilings(&b->m, grid * grid, v->hidden, v->mlp_dim, err);
}

static void tear_down(bench *b)
{
    if (b->on_device != NULL) {
        sa_device_free(b->m.device, b->on_device);
    }
    sa_mask_free(&b->resized_mask);
    for (size_t i = 0; i < CLICKS; i++) {
        sa_mask_free(&b->masks[i]);
    }
    free(b->logits);
    free(b->resized);
    sa_image_free(&b->image);
    if (b->segmenter != NULL) {
        sa_segmenter_close(b->segmenter);
    }
    sa_bench_model_close(&b->m);
}

/* ---- saying it ---- */

/* One more JSON object, for what is no measurement of speed. */
static void write_start(const bench *b)
{
    const sa_segmenter_costs costs = sa_segmenter_get_costs(b->segmenter);
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_key(&w, "name");
    sa_json_string(&w, "start");
    sa_json_key(&w, "seconds");
    sa_json_f64(&w, b->open_seconds);
    sa_json_key(&w, "peak_memory_bytes");
    sa_json_int(&w, (int64_t)sa_machine_peak_memory());
    sa_json_key(&w, "weight_bytes");
    sa_json_int(&w, (int64_t)costs.weight_bytes);
    sa_json_key(&w, "activation_bytes");
    sa_json_int(&w, (int64_t)costs.activation_bytes);
    sa_json_key(&w, "slot_bytes");
    sa_json_int(&w, (int64_t)costs.slot_bytes);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static void print_start(const bench *b)
{
    const sa_segmenter_costs costs = sa_segmenter_get_costs(b->segmenter);
    printf(
        "model opened in %.2f s; weights %.0f MB, activations %.0f MB, a slot %.1f MB; peak resident memory "
        "%.0f MB, of it %d MB for the ceilings\n",
        b->open_seconds, (double)costs.weight_bytes * 1e-6, (double)costs.activation_bytes * 1e-6,
        (double)costs.slot_bytes * 1e-6, (double)sa_machine_peak_memory() * 1e-6,
        sa_device_reads_host(b->m.device) ? SA_BENCH_MEMORY_BYTES / 1000000 : 0);
}

/* Where the time goes, on devices that can tell. */
static sa_status print_kernels(bench *b, sa_error *err)
{
    SA_TRY(sa_bench_model_kernels(&b->m, "encode", run_encode, b, err));
    return sa_bench_model_kernels(&b->m, "decode16", run_decode_batch, b, err);
}

sa_status sa_bench_sam(const sa_cli *cli, const sa_bench_options *options, sa_error *err)
{
    bench b = {.m = {.cli = cli, .options = options}};
    sa_status status = set_up(&b, err);
    if (status == SA_OK) {
        status = run_encode(&b, err); /* clicks need an encoded picture */
    }
    if (status == SA_OK) {
        status = sa_bench_model_measure(&b.m, err);
    }
    if (status == SA_OK) {
        sa_bench_model_print(&b.m);
        (cli->common.json ? write_start : print_start)(&b);
        status = print_kernels(&b, err);
    }
    tear_down(&b);
    return status;
}
