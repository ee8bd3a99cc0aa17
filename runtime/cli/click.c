/*
 * segagent click: a picture and clicks, box or mask in; the mask out.
 *
 *   image file -> sa_image_read -> encode -> click (prompt, state from --mask) -> PNG, overlay, logits, JSON
 */
#include "runtime/cli/click.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/image/mask_read.h"
#include "runtime/image/npy.h"

enum { OVERLAY_QUALITY = 90, NAME_ROOM = 4096 };

/* One run of the single-picture mode. */
typedef struct {
    sa_cli *cli;
    const sa_click_options *options;
    sa_user_prompt prompt;
    sa_image image;
    sa_click_engine engine;
    sa_click_answer answer;
    double decode, encode, click;
    double *ious; /* [options->simulate], or NULL */
} job;

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcasecmp(text + length - tail, ending) == 0;
}

static bool is_jpeg_name(const char *path)
{
    return ends_with(path, ".jpg") || ends_with(path, ".jpeg");
}

/* Found out before any work is done: the folder that a file shall be written into. */
static sa_status check_folder(const char *path, sa_error *err)
{
    char folder[NAME_ROOM];
    if (path == NULL || strcmp(path, "-") == 0) {
        return SA_OK;
    }
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode)) {
        return sa_fail(err, SA_BAD_USAGE, path, "name a file in it", "it is a directory");
    }
    if (there && !S_ISREG(info.st_mode)) {
        return SA_OK; /* a device or pipe is written to where it is */
    }
    const char *slash = strrchr(path, '/');
    int length = snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
                          slash != NULL ? path : ".");
    if (length >= NAME_ROOM) {
        return sa_fail(err, SA_BAD_USAGE, path, "use a shorter path", "the path is too long");
    }
    return access(folder, W_OK | X_OK) == 0 ? SA_OK
                                            : sa_fail_errno(err, path, "cannot write into its directory");
}

/* Both names lead to one file; devices, which nothing is lost on, do not count. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (a == NULL || b == NULL || strcmp(a, "-") == 0 || strcmp(b, "-") == 0) {
        return false;
    }
    bool there = stat(a, &x) == 0 && stat(b, &y) == 0;
    return there ? S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino : strcmp(a, b) == 0;
}

/* "mask.png" -> "mask-2.png": where --all puts candidate i. */
static sa_status name_candidate(char name[NAME_ROOM], const char *out, size_t i, sa_error *err)
{
    int length = snprintf(name, NAME_ROOM, "%.*s-%zu.png", (int)(strlen(out) - strlen(".png")), out, i);
    return length > 0 && length < NAME_ROOM
               ? SA_OK
               : sa_fail(err, SA_BAD_USAGE, out, "use a shorter path", "the path is too long");
}

/* What --all writes beside `out` must not be the picture or another output either. */
static sa_status check_candidates(const sa_click_options *o, sa_error *err)
{
    const char *const others[] = {o->image, o->overlay, o->mask};
    char name[NAME_ROOM];
    for (size_t i = 0; i < SA_SEGMENTER_MAX_CANDIDATES; i++) {
        SA_TRY(name_candidate(name, o->out, i, err));
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            if (is_same_file(name, others[k])) {
                return sa_fail(err, SA_BAD_USAGE, name, "give --out another name",
                               "--all would write a mask there, over %s", others[k]);
            }
        }
    }
    return SA_OK;
}

static sa_status check_outputs(const sa_click_options *o, bool json, sa_error *err)
{
    const char *const paths[] = {o->out, o->overlay, o->save_logits, o->save_embedding};
    int on_stdout = json;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        on_stdout += paths[i] != NULL && strcmp(paths[i], "-") == 0;
        SA_TRY(check_folder(paths[i], err));
        bool lost = is_same_file(paths[i], o->image);
        for (size_t other = 0; other < i; other++) {
            lost = lost || is_same_file(paths[i], paths[other]);
        }
        if (lost) {
            return sa_fail(err, SA_BAD_USAGE, paths[i], "give every output a name of its own",
                           "writing it would overwrite the picture or another output");
        }
    }
    if (on_stdout > 1) {
        return sa_fail(err, SA_BAD_USAGE, "-", "give file names for all but one",
                       "two results cannot both go to standard output");
    }
    if (o->out != NULL && strcmp(o->out, "-") != 0 && !ends_with(o->out, ".png")) {
        return sa_fail(err, SA_BAD_USAGE, o->out, "name it .png", "masks are written as PNG");
    }
    if (o->overlay != NULL && !is_jpeg_name(o->overlay) && !ends_with(o->overlay, ".png")) {
        return sa_fail(err, SA_BAD_USAGE, o->overlay, "name it .png or .jpg", "no known picture format");
    }
    return o->all && o->out != NULL && strcmp(o->out, "-") != 0 ? check_candidates(o, err) : SA_OK;
}

