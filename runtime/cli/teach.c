#include "runtime/cli/teach.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/lines.h"
#include "runtime/base/text_table.h"
#include "runtime/cli/visit.h"
#include "runtime/data/trajectory_json.h"
#include "runtime/data/truth.h"
#include "runtime/hlmat/lesson_rows.h"
#include "runtime/text/buffer.h"

typedef struct {
    sa_cli *cli;
    const sa_teach_options *options;
    sa_agent agent;
    sa_truths truths;
    sa_file_writer lessons, trajectories;
    sa_json_writer trajectory_json;
    sa_lesson_counts counts;
    size_t merged, repeated,
        left_out;       /* lessons of other files; those that were there; pictures that are not */
    size_t lines;       /* of lessons.jsonl */
    sa_text_table seen; /* lessons by what they say: keys[0, seen.count) */
    char **keys;
    size_t key_room;
} job;

/* ---- lessons of the run ---- */

static sa_status remember(job *j, const char *key, sa_error *err)
{
    char *copy = strdup(key), **keys = sa_grow(j->keys, &j->key_room, j->seen.count + 1, sizeof *keys);
    j->keys = keys != NULL ? keys : j->keys;
    if (copy == NULL || keys == NULL || !sa_text_table_put(&j->seen, copy, strlen(copy), 0)) {
        free(copy);
        return sa_fail(err, SA_NO_ROOM, NULL, "use fewer lessons", "no memory for lessons");
    }
    j->keys[j->seen.count - 1] = copy;
    return SA_OK;
}

/* True the first time that a lesson is met: the same state, and the same click. */
static sa_status is_new(job *j, const sa_lesson_row *row, bool *new, sa_error *err)
{
    char *mask, key[512];
    SA_TRY(sa_rle_to_string(&row->mask, &mask, NULL, err));
    uint64_t hash = sa_hash_bytes(mask, strlen(mask)); /* of what may be long */
    free(mask);
    snprintf(key, sizeof key, "%.400s|%016" PRIx64 "|%d %zu %zu", row->id, hash, row->action.positive,
             row->action.row, row->action.col);
    *new = sa_text_table_find(&j->seen, key, strlen(key)) == NULL;
    return *new ? remember(j, key, err) : SA_OK;
}

static sa_status write_lessons(job *j, const sa_result *r, const sa_lesson *lessons, size_t count,
                               sa_error *err)
{
    sa_json_writer w = sa_json_writer_on(j->lessons.stream);
    for (size_t i = 0; i < count; i++) {
        const sa_lesson_row row = {
            .id = r->id, .mask = r->steps[lessons[i].step].mask, .action = lessons[i].action};
        bool new;
        SA_TRY(is_new(j, &row, &new, err));
        if (new) {
            SA_TRY(sa_lesson_write(r, &lessons[i], &w, err));
            j->lines++;
        } else {
            j->repeated++;
        }
    }
    return SA_OK;
}

static sa_status learn(job *j, const sa_result *r, const sa_rle *rle, sa_error *err)
{
    sa_mask truth;
    sa_annotator annotator = {0};
    size_t count = 0;
    SA_TRY(sa_rle_decode(rle, &truth, err));
    sa_lesson *lessons = malloc((r->step_count + 1) * sizeof *lessons);
    sa_status status = lessons != NULL ? sa_annotator_open(&annotator, truth.height, truth.width, err)
                                       : sa_fail(err, SA_NO_ROOM, r->id, NULL, "no memory for lessons");
    if (status == SA_OK) {
        status = sa_lessons_choose(r, &truth, j->options->rule, j->options->enough, &annotator, lessons,
                                   &count, &j->counts, err);
    }
    if (status == SA_OK) {
        status = write_lessons(j, r, lessons, count, err);
    }
    free(lessons);
    sa_annotator_close(&annotator);
    sa_mask_free(&truth);
    return status;
}

static sa_status take_result(void *context, const sa_result *result, const char *name, sa_error *err)
{
    job *j = context;
    sa_rle truth;
    SA_TRY(sa_truths_find(&j->truths, result, name, &truth, err));
    sa_status status = learn(j, result, &truth, err);
    if (status == SA_OK && j->options->segagent != NULL) {
        status = sa_trajectory_json_add(result, &truth, &j->trajectory_json, err);
    }
    sa_rle_free(&truth);
    return status;
}

/* ---- lessons of other runs ---- */

/* The next row of a file of lessons; *found is false at the end. */
static sa_status next_row(sa_lines *lines, const char *path, sa_lesson_row *row, const char **line,
                          size_t *size, bool *found, sa_error *err)
{
    char name[600];
    json_t *value;
    *found = sa_lines_next(lines, line, size);
    if (!*found) {
        return SA_OK;
    }
    snprintf(name, sizeof name, "%.500s:%zu", path, lines->number);
    SA_TRY(sa_json_parse(name, *line, *size, &value, err));
    sa_status status = sa_lesson_parse(row, value, name, err);
    json_decref(value);
    return status;
}

