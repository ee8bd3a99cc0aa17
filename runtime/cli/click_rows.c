/*
 * segagent click --clicks: many rows, one JSON object each, in the order of the file.
 *
 *   FILE.jsonl -> rows -> groups (one picture each, in order of first appearance) -> waves of --batch groups
 *   wave: decode the pictures -> encode them together -> click all their rows, --batch at a time -> texts
 *   texts -> standard output as soon as every earlier row is out
 *
 * A row that cannot be done becomes {"image","error"} and the run goes on. Only what would spoil every row
 * ends it: the device gone, standard output gone, Ctrl-C.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/lines.h"
#include "runtime/cli/click.h"

enum { ROWS_FILE_LIMIT = 1 << 30, PATH_ROOM = 1024 };

/* One line of the file. */
typedef struct {
    size_t index, line;
    char *image; /* as written, for the result; NULL if the row names none */
    char *path;  /* where it is */
    sa_user_prompt prompt;
    size_t next;  /* the next row of the same picture; its own index ends the list */
    bool leader;  /* the first row of its picture */
    char *result; /* its line of output, once it is known */
} row;

/* One picture being worked on. */
typedef struct {
    size_t first; /* its leader */
    sa_image image;
    bool good;
    double decode, encode;
} group;

typedef struct {
    sa_cli *cli;
    const sa_click_options *options;
    char directory[PATH_ROOM]; /* of the JSONL file: "" for the current one */
    row *rows;
    size_t count, written, done, failed;
    sa_click_engine engine;
    size_t batch;
    group *wave; /* [batch] */
    sa_progress progress;
} run;

/* What names a row in errors: "clicks.jsonl:12". */
static const char *name_row(const run *r, const row *at, char name[PATH_ROOM])
{
    snprintf(name, PATH_ROOM, "%.900s:%zu", r->options->clicks, at->line);
    return name;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

/* The row's output where there is no memory even for its error. */
static char no_memory_line[] = "{\"image\":null,\"error\":{\"file\":null,\"reason\":\"no memory for the "
                               "row\",\"hint\":\"split the file\"}}\n";

static void free_result(row *at)
{
    if (at->result != no_memory_line) {
        free(at->result);
    }
    at->result = NULL;
}

/* The row's output from here on: {"image", "error"}. */
static void fail_row(run *r, row *at, const sa_error *why)
{
    char *text = NULL;
    size_t size = 0;
    bool good = false;
    FILE *stream = open_memstream(&text, &size);
    if (stream != NULL) {
        sa_json_writer w = sa_json_writer_on(stream);
        sa_json_begin_object(&w);
        sa_json_key(&w, "image");
        sa_json_string(&w, at->image);
        sa_json_key(&w, "error");
        sa_cli_write_error(&w, why);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
        good = fclose(stream) == 0;
    }
    if (!good) {
        free(text);
    }
    sa_log_error(&r->cli->log, why);
    at->result = good ? text : no_memory_line;
    r->failed++;
    r->done++;
}

/* ---- reading ---- */

static sa_status parse_row(run *r, row *at, const char *text, size_t size, sa_error *err)
{
    char name[PATH_ROOM], path[PATH_ROOM];
    const char *image = NULL;
    json_t *value;
    name_row(r, at, name);
    SA_TRY(sa_json_parse(name, text, size, &value, err));
    sa_status status = SA_OK;
    if (!json_is_object(value)) {
        status = sa_fail(err, SA_BAD_INPUT, name, "write {\"image\": ..., \"clicks\": [...]}",
                         "the row is no object");
    }
    if (status == SA_OK) {
        status = sa_json_get_string(value, name, "image", true, &image, err);
    }
    if (status == SA_OK && (at->image = copy_text(image)) == NULL) {
        status = sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for the row");
    }
    if (status == SA_OK) {
        status = sa_user_prompt_from_json(&at->prompt, value, name, r->directory, err);
    }
    if (status == SA_OK) {
        status = sa_path_from(path, sizeof path, r->directory, image, err);
    }
    if (status == SA_OK && (at->path = copy_text(path)) == NULL) {
        status = sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for the row");
    }
    json_decref(value);
    return status;
}

/* Every line that is not blank becomes a row; a bad one a row that has failed already. */
static void parse_rows(run *r, const char *text, size_t size)
{
    sa_lines lines = {.text = text, .size = size};
    const char *line;
    size_t length;
    while (sa_lines_next(&lines, &line, &length)) {
        row *new = &r->rows[r->count];
        sa_error err = {0};
        *new = (row){.index = r->count, .line = lines.number, .next = r->count};
        r->count++;
        if (parse_row(r, new, line, length, &err) != SA_OK) {
            fail_row(r, new, &err);
        }
    }
}

static sa_status read_rows(run *r, sa_error *err)
{
    unsigned char *bytes;
    size_t size;
    sa_directory_of(r->directory, sizeof r->directory, r->options->clicks);
    SA_TRY(sa_file_read(r->options->clicks, ROWS_FILE_LIMIT, &bytes, &size, err));
    r->rows = calloc(sa_lines_count((const char *)bytes, size), sizeof *r->rows);
    if (r->rows != NULL) {
        parse_rows(r, (const char *)bytes, size);
    }
    free(bytes);
    if (r->rows == NULL) {
        return sa_fail(err, SA_NO_ROOM, r->options->clicks, "split the file", "no memory for its rows");
    }
    if (r->count == 0) {
        return sa_fail(err, SA_BAD_INPUT, r->options->clicks, "write one JSON object a line",
                       "it holds no rows");
    }
    return SA_OK;
}

/* ---- grouping ---- */

static int by_path_then_index(const void *left, const void *right)
{
    const row *a = *(const row *const *)left, *b = *(const row *const *)right;
    int order = strcmp(a->path, b->path);
    return order != 0 ? order : a->index < b->index ? -1 : 1;
}

/* Links the good rows of each picture into a list that starts at the first one, its leader. */
static sa_status group_rows(run *r, sa_error *err)
{
    row **sorted = malloc(r->count * sizeof *sorted);
    size_t count = 0;
    if (sorted == NULL) {
        return sa_fail(err, SA_NO_ROOM, r->options->clicks, "split the file", "no memory to sort its rows");
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->rows[i].result == NULL) {
            sorted[count++] = &r->rows[i];
        }
    }
    qsort(sorted, count, sizeof *sorted, by_path_then_index);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && strcmp(sorted[i - 1]->path, sorted[i]->path) == 0;
        sorted[i]->leader = !same;
        if (same) {
            sorted[i - 1]->next = sorted[i]->index;
        }
    }
    free(sorted);
    return SA_OK;
}