static sa_status check_options(const sa_cli *cli, const sa_click_options *o, sa_error *err)
{
    if (o->segmenter == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--segmenter", "give the directory of a SAM checkpoint", "missing");
    }
    if ((o->image == NULL) == (o->clicks == NULL)) {
        return sa_fail(err, SA_BAD_USAGE, "--image",
                       "give --image FILE for one picture, --clicks FILE.jsonl for many", "%s",
                       o->image == NULL ? "no picture is named" : "not together with --clicks");
    }
    if ((o->simulate > 0) != (o->gt != NULL)) {
        return sa_fail(err, SA_BAD_USAGE, o->gt != NULL ? "--gt" : "--simulate",
                       "--gt FILE --simulate N: N clicks that correct the mask towards FILE's",
                       "%s is missing", o->gt != NULL ? "--simulate" : "--gt");
    }
    bool prompted = cli->arguments.use_count > 0 || o->box != NULL || o->mask != NULL || o->clicks != NULL;
    if (o->simulate > 0 && prompted) {
        return sa_fail(err, SA_BAD_USAGE, "--simulate", "leave clicks, box and mask out",
                       "simulated clicks start from nothing");
    }
    bool single = cli->arguments.use_count > 0 || o->box != NULL || o->mask != NULL || o->out != NULL ||
                  o->overlay != NULL || o->save_logits != NULL || o->save_embedding != NULL;
    if (o->clicks != NULL && single) {
        return sa_fail(err, SA_BAD_USAGE, "--clicks",
                       "the rows hold clicks, boxes and masks; results are JSON lines",
                       "prompts and output files go with --image only");
    }
    return check_outputs(o, cli->common.json, err);
}

static sa_status read_picture(job *j, sa_error *err)
{
    const sa_image_limits limits = sa_limit_options_read(&j->options->limits);
    double start = sa_clock_seconds();
    SA_TRY(sa_image_read(j->options->image, &limits, &j->image, err));
    j->decode = sa_clock_seconds() - start;
    return j->options->simulate > 0
               ? SA_OK
               : sa_user_prompt_check(&j->prompt, j->image.height, j->image.width, j->options->image, err);
}

static sa_status encode_picture(job *j, sa_error *err)
{
    const sa_image *picture = &j->image;
    const size_t slot = 0;
    double start = sa_clock_seconds();
    sa_status status = sa_segmenter_encode(j->engine.segmenter, &picture, &slot, 1, err);
    SA_TRY(sa_cli_name_item(status, j->options->image, err));
    j->encode = sa_clock_seconds() - start;
    return sa_interrupt_check(err);
}

static sa_status answer_prompt(job *j, sa_error *err)
{
    sa_segmenter *segmenter = j->engine.segmenter;
    const sa_image_limits limits = sa_limit_options_read(&j->options->limits);
    float *state = NULL;
    sa_status status = SA_OK;
    if (sa_user_prompt_has_mask(&j->prompt)) {
        state = calloc(sa_segmenter_state_size(segmenter), sizeof *state);
        status = state == NULL
                     ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the state")
                     : sa_user_prompt_state(&j->prompt, segmenter, &j->image, &limits, "--mask", state, err);
    }
    double start = sa_clock_seconds();
    if (status == SA_OK) {
        const sa_segmenter_query query = {
            .prompt = {j->prompt.clicks,
                       j->prompt.count,
                       j->prompt.has_box,
                       {j->prompt.box[0], j->prompt.box[1], j->prompt.box[2], j->prompt.box[3]}},
            .state = {state}};
        status = sa_segmenter_click(segmenter, &query, &j->answer.answer, 1, err);
        sa_cli_name_item(status, j->options->image, err);
    }
    if (status == SA_OK) {
        status = sa_click_answer_check(&j->answer, j->options->image, j->engine.precision, err);
    }
    j->click = sa_clock_seconds() - start;
    free(state);
    return status == SA_OK ? sa_interrupt_check(err) : status;
}

