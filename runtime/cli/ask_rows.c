/*
 * segagent ask --prompts: many rows, one JSON object each, in the order of the file, --batch at a time.
 *
 *   FILE.jsonl -> rows -> waves: decode pictures -> answer together -> standard output
 *
 * A row that cannot be answered becomes {"error"} and the run goes on. Only what would spoil every row ends
 * it: the device gone, standard output gone, Ctrl-C.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/lines.h"
#include "runtime/cli/ask.h"
#include "runtime/cli/prompt.h"

enum { ROWS_FILE_LIMIT = 1 << 30, PATH_ROOM = 1024, MOST_ROW_IMAGES = 8 };

/* One row of a wave. */
typedef struct {
    char name[512]; /* "prompts.jsonl:12"; fits sa_error.file, so that the two can be compared */
    json_t *value;  /* owns the texts */
    sa_tokens prompt;
    sa_image images[MOST_ROW_IMAGES];
    const sa_image *pictures[MOST_ROW_IMAGES];
    size_t image_count;
    sa_status status;
    sa_error error;
} row;

typedef struct {
    sa_cli *cli;
    const sa_ask_options *options;
    char directory[PATH_ROOM];
    sa_lines lines;
    size_t done, failed, first; /* first: number of the wave's first row */
    sa_ask_engine engine;
    size_t batch;
    row *wave;                   /* [batch] */
    sa_chat_request *requests;   /* [batch] */
    sa_generate_answer *answers; /* [batch] */
    sa_progress progress;
} run;

/* ---- one row ---- */

static sa_status read_image(const run *r, row *at, const json_t *path, sa_error *err)
{
    const sa_image_limits limits = sa_limit_options_read(&r->options->limits);
    char full[PATH_ROOM];
    if (!json_is_string(path) || at->image_count == MOST_ROW_IMAGES) {
        return sa_fail(err, SA_BAD_INPUT, at->name, "write \"image\": a path, or a list of at most 8", "%s",
                       json_is_string(path) ? "too many pictures" : "key \"image\" holds no path");
    }
    SA_TRY(sa_path_from(full, sizeof full, r->directory, json_string_value(path), err));
    SA_TRY(sa_image_read(full, &limits, &at->images[at->image_count], err));
    at->pictures[at->image_count] = &at->images[at->image_count];
    at->image_count++;
    return SA_OK;
}

static sa_status read_images(const run *r, row *at, const json_t *image, sa_error *err)
{
    if (image == NULL || json_is_null(image)) {
        return SA_OK;
    }
    if (!json_is_array(image)) {
        return read_image(r, at, image, err);
    }
    for (size_t i = 0; i < json_array_size(image); i++) {
        SA_TRY(read_image(r, at, json_array_get(image, i), err));
    }
    return SA_OK;
}

static sa_status read_row(const run *r, row *at, const char *text, size_t size, sa_error *err)
{
    const char *question = NULL, *system = NULL;
    SA_TRY(sa_json_parse(at->name, text, size, &at->value, err));
    if (!json_is_object(at->value)) {
        return sa_fail(err, SA_BAD_INPUT, at->name, "write {\"text\": ...}", "the row is no object");
    }
    SA_TRY(sa_json_get_string(at->value, at->name, "text", true, &question, err));
    SA_TRY(sa_json_get_string(at->value, at->name, "system", false, &system, err));
    SA_TRY(read_images(r, at, json_object_get(at->value, "image"), err));
    return sa_ask_write(&r->engine, system, question, at->image_count, &at->prompt, err);
}

static void free_row(row *at)
{
    for (size_t i = 0; i < at->image_count; i++) {
        sa_image_free(&at->images[i]);
    }
    sa_tokens_free(&at->prompt);
    json_decref(at->value);
    *at = (row){0};
}

/* An error may speak of a picture, of the template or of the model: the row is named in any case. */
static void write_error(run *r, const char *name, const sa_error *why)
{
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_error named;
    bool of_another = why->file[0] != '\0' && strcmp(why->file, name) != 0;
    sa_fail(&named, why->status, name, why->hint, "%s%s%s", of_another ? why->file : "",
            of_another ? ": " : "", why->reason);
    sa_log_error(&r->cli->log, &named);
    sa_json_begin_object(&w);
    sa_json_key(&w, "error");
    sa_cli_write_error(&w, &named);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
    r->failed++;
}

/* ---- one wave ---- */

/* The next rows of the file, at most a batch of them. */
static size_t read_wave(run *r)
{
    const char *line;
    size_t size, count = 0;
    while (count < r->batch && sa_lines_next(&r->lines, &line, &size)) {
        row *at = &r->wave[count++];
        snprintf(at->name, sizeof at->name, "%.480s:%zu", r->options->prompts, r->lines.number);
        at->status = read_row(r, at, line, size, &at->error);
    }
    return count;
}

static sa_status write_wave(run *r, size_t count, double vision, sa_error *err)
{
    size_t answered = 0;
    sa_interrupt_hold(true);
    for (size_t i = 0; i < count; i++) {
        row *at = &r->wave[i];
        const sa_generate_answer *answer = at->status == SA_OK ? &r->answers[answered++] : NULL;
        if (answer != NULL && answer->status == SA_OK) {
            sa_json_writer w = sa_json_writer_on(stdout);
            sa_ask_write_result(&w, &r->engine, &at->prompt, answer, vision);
        } else {
            write_error(r, at->name, answer != NULL ? &answer->error : &at->error);
        }
    }
    r->done += count;
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    sa_interrupt_hold(false);
    sa_progress_update(&r->progress, (long long)r->done);
    return good ? SA_OK : sa_fail_errno(err, "standard output", "cannot write");
}