/* The row after `at` in its group, or NULL. */
static row *next_of(run *r, const row *at)
{
    return at->next != at->index ? &r->rows[at->next] : NULL;
}

/* ---- output ---- */

static sa_status write_ready(run *r, sa_error *err)
{
    sa_interrupt_hold(true);
    while (r->written < r->count && r->rows[r->written].result != NULL) {
        row *at = &r->rows[r->written++];
        fputs(at->result, stdout);
        free_result(at);
    }
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    sa_interrupt_hold(false);
    sa_progress_update(&r->progress, (long long)r->done);
    return good ? SA_OK : sa_fail_errno(err, "standard output", "cannot write");
}

/* ---- one wave ---- */

static void fail_group(run *r, const group *g, const sa_error *why)
{
    for (row *at = &r->rows[g->first]; at != NULL; at = next_of(r, at)) {
        fail_row(r, at, why);
    }
}

static void decode_picture(run *r, group *g)
{
    const sa_image_limits limits = sa_limit_options_read(&r->options->limits);
    sa_error err = {0};
    double start = sa_clock_seconds();
    g->good = sa_image_read(r->rows[g->first].path, &limits, &g->image, &err) == SA_OK;
    g->decode = sa_clock_seconds() - start;
    if (!g->good) {
        fail_group(r, g, &err);
    }
}

/* A device that failed was working on the row `at`, or on one of those after it in the same call. */
static sa_status name_failure(const run *r, sa_status status, const row *at, size_t count, const char *what,
                              sa_error *err)
{
    char name[PATH_ROOM], item[PATH_ROOM + 64];
    if (count == 1) {
        return sa_cli_name_item(status, name_row(r, at, name), err);
    }
    snprintf(item, sizeof item, "one of %zu %s from %.900s on", count, what, name_row(r, at, name));
    return sa_cli_name_item(status, item, err);
}