static sa_status simulate(job *j, sa_error *err)
{
    const sa_image_limits limits = sa_limit_options_read(&j->options->limits);
    sa_mask target;
    size_t most = (size_t)j->options->simulate;
    j->ious = calloc(most, sizeof *j->ious);
    if (j->ious == NULL) {
        return sa_fail(err, SA_NO_ROOM, "--simulate", "ask for fewer clicks", "no memory for %zu clicks",
                       most);
    }
    SA_TRY(sa_mask_new(&target, j->image.height, j->image.width, err));
    double start = sa_clock_seconds();
    sa_status status = sa_mask_read(&target, j->options->gt, &limits, err);
    if (status == SA_OK && sa_mask_area(&target) == 0) {
        status =
            sa_fail(err, SA_BAD_INPUT, j->options->gt, "give the mask of an object", "no pixel of it is set");
    }
    if (status == SA_OK) {
        status = sa_click_simulate(&j->engine, &target, most, &j->prompt, &j->answer, j->ious, err);
        sa_cli_name_item(status, j->options->image, err);
    }
    j->click = sa_clock_seconds() - start;
    sa_mask_free(&target);
    return status == SA_OK ? sa_interrupt_check(err) : status;
}

static sa_status write_mask_png(const char *path, const sa_mask *mask, sa_error *err)
{
    uint8_t *bytes = malloc(mask->height * mask->width);
    if (bytes == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory to write the mask");
    }
    sa_mask_to_bytes(mask, bytes, 255);
    sa_status status = sa_image_write_png_grey(path, bytes, mask->height, mask->width, err);
    free(bytes);
    return status;
}

/* With --all: "mask.png" is the best one, "mask-0.png" ... are all of them. */
static sa_status write_masks(const job *j, sa_error *err)
{
    const char *path = j->options->out;
    SA_TRY(write_mask_png(path, sa_click_answer_best(&j->answer), err));
    if (!j->options->all || strcmp(path, "-") == 0) {
        return SA_OK;
    }
    for (size_t i = 0; i < j->answer.answer.candidates; i++) {
        char name[NAME_ROOM];
        SA_TRY(name_candidate(name, path, i, err));
        SA_TRY(write_mask_png(name, &j->answer.masks[i], err));
    }
    return SA_OK;
}

/* Paints on the picture itself: nothing needs it afterwards. */
static sa_status write_overlay(job *j, sa_error *err)
{
    static const uint8_t box_color[3] = {255, 220, 0};
    const char *path = j->options->overlay;
    const sa_image_paint paint = sa_image_default_paint();
    sa_image_click *clicks = calloc(j->prompt.count + 1, sizeof *clicks);
    if (clicks == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory to draw the clicks");
    }
    for (size_t i = 0; i < j->prompt.count; i++) {
        const sa_click *c = &j->prompt.clicks[i];
        clicks[i] = (sa_image_click){(double)c->x, (double)c->y, c->positive};
    }
    sa_image_overlay(&j->image, sa_click_answer_best(&j->answer), &paint);
    if (j->prompt.has_box) {
        const float *b = j->prompt.box;
        sa_image_draw_box(&j->image, (double)b[0], (double)b[1], (double)b[2], (double)b[3], box_color);
    }
    sa_image_draw_clicks(&j->image, clicks, j->prompt.count);
    free(clicks);
    return is_jpeg_name(path) ? sa_image_write_jpeg(path, &j->image, OVERLAY_QUALITY, err)
                              : sa_image_write_png(path, &j->image, err);
}

/* [M,s,s] with --all, else [1,s,s] of the best: what --mask takes back. */
static sa_status write_logits(const job *j, sa_error *err)
{
    size_t side = sa_segmenter_state_side(j->engine.segmenter);
    const size_t shape[3] = {j->options->all ? j->answer.answer.candidates : 1, side, side};
    const float *values = j->options->all ? j->answer.logits : j->answer.answer.states[j->answer.answer.best];
    return sa_npy_write(j->options->save_logits, 3, shape, values, err);
}