/*
 * After an interrupt, or when the device has gone: how many rows from the first on have their answer. Those
 * are written, so that what stands in the output is a beginning of the file, however it ended.
 */
static size_t count_ended(const run *r, size_t count)
{
    size_t ended = 0, answered = 0;
    for (; ended < count; ended++) {
        const sa_generate_answer *answer = &r->answers[answered];
        if (r->wave[ended].status == SA_OK) {
            if (answer->status == SA_OK && answer->decode == 0.0) {
                break;
            }
            answered++;
        }
    }
    return ended;
}

static sa_status answer_wave(run *r, size_t count, sa_error *err)
{
    static const sa_generate_watcher watcher = {.interrupted = sa_ask_interrupted};
    size_t good = 0;
    double vision = 0.0;
    for (size_t i = 0; i < count; i++) {
        const row *at = &r->wave[i];
        if (at->status == SA_OK) {
            r->requests[good++] = (sa_chat_request){.tokens = at->prompt.ids,
                                                    .count = at->prompt.count,
                                                    .pictures = at->pictures,
                                                    .picture_count = at->image_count,
                                                    .item = r->done + i};
        }
    }
    sa_status status = good == 0 ? SA_OK
                                 : sa_chat_answer(r->engine.chat, r->requests, good, &r->engine.options,
                                                  &watcher, r->answers, &vision, err);
    double each = good > 0 ? vision / (double)good : 0.0;
    if (status == SA_OK) {
        return write_wave(r, count, each, err);
    }
    sa_error ignored; /* what ended the run is told */
    write_wave(r, count_ended(r, count), each, &ignored);
    return status;
}

/* ---- all of them ---- */

static sa_status run_waves(run *r, sa_error *err)
{
    size_t count;
    SA_TRY(sa_interrupt_check(err));
    while ((count = read_wave(r)) > 0) {
        sa_status status = answer_wave(r, count, err);
        for (size_t i = 0; i < count; i++) {
            sa_generate_answer_free(&r->answers[i]);
            free_row(&r->wave[i]);
        }
        SA_TRY(status);
        SA_TRY(sa_interrupt_check(err));
    }
    return SA_OK;
}

static sa_status open_run(run *r, size_t most_images, sa_error *err)
{
    const sa_image_limits limits = sa_limit_options_read(&r->options->limits);
    sa_chat_options wanted = sa_chat_default_options();
    wanted.max_pixels = limits.max_pixels;
    wanted.max_side = limits.max_side;
    wanted.batch = r->batch;
    wanted.pictures = r->batch * most_images;
    SA_TRY(sa_ask_engine_open(&r->engine, r->cli, r->options, &wanted, err));
    r->wave = calloc(r->batch, sizeof *r->wave);
    r->requests = calloc(r->batch, sizeof *r->requests);
    r->answers = calloc(r->batch, sizeof *r->answers);
    if (r->wave == NULL || r->requests == NULL || r->answers == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for a batch");
    }
    return SA_OK;
}

/* How many rows there are, and the most pictures of one of them; what is wrong with rows is told later. */
static size_t count_rows(const char *text, size_t size, size_t *most_images)
{
    sa_lines lines = {.text = text, .size = size};
    size_t count = 0, length;
    const char *line;
    *most_images = 1;
    while (sa_lines_next(&lines, &line, &length)) {
        json_t *value = NULL;
        if (sa_json_parse("", line, length, &value, NULL) == SA_OK) {
            size_t images = json_array_size(json_object_get(value, "image"));
            *most_images = images > *most_images && images <= MOST_ROW_IMAGES ? images : *most_images;
            json_decref(value);
        }
        count++;
    }
    return count;
}

static sa_status run_file(run *r, const char *text, size_t size, sa_error *err)
{
    size_t most_images, rows = count_rows(text, size, &most_images);
    if (rows == 0) {
        return sa_fail(err, SA_BAD_INPUT, r->options->prompts, "write one JSON object a line",
                       "it holds no rows");
    }
    r->lines = (sa_lines){.text = text, .size = size};
    r->batch = rows < (size_t)r->options->batch ? rows : (size_t)r->options->batch;
    sa_status status = open_run(r, most_images, err);
    if (status == SA_OK) {
        r->progress =
            sa_progress_start(&r->cli->log, "ask", sa_device_name(r->engine.device), (long long)rows);
        status = run_waves(r, err);
        sa_progress_end(&r->progress, (long long)r->done);
    }
    free(r->wave);
    free(r->requests);
    free(r->answers);
    sa_ask_engine_close(&r->engine);
    return status;
}

sa_status sa_ask_run_rows(sa_cli *cli, const sa_ask_options *options, size_t *failed, sa_error *err)
{
    run r = {.cli = cli, .options = options};
    unsigned char *bytes;
    size_t size;
    sa_directory_of(r.directory, sizeof r.directory, options->prompts);
    SA_TRY(sa_file_read(options->prompts, ROWS_FILE_LIMIT, &bytes, &size, err));
    sa_status status = run_file(&r, (const char *)bytes, size, err);
    free(bytes);
    *failed = r.failed;
    return status;
}