/* Encodes the good pictures of the wave into the slots of their places. */
static sa_status encode_wave(run *r, size_t groups, sa_error *err)
{
    const sa_image *pictures[256];
    size_t slots[256], count = 0;
    for (size_t i = 0; i < groups; i++) {
        if (r->wave[i].good) {
            pictures[count] = &r->wave[i].image;
            slots[count++] = i;
        }
    }
    if (count == 0) {
        return SA_OK;
    }
    double start = sa_clock_seconds();
    sa_status status = sa_segmenter_encode(r->engine.segmenter, pictures, slots, count, err);
    SA_TRY(name_failure(r, status, &r->rows[r->wave[slots[0]].first], count, "pictures", err));
    double share = (sa_clock_seconds() - start) / (double)count;
    for (size_t i = 0; i < groups; i++) {
        r->wave[i].encode = share;
    }
    return SA_OK;
}

/* A row in the batch at hand. */
typedef struct {
    row *at;
    const group *picture;
    sa_click_answer answer;
    float *state;
} item;

static void free_item(item *it)
{
    sa_click_answer_free(&it->answer);
    free(it->state);
    *it = (item){0};
}

static sa_status prepare_item(run *r, item *it, sa_error *err)
{
    const sa_segmenter *segmenter = r->engine.segmenter;
    const sa_image *image = &it->picture->image;
    const sa_image_limits limits = sa_limit_options_read(&r->options->limits);
    char name[PATH_ROOM];
    name_row(r, it->at, name);
    SA_TRY(sa_user_prompt_check(&it->at->prompt, image->height, image->width, name, err));
    SA_TRY(sa_click_answer_new(&it->answer, segmenter, image->height, image->width, r->options->all, false,
                               err));
    if (!sa_user_prompt_has_mask(&it->at->prompt)) {
        return SA_OK;
    }
    it->state = calloc(sa_segmenter_state_size(segmenter), sizeof *it->state);
    if (it->state == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for the state");
    }
    return sa_user_prompt_state(&it->at->prompt, segmenter, image, &limits, name, it->state, err);
}

/* The finished row as text; on failure the row has failed. */
static void finish_item(run *r, item *it, double seconds)
{
    const sa_click_result result = {it->at->image,
                                    it->picture->image.height,
                                    it->picture->image.width,
                                    &it->at->prompt,
                                    &it->answer,
                                    r->options->all,
                                    it->picture->decode,
                                    it->picture->encode,
                                    seconds,
                                    sa_device_name(r->engine.device),
                                    r->engine.precision,
                                    NULL};
    char *text = NULL;
    size_t size = 0;
    sa_error err = {0};
    if (sa_click_answer_check(&it->answer, it->at->path, r->engine.precision, &err) != SA_OK) {
        fail_row(r, it->at, &err);
        return;
    }
    FILE *stream = open_memstream(&text, &size);
    sa_status status = SA_NO_ROOM;
    if (stream != NULL) {
        sa_json_writer w = sa_json_writer_on(stream);
        status = sa_click_write_result(&w, &result, &err);
        bool good = fclose(stream) == 0;
        status = good ? status : SA_NO_ROOM;
    }
    if (status != SA_OK) {
        free(text);
        sa_fail(&err, SA_NO_ROOM, it->at->path, NULL, "no memory for the result");
        fail_row(r, it->at, &err);
        return;
    }
    it->at->result = text;
    r->done++;
}

static sa_status click_items(run *r, item *items, size_t count, sa_error *err)
{
    sa_segmenter_query queries[256];
    sa_segmenter_answer answers[256];
    for (size_t i = 0; i < count; i++) {
        const sa_user_prompt *p = &items[i].at->prompt;
        queries[i] = (sa_segmenter_query){
            .slot = (size_t)(items[i].picture - r->wave),
            .prompt = {p->clicks, p->count, p->has_box, {p->box[0], p->box[1], p->box[2], p->box[3]}},
            .state = {items[i].state}};
        answers[i] = items[i].answer.answer;
    }
    double start = sa_clock_seconds();
    sa_status status = sa_segmenter_click(r->engine.segmenter, queries, answers, count, err);
    SA_TRY(name_failure(r, status, items[0].at, count, "rows", err));
    double share = (sa_clock_seconds() - start) / (double)count;
    for (size_t i = 0; i < count; i++) {
        items[i].answer.answer = answers[i];
        finish_item(r, &items[i], share);
    }
    return SA_OK;
}