static sa_status write_embedding(const job *j, sa_error *err)
{
    size_t shape[3];
    sa_segmenter_embedding_shape(j->engine.segmenter, &shape[0], &shape[1]);
    shape[2] = shape[1];
    float *values = calloc(shape[0] * shape[1], shape[2] * sizeof *values);
    if (values == NULL) {
        return sa_fail(err, SA_NO_ROOM, j->options->save_embedding, NULL, "no memory for the embedding");
    }
    sa_status status = sa_segmenter_read_embedding(j->engine.segmenter, 0, values, err);
    if (status == SA_OK) {
        status = sa_npy_write(j->options->save_embedding, 3, shape, values, err);
    }
    free(values);
    return status;
}

static sa_status write_files(job *j, sa_error *err)
{
    const sa_click_options *o = j->options;
    sa_status status = SA_OK;
    sa_interrupt_hold(true);
    if (o->save_embedding !=
        NULL) { /* first: it asks the device, which may fail, and then nothing is written */
        status = write_embedding(j, err);
    }
    if (status == SA_OK && o->out != NULL) {
        status = write_masks(j, err);
    }
    if (status == SA_OK && o->save_logits != NULL) {
        status = write_logits(j, err);
    }
    if (status == SA_OK && o->overlay != NULL) {
        status = write_overlay(j, err);
    }
    sa_interrupt_hold(false);
    return status;
}

static void print_summary(const job *j)
{
    const sa_segmenter_answer *answer = &j->answer.answer;
    size_t pixels = j->image.height * j->image.width, area = sa_mask_area(sa_click_answer_best(&j->answer));
    printf("%s  %zux%zu: mask of %zu pixels (%.1f %%), score %.3f\n", j->options->image, j->image.width,
           j->image.height, area, 100.0 * (double)area / (double)pixels,
           (double)answer->scores[answer->best]);
    for (size_t i = 0; j->options->all && i < answer->candidates; i++) {
        printf("  mask %zu%s  %zu pixels, score %.3f\n", i, i == answer->best ? " (kept)" : "",
               sa_mask_area(&j->answer.masks[i]), (double)answer->scores[i]);
    }
    for (size_t i = 0; j->ious != NULL && i < j->prompt.count; i++) {
        const sa_click *c = &j->prompt.clicks[i];
        printf("  click %zu at %.0f,%.0f %s: IoU %.3f\n", i + 1, (double)c->x, (double)c->y,
               c->positive ? "on the object" : "beside it", j->ious[i]);
    }
    printf("decode %.3f s, encode %.3f s, click %.3f s on %s, %s\n", j->decode, j->encode, j->click,
           sa_device_name(j->engine.device), sa_dtype_name(j->engine.precision));
}

static sa_status report(const job *j, sa_error *err)
{
    const sa_click_options *o = j->options;
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        const sa_click_result result = {o->image,
                                        j->image.height,
                                        j->image.width,
                                        &j->prompt,
                                        &j->answer,
                                        o->all,
                                        j->decode,
                                        j->encode,
                                        j->click,
                                        sa_device_name(j->engine.device),
                                        j->engine.precision,
                                        j->ious};
        return sa_click_write_result(&w, &result, err);
    }
    if (o->out == NULL && o->overlay == NULL && o->save_logits == NULL && o->save_embedding == NULL) {
        print_summary(j);
    }
    return SA_OK;
}

static sa_status run_job(job *j, sa_error *err)
{
    const sa_click_options *o = j->options;
    SA_TRY(sa_user_prompt_from_options(&j->prompt, &j->cli->arguments, o->box, o->mask, err));
    SA_TRY(read_picture(j, err));
    size_t height = j->image.height, width = j->image.width;
    const sa_segmenter_options wanted = {.slots = 1,
                                         .batch = 1,
                                         .max_clicks = o->simulate > 0       ? (size_t)o->simulate
                                                       : j->prompt.count > 0 ? j->prompt.count
                                                                             : 1,
                                         .max_pixels = height * width,
                                         .max_side = height > width ? height : width};
    SA_TRY(sa_click_engine_open(&j->engine, j->cli, o->segmenter, &wanted, err));
    bool logits = o->save_logits != NULL;
    SA_TRY(sa_click_answer_new(&j->answer, j->engine.segmenter, height, width, o->all, logits, err));
    SA_TRY(sa_interrupt_check(err));
    SA_TRY(encode_picture(j, err));
    SA_TRY(o->simulate > 0 ? simulate(j, err) : answer_prompt(j, err));
    SA_TRY(write_files(j, err));
    return report(j, err);
}

