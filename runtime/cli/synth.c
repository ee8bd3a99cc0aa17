/*
 * segagent synth: synthetic referring scenes, with a manifest.
 *
 *   scenes of a batch, on all threads: draw -> PNG, manifest rows -> in order: DIR/images/,
 * DIR/manifest.jsonl, sheet
 *
 * What is held in memory is one batch, however many scenes are asked for. The manifest appears when all is
 * done; a scene depends on level, seed and its number alone, so an interrupted run is begun again without
 * loss but of time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/pool.h"
#include "runtime/cli/cli.h"
#include "runtime/data/scene_row.h"

enum { BATCH = 64, TILES = 24 };

typedef struct {
    const char *out, *level, *sheet;
    int64_t count, first, size, phrases;
    bool masks, coarse;
} synth_options;

/* What a scene of the batch has become. */
typedef struct {
    char name[64]; /* "images/000012.png" */
    unsigned char *png;
    size_t png_size;
    char *rows;
    size_t rows_size;
    sa_status status;
    sa_error err;
} product;

typedef struct {
    sa_cli *cli;
    const synth_options *options;
    sa_scene_level level;
    sa_scene *scenes; /* one a thread */
    sa_pool *pool;
    product products[BATCH];
    int64_t begun; /* number of the batch's first scene */
} job;

/* ---- a scene, on any thread ---- */

static sa_status write_rows(const job *j, const sa_scene *scene, product *p, sa_error *err)
{
    FILE *stream = open_memstream(&p->rows, &p->rows_size);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, p->name, "free some memory", "no memory for its rows");
    }
    const sa_scene_row_options options = {.masks = j->options->masks, .coarse = j->options->coarse};
    sa_json_writer w = sa_json_writer_on(stream);
    sa_status status = SA_OK;
    for (size_t i = 0; i < scene->phrase_count && status == SA_OK; i++) {
        status = sa_scene_write_row(scene, i, p->name, options, &w, err);
    }
    bool failed = ferror(stream) != 0;
    if ((fclose(stream) != 0 || failed) && status == SA_OK) {
        return sa_fail(err, SA_NO_ROOM, p->name, "free some memory", "no memory for its rows");
    }
    return status;
}

static void make(void *context, size_t task, int worker)
{
    job *j = context;
    product *p = &j->products[task];
    sa_scene *scene = &j->scenes[worker];
    int64_t number = j->begun + (int64_t)task;
    sa_scene_draw(scene, (uint64_t)j->cli->common.seed, (uint64_t)number, j->level,
                  (size_t)j->options->phrases);
    snprintf(p->name, sizeof p->name, "images/%06" PRId64 ".png", number);
    p->status = sa_image_encode_png(&scene->image, &p->png, &p->png_size, &p->err);
    if (p->status == SA_OK) {
        p->status = write_rows(j, scene, p, &p->err);
    }
}

/* ---- the batch, in order ---- */

/*
 * Not by sa_file_write, which waits for the disk: hundreds of files a second come here, and one that a power
 * failure cuts short belongs to a set without a manifest.
 */
static sa_status write_picture(const job *j, const product *p, sa_error *err)
{
    char path[4096];
    SA_TRY(sa_file_join(path, sizeof path, j->options->out, p->name, err));
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return sa_fail_errno(err, path, "cannot be written");
    }
    bool written = fwrite(p->png, 1, p->png_size, file) == p->png_size;
    int why = errno;
    if (fclose(file) != 0 && written) {
        written = false;
        why = errno;
    }
    errno = why;
    return written ? SA_OK : sa_fail_errno(err, path, "cannot be written");
}

static sa_status write_product(const job *j, const product *p, FILE *manifest, sa_error *err)
{
    if (p->status != SA_OK) {
        *err = p->err;
        return p->status;
    }
    SA_TRY(write_picture(j, p, err));
    if (fwrite(p->rows, 1, p->rows_size, manifest) != p->rows_size) {
        return sa_fail_errno(err, j->options->out, "its manifest cannot be written");
    }
    return SA_OK;
}

static sa_status draw_batch(job *j, size_t count, FILE *manifest, sa_error *err)
{
    sa_status status = SA_OK;
    memset(j->products, 0, sizeof j->products);
    sa_pool_run(j->pool, count, make, j);
    for (size_t i = 0; i < count; i++) {
        product *p = &j->products[i];
        if (status == SA_OK) {
            status = write_product(j, p, manifest, err);
        }
        free(p->png);
        free(p->rows);
    }
    return status;
}

static sa_status draw_all(job *j, FILE *manifest, sa_error *err)
{
    const synth_options *o = j->options;
    sa_progress progress = sa_progress_start(&j->cli->log, "synth", "cpu", o->count);
    sa_status status = SA_OK;
    for (int64_t done = 0; done < o->count && status == SA_OK;) {
        size_t count = o->count - done < BATCH ? (size_t)(o->count - done) : BATCH;
        j->begun = o->first + done;
        status = draw_batch(j, count, manifest, err);
        done += (int64_t)count;
        sa_progress_update(&progress, done);
        if (status == SA_OK) {
            status = sa_interrupt_check(err);
        }
    }
    sa_progress_end(&progress, o->count);
    return status;
}

/* ---- the sheet ---- */