/* Computes what has been gathered; the items are empty afterwards. */
static sa_status flush_items(run *r, item *items, size_t *count, sa_error *err)
{
    sa_status status = *count > 0 ? click_items(r, items, *count, err) : SA_OK;
    for (size_t i = 0; i < *count; i++) {
        free_item(&items[i]);
    }
    *count = 0;
    SA_TRY(status);
    SA_TRY(sa_interrupt_check(err));
    return write_ready(r, err);
}

static sa_status click_wave(run *r, size_t groups, item *items, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < groups; i++) {
        row *at = r->wave[i].good ? &r->rows[r->wave[i].first] : NULL;
        for (; at != NULL; at = next_of(r, at)) {
            sa_error why = {0};
            items[count] = (item){.at = at, .picture = &r->wave[i]};
            if (prepare_item(r, &items[count], &why) == SA_OK) {
                count++;
            } else {
                free_item(&items[count]);
                fail_row(r, at, &why);
            }
            if (count == r->batch) {
                SA_TRY(flush_items(r, items, &count, err));
            }
        }
    }
    return flush_items(r, items, &count, err);
}

/* The next pictures in order of first appearance, from row *from on; how many. */
static size_t gather_wave(run *r, size_t *from)
{
    size_t groups = 0;
    for (; *from < r->count && groups < r->batch; ++*from) {
        if (r->rows[*from].leader) {
            r->wave[groups] = (group){.first = *from};
            decode_picture(r, &r->wave[groups++]);
        }
    }
    return groups;
}

static sa_status run_wave(run *r, size_t groups, sa_error *err)
{
    item *items = calloc(r->batch, sizeof *items);
    if (items == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for a batch");
    }
    sa_status status = sa_interrupt_check(err);
    if (status == SA_OK) {
        status = encode_wave(r, groups, err);
    }
    if (status == SA_OK) {
        status = click_wave(r, groups, items, err);
    }
    for (size_t i = 0; i < r->batch; i++) {
        free_item(&items[i]);
    }
    free(items);
    for (size_t i = 0; i < groups; i++) {
        sa_image_free(&r->wave[i].image);
    }
    return status;
}

static size_t most_clicks(const run *r)
{
    size_t most = 1;
    for (size_t i = 0; i < r->count; i++) {
        most = r->rows[i].prompt.count > most ? r->rows[i].prompt.count : most;
    }
    return most;
}

static sa_status run_all(run *r, sa_error *err)
{
    SA_TRY(read_rows(r, err));
    SA_TRY(group_rows(r, err));
    const sa_image_limits limits = sa_limit_options_read(&r->options->limits);
    const sa_segmenter_options wanted = {.slots = r->batch,
                                         .batch = r->batch,
                                         .max_clicks = most_clicks(r),
                                         .max_pixels = limits.max_pixels,
                                         .max_side = limits.max_side};
    SA_TRY(sa_click_engine_open(&r->engine, r->cli, r->options->segmenter, &wanted, err));
    r->progress =
        sa_progress_start(&r->cli->log, "click", sa_device_name(r->engine.device), (long long)r->count);
    r->wave = calloc(r->batch, sizeof *r->wave);
    if (r->wave == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for a batch");
    }
    sa_status status = SA_OK;
    for (size_t from = 0; status == SA_OK && from < r->count;) {
        size_t groups = gather_wave(r, &from);
        status = run_wave(r, groups, err);
    }
    sa_progress_end(&r->progress, (long long)r->done);
    return status;
}

sa_status sa_click_run_rows(sa_cli *cli, const sa_click_options *options, size_t *failed, sa_error *err)
{
    run r = {.cli = cli, .options = options, .batch = (size_t)options->batch};
    sa_status status = run_all(&r, err);
    *failed = r.failed;
    for (size_t i = 0; i < r.count; i++) {
        sa_user_prompt_free(&r.rows[i].prompt);
        free(r.rows[i].image);
        free(r.rows[i].path);
        free_result(&r.rows[i]);
    }
    free(r.rows);
    free(r.wave);
    sa_click_engine_close(&r.engine);
    return status;
}