static sa_status run_single(sa_cli *cli, const sa_click_options *options, sa_error *err)
{
    job j = {.cli = cli, .options = options};
    sa_status status = run_job(&j, err);
    free(j.ious);
    sa_click_answer_free(&j.answer);
    sa_click_engine_close(&j.engine);
    sa_image_free(&j.image);
    sa_user_prompt_free(&j.prompt);
    return status;
}

static int run_command(sa_cli *cli, const sa_click_options *options)
{
    sa_error err = {0};
    size_t failed = 0;
    sa_interrupt_install();
    sa_status status = check_options(cli, options, &err);
    if (status == SA_OK) {
        status = options->image != NULL ? run_single(cli, options, &err)
                                        : sa_click_run_rows(cli, options, &failed, &err);
    }
    return sa_cli_end_items(cli, status, &err, failed);
}

int sa_command_click(int argc, char **argv)
{
    sa_click_options o = {0};
    sa_limit_options_make(&o.limits);
    const sa_option table[] = {
        {"segmenter", SA_OPTION_TEXT, &o.segmenter, "DIR",
         "the model: a SAM directory, or an original .pth file", NULL, 0, 0},
        {"image", SA_OPTION_TEXT, &o.image, "FILE", "the picture: JPEG, PNG, BMP or PNM; - is standard input",
         NULL, 0, 0},
        {"point", SA_OPTION_LIST, NULL, "X,Y", "a click on the object, in pixels from the top left", NULL, 0,
         0},
        {"negative", SA_OPTION_LIST, NULL, "X,Y", "a click beside the object", NULL, 0, 0},
        {"box", SA_OPTION_TEXT, &o.box, "X0,Y0,X1,Y1", "a box around the object", NULL, 0, 0},
        {"mask", SA_OPTION_TEXT, &o.mask, "FILE",
         "a first mask: logits (.npy, from --save-logits), a mask picture, or JSON with COCO RLE or polygons",
         NULL, 0, 0},
        {"gt", SA_OPTION_TEXT, &o.gt, "FILE", "the mask that --simulate clicks for: a picture, or JSON", NULL,
         0, 0},
        {"simulate", SA_OPTION_INTEGER, &o.simulate, "N",
         "up to N clicks of the simulated annotator, each where the mask is most wrong", NULL, 1,
         SA_PROMPT_MOST_CLICKS},
        {"clicks", SA_OPTION_TEXT, &o.clicks, "FILE",
         "many pictures: rows {\"image\",\"clicks\",\"box\"?,\"mask\"?}, paths relative to the file; one "
         "JSON object "
         "a row comes out, in the same order; each picture is encoded once",
         NULL, 0, 0},
        {"out", SA_OPTION_TEXT, &o.out, "FILE.png",
         "write the mask, 0 and 255; with --all FILE-0.png ... too", NULL, 0, 0},
        {"overlay", SA_OPTION_TEXT, &o.overlay, "FILE",
         "write the picture with mask and clicks, .png or .jpg", NULL, 0, 0},
        {"all", SA_OPTION_FLAG, &o.all, NULL, "all candidate masks, not the best alone", NULL, 0, 0},
        {"save-logits", SA_OPTION_TEXT, &o.save_logits, "FILE.npy",
         "write the low-resolution logits, float32 [1,s,s] of the best mask, [M,s,s] with --all", NULL, 0, 0},
        {"save-embedding", SA_OPTION_TEXT, &o.save_embedding, "FILE.npy",
         "write the picture's embedding, float32 [C,g,g]", NULL, 0, 0},
        {"batch", SA_OPTION_INTEGER, &o.batch, "N", "pictures, and prompts, of one call with --clicks", "4",
         1, 256},
        o.limits.row[0],
        o.limits.row[1],
        o.limits.row[2],
        o.limits.row[3],
    };
    const sa_syntax syntax = {
        .name = "click",
        .summary = "Segments pictures from clicks, a box or a first mask.",
        .usage = "--segmenter DIR (--image FILE PROMPT... | --clicks FILE.jsonl) [OPTION]...",
        .example = "segagent click --segmenter sam-vit-base --image dog.jpg --point 320,240 --negative 20,30 "
                   "--out mask.png --overlay dog-mask.jpg",
        .options = table,
        .count = sizeof table / sizeof table[0],
    };
    sa_cli cli;
    int exit_code;
    return sa_cli_start(&cli, &syntax, argc, argv, &exit_code) ? run_command(&cli, &o) : exit_code;
}