static sa_status merge_lines(job *j, sa_lines *lines, const char *path, sa_error *err)
{
    for (bool found = true; found;) {
        sa_lesson_row row;
        const char *line;
        size_t size;
        bool new = false;
        SA_TRY(next_row(lines, path, &row, &line, &size, &found, err));
        if (!found) {
            break;
        }
        sa_status status = is_new(j, &row, &new, err);
        sa_lesson_row_free(&row);
        SA_TRY(status);
        *(new ? &j->merged : &j->repeated) += 1;
        if (new) {
            fwrite(line, 1, size, j->lessons.stream);
            fputc('\n', j->lessons.stream);
            j->lines++;
        }
    }
    return SA_OK;
}

/* A look at them, before a long run is begun that would end with what is wrong in them. */
static sa_status check_lines(job *j, sa_lines *lines, const char *path, sa_error *err)
{
    (void)j;
    for (bool found = true; found;) {
        sa_lesson_row row;
        const char *line;
        size_t size;
        SA_TRY(next_row(lines, path, &row, &line, &size, &found, err));
        if (found) {
            sa_lesson_row_free(&row);
        }
    }
    return SA_OK;
}

typedef sa_status take_lines(job *j, sa_lines *lines, const char *path, sa_error *err);

/* All files of --merge. */
static sa_status visit_merged(job *j, take_lines *take, sa_error *err)
{
    for (size_t i = 0; i < j->cli->arguments.use_count; i++) {
        const sa_option_use *use = &j->cli->arguments.uses[i];
        sa_file_map map;
        SA_TRY(sa_file_map_open(&map, use->value, err));
        sa_lines lines = {.text = (const char *)map.bytes, .size = map.size};
        sa_status status = take(j, &lines, use->value, err);
        if (status == SA_OK) {
            status = sa_file_map_check(&map, err);
        }
        sa_file_map_close(&map);
        SA_TRY(status);
    }
    return SA_OK;
}

/* ---- chat ---- */

/* A picture that stays open from one lesson to the next: lessons of one item follow each other. */
typedef struct {
    char *path;
    sa_image image;
} open_picture;

static sa_status read_picture(open_picture *p, const char *path, sa_error *err)
{
    if (p->path != NULL && strcmp(p->path, path) == 0) {
        return SA_OK;
    }
    free(p->path);
    sa_image_free(&p->image);
    p->path = NULL;
    SA_TRY(sa_image_read(path, NULL, &p->image, err));
    p->path = strdup(path);
    return SA_OK;
}

static sa_status write_chat_line(job *j, const sa_lesson_row *row, size_t number, open_picture *picture,
                                 sa_json_writer *w, sa_error *err)
{
    const sa_item *item = sa_truths_item(&j->truths, row->id);
    bool same = item != NULL && strcmp(item->image, row->image) == 0 && strcmp(item->text, row->text) == 0;
    if (!same) { /* a lesson of another input, which may have the same ids */
        j->left_out++;
        return SA_OK;
    }
    SA_TRY(read_picture(picture, item->path, err));
    return sa_lesson_write_chat(&j->agent, row, number, &picture->image, j->options->chat, w, err);
}

static sa_status write_chat_lines(job *j, sa_lines *lines, FILE *stream, sa_error *err)
{
    sa_json_writer w = sa_json_writer_on(stream);
    open_picture picture = {0};
    sa_progress progress = sa_progress_start(&j->cli->log, "paint", "cpu", (long long)j->lines);
    sa_status status = SA_OK;
    size_t number = 0;
    for (bool found = true; found && status == SA_OK;) {
        sa_lesson_row row = {0};
        const char *line;
        size_t size;
        status = next_row(lines, "lessons.jsonl", &row, &line, &size, &found, err);
        if (status == SA_OK && found) {
            status = write_chat_line(j, &row, number++, &picture, &w, err);
            sa_lesson_row_free(&row);
        }
        if (status == SA_OK) {
            status = sa_interrupt_check(err);
        }
        sa_progress_update(&progress, (long long)number);
    }
    sa_progress_end(&progress, (long long)number);
    sa_image_free(&picture.image);
    free(picture.path);
    return status;
}

static sa_status write_chat(job *j, const char *lessons, sa_error *err)
{
    char path[4096];
    sa_file_map map;
    sa_file_writer writer = {0};
    SA_TRY(sa_file_join(path, sizeof path, j->options->chat, "images", err));
    SA_TRY(sa_file_make_directory(path, err));
    SA_TRY(sa_file_join(path, sizeof path, j->options->chat, "chat.jsonl", err));
    SA_TRY(sa_file_map_open(&map, lessons, err));
    sa_lines lines = {.text = (const char *)map.bytes, .size = map.size};
    sa_status status = sa_file_writer_open(&writer, path, err);
    if (status == SA_OK) {
        status = write_chat_lines(j, &lines, writer.stream, err);
    }
    status = status == SA_OK ? sa_file_writer_commit(&writer, err) : status;
    sa_file_writer_abandon(&writer);
    sa_file_map_close(&map);
    return status;
}