static sa_status write_sheet(job *j, sa_error *err)
{
    const synth_options *o = j->options;
    size_t tiles = o->count < TILES ? (size_t)o->count : TILES;
    sa_scene_sheet sheet;
    sa_scene *scene = &j->scenes[0];
    SA_TRY(sa_scene_sheet_open(&sheet, tiles, err));
    sa_status status = SA_OK;
    for (size_t i = 0; i < tiles && status == SA_OK; i++) {
        sa_scene_draw(scene, (uint64_t)j->cli->common.seed, (uint64_t)o->first + i, j->level,
                      (size_t)o->phrases);
        status = sa_scene_sheet_add(&sheet, scene, &scene->phrases[0], err);
    }
    if (status == SA_OK) {
        status = sa_image_write_png(o->sheet, &sheet.image, err);
    }
    sa_scene_sheet_close(&sheet);
    return status;
}

/* ---- the command ---- */

static sa_status write_set(job *j, sa_error *err)
{
    const synth_options *o = j->options;
    char path[4096];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, o->out, "manifest.jsonl", err));
    if (sa_file_exists(path)) {
        return sa_fail(err, SA_BAD_USAGE, path, "choose another directory, or remove it",
                       "a manifest is there already");
    }
    SA_TRY(sa_file_join(path, sizeof path, o->out, "images", err));
    SA_TRY(sa_file_make_directory(path, err));
    SA_TRY(sa_file_join(path, sizeof path, o->out, "manifest.jsonl", err));
    SA_TRY(sa_file_writer_open(&writer, path, err));
    sa_status status = draw_all(j, writer.stream, err);
    if (status == SA_OK && o->sheet != NULL) {
        status = write_sheet(j, err);
    }
    if (status != SA_OK) {
        sa_file_writer_abandon(&writer);
        return status;
    }
    return sa_file_writer_commit(&writer, err);
}

static sa_status open_scenes(job *j, sa_error *err)
{
    SA_TRY(sa_pool_open(&j->pool, (int)j->cli->common.threads, err));
    int threads = sa_pool_threads(j->pool);
    j->scenes = calloc((size_t)threads, sizeof *j->scenes);
    if (j->scenes == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for %d scenes", threads);
    }
    for (int i = 0; i < threads; i++) {
        SA_TRY(sa_scene_open(&j->scenes[i], (size_t)j->options->size, err));
    }
    return SA_OK;
}

static void close_scenes(job *j)
{
    for (int i = 0; j->scenes != NULL && i < sa_pool_threads(j->pool); i++) {
        sa_scene_close(&j->scenes[i]);
    }
    free(j->scenes);
    if (j->pool != NULL) {
        sa_pool_close(j->pool);
    }
}

static sa_scene_level level_of(const char *name)
{
    sa_scene_level level = SA_SCENE_EASY;
    while (strcmp(sa_scene_level_name(level), name) != 0) {
        level++;
    }
    return level;
}

static void print_result(const sa_cli *cli, const synth_options *o)
{
    if (cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_key(&w, "out");
        sa_json_string(&w, o->out);
        sa_json_key(&w, "scenes");
        sa_json_int(&w, o->count);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
    } else {
        printf("%" PRId64 " scenes in %s\n", o->count, o->out);
    }
}

static sa_status synth(sa_cli *cli, const synth_options *o, sa_error *err)
{
    if (o->out == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--out", "name a new directory", "missing");
    }
    job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to begin");
    }
    j->cli = cli;
    j->options = o;
    j->level = level_of(o->level);
    sa_interrupt_install();
    sa_status status = open_scenes(j, err);
    if (status == SA_OK) {
        status = write_set(j, err);
    }
    close_scenes(j);
    free(j);
    if (status == SA_OK) {
        print_result(cli, o);
    }
    return status;
}

int sa_command_synth(int argc, char **argv)
{
    synth_options o = {0};
    const sa_option options[] = {
        {"out", SA_OPTION_TEXT, &o.out, "DIR", "where images/ and manifest.jsonl go", NULL, 0, 0},
        {"count", SA_OPTION_INTEGER, &o.count, "N", "scenes to draw", "100", 1, 100000000},
        {"level", SA_OPTION_CHOICE, &o.level, "easy|hard|steps",
         "what scenes are made of; in steps one click is not enough", "easy", 0, 0},
        {"size", SA_OPTION_INTEGER, &o.size, "PIXELS", "side of the pictures", "256", SA_SCENE_LEAST_SIZE,
         SA_SCENE_MOST_SIZE},
        {"first", SA_OPTION_INTEGER, &o.first, "N", "number of the first scene", "0", 0, INT64_MAX / 2},
        {"phrases", SA_OPTION_INTEGER, &o.phrases, "N", "rows of a scene, at most: each with another target",
         "1", 1, SA_SCENE_MOST_PHRASES},
        {"masks", SA_OPTION_FLAG, &o.masks, NULL, "the mask of every object in the rows, for training", NULL,
         0, 0},
        {"coarse", SA_OPTION_FLAG, &o.coarse, NULL,
         "give each row a mask that is not quite right, for refine and filter", NULL, 0, 0},
        {"sheet", SA_OPTION_TEXT, &o.sheet, "FILE.png", "the first 24 scenes in one picture, to look at",
         NULL, 0, 0},
    };
    const sa_syntax syntax = {
        .name = "synth",
        .summary = "Draws synthetic scenes with a phrase and the mask of what it names. The same seed gives "
                   "the same "
                   "bytes on every machine.",
        .usage = "--out DIR [OPTION]...",
        .example = "segagent synth --out scenes --count 1000 --seed 7 --level hard --sheet scenes.png",
        .options = options,
        .count = sizeof options / sizeof options[0],
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    return sa_cli_end(&cli, synth(&cli, &o, &err), &err);
}