/* ---- all of it ---- */

static sa_status open_files(job *j, char *lessons, size_t size, sa_error *err)
{
    SA_TRY(sa_file_join(lessons, size, j->options->run.output, "lessons.jsonl", err));
    SA_TRY(sa_file_writer_open(&j->lessons, lessons, err));
    if (j->options->segagent != NULL) {
        SA_TRY(sa_file_writer_open(&j->trajectories, j->options->segagent, err));
        j->trajectory_json = sa_json_writer_on(j->trajectories.stream);
        sa_trajectory_json_begin(&j->trajectory_json);
    }
    return SA_OK;
}

static sa_status close_files(job *j, sa_error *err)
{
    if (j->options->segagent != NULL) {
        sa_trajectory_json_end(&j->trajectory_json);
        SA_TRY(sa_file_writer_commit(&j->trajectories, err));
    }
    return sa_file_writer_commit(&j->lessons, err);
}

/* What the files beside the run need: found out before it. */
static sa_status check_files(job *j, sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(visit_merged(j, check_lines, err));
    const char *file = j->options->segagent;
    if (file != NULL &&
        (sa_file_is_regular(file) || !sa_file_exists(file))) { /* no pipe, which would end here */
        SA_TRY(sa_file_writer_open(&writer, file, err));
        sa_file_writer_abandon(&writer);
    }
    bool paints = j->options->chat != NULL && !j->options->run.dry_run;
    return paints ? sa_file_make_directory(j->options->chat, err) : SA_OK;
}

static sa_status teach(job *j, sa_run_summary *summary, sa_error *err)
{
    const sa_run_options *run = &j->options->run;
    char lessons[4096];
    sa_visit_counts counts = {0};
    SA_TRY(sa_agent_read(&j->agent, run->agent, err));
    SA_TRY(open_files(j, lessons, sizeof lessons, err));
    if (summary->items > summary->quarantined) { /* a part of a run may have no results */
        SA_TRY(sa_cli_visit_results(j->cli, "lessons", run->output, take_result, j, &counts, err));
    }
    summary->skipped = counts.skipped;
    SA_TRY(visit_merged(j, merge_lines, err));
    SA_TRY(close_files(j, err));
    return j->options->chat != NULL ? write_chat(j, lessons, err) : SA_OK;
}

static void report(const job *j, const sa_run_summary *s)
{
    const sa_lesson_counts *c = &j->counts;
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_put_string(&w, "output", j->options->run.output);
        sa_json_put_int(&w, "items", (int64_t)s->items);
        sa_json_put_int(&w, "quarantined", (int64_t)s->quarantined);
        sa_json_put_int(&w, "trajectories", (int64_t)c->trajectories);
        sa_json_put_int(&w, "kept", (int64_t)c->kept);
        sa_json_put_int(&w, "corrected", (int64_t)c->corrected);
        sa_json_put_int(&w, "dropped", (int64_t)c->dropped);
        sa_json_put_int(&w, "merged", (int64_t)j->merged);
        sa_json_put_int(&w, "repeated", (int64_t)j->repeated);
        sa_json_put_int(&w, "lessons", (int64_t)j->lines);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
        return;
    }
    printf("%zu items (%zu in quarantine), %zu trajectories with lessons\n", s->items, s->quarantined,
           c->trajectories);
    printf("clicks: %zu kept, %zu corrected, %zu dropped; %zu lessons merged, %zu left out as repeated\n",
           c->kept, c->corrected, c->dropped, j->merged, j->repeated);
    printf("%zu lessons: %s/lessons.jsonl\n", j->lines, j->options->run.output);
    if (j->left_out > 0) {
        printf("%zu lessons are about pictures of another input, and not in the chat\n", j->left_out);
    }
}

int sa_teach(sa_cli *cli, sa_teach_options *options, const sa_run_kind *kind)
{
    job j = {.cli = cli, .options = options};
    sa_run_summary summary = {0};
    sa_error err = {0};
    sa_status status = check_files(&j, &err);
    if (status == SA_OK) {
        status = sa_run_items(cli, &options->run, kind, &summary, &j.truths, &err);
    }
    if (status == SA_OK && !options->run.dry_run && options->run.output != NULL) {
        status = teach(&j, &summary, &err);
        if (status == SA_OK) {
            report(&j, &summary);
        }
    }
    sa_file_writer_abandon(&j.lessons);
    sa_file_writer_abandon(&j.trajectories);
    sa_truths_close(&j.truths);
    for (size_t i = 0; i < j.seen.count; i++) {
        free(j.keys[i]);
    }
    free(j.keys);
    sa_text_table_free(&j.seen);
    return sa_cli_end_items(cli, status, &err, summary.quarantined + summary.skipped);
}
