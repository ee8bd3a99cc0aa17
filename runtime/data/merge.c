/*
 * There may be thousands of parts, and only so many files can be open: a first pass looks at each part alone
 * and keeps its numbers, a second one finds which rows are to be written and where they stand, and a third
 * one copies them. A part that grows meanwhile is told by the sizes of its files.
 */
#include "runtime/data/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json_parts.h"
#include "runtime/base/lines.h"
#include "runtime/base/text_table.h"
#include "runtime/data/output.h"
#include "runtime/data/run_file.h"
#include "runtime/text/buffer.h"

enum { PATH_ROOM = 4096 };

typedef struct {
    const char *directory;
    json_t *run;
    size_t rows;
    sa_shard shard;
    size_t results, quarantine; /* bytes of the two files */
    size_t done;                /* lines of both */
    bool primary;               /* of the parts with the same shard the one with most rows */
} part;

/* The files of a part, while it is looked at. */
typedef struct {
    const part *of; /* NULL: closed */
    sa_file_map results, quarantine;
} part_files;

/* A row that is written, and where it comes from. */
typedef struct {
    char *id; /* owned */
    const part *from;
    size_t at, size; /* of its line in the results there */
} kept_row;

typedef struct {
    part *parts; /* [count] */
    size_t count;
    const char *output;
    part_files best, other; /* the part of a shard with most rows; another one of the same shard */
    part_files before;      /* one of another shard, for a row that is there as well */
    sa_text_table ids;      /* to their places in `rows` */
    kept_row *rows;
    size_t room;
    sa_merge_report *report;
} merger;

static sa_status no_memory(sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to merge so many rows");
}

/* ---- parts ---- */

static size_t count_lines(const sa_file_map *map)
{
    size_t count = 0;
    for (size_t i = 0; i < map->size; i++) {
        count += map->bytes[i] == '\n';
    }
    return count;
}

static sa_status map_rows(const part *p, const char *name, sa_file_map *map, sa_error *err)
{
    char path[PATH_ROOM];
    SA_TRY(sa_file_join(path, sizeof path, p->directory, name, err));
    SA_TRY(sa_file_map_open(map, path, err));
    if (map->size > 0 && map->bytes[map->size - 1] != '\n') {
        return sa_fail(err, SA_BAD_INPUT, path, "do that part again", "its last row has no end");
    }
    return SA_OK;
}

static void close_files(part_files *files)
{
    sa_file_map_close(&files->results);
    sa_file_map_close(&files->quarantine);
    *files = (part_files){0};
}

static sa_status open_files(part_files *files, const part *p, sa_error *err)
{
    close_files(files);
    files->of = p;
    SA_TRY(map_rows(p, "results.jsonl", &files->results, err));
    return map_rows(p, "quarantine.jsonl", &files->quarantine, err);
}

/* For what was read of them to count. */
static sa_status check_whole(const part_files *files, sa_error *err)
{
    SA_TRY(sa_file_map_check(&files->results, err));
    return sa_file_map_check(&files->quarantine, err);
}

/* The files as the first pass has seen them. */
static sa_status open_again(part_files *files, const part *p, sa_error *err)
{
    SA_TRY(open_files(files, p, err));
    return files->results.size == p->results && files->quarantine.size == p->quarantine
               ? SA_OK
               : sa_fail(err, SA_BAD_USAGE, p->directory, "wait until it is done",
                         "another process is writing there");
}

/* The first pass. */
static sa_status measure(part *p, sa_error *err)
{
    part_files files = {0};
    sa_status status = open_files(&files, p, err);
    if (status == SA_OK) {
        p->results = files.results.size;
        p->quarantine = files.quarantine.size;
        p->done = count_lines(&files.results) + count_lines(&files.quarantine);
        status = check_whole(&files, err);
    }
    close_files(&files);
    return status;
}

/* An interrupted run leaves rows in its journal that belong into the files: opening it puts them there. */
static sa_status tidy(const part *p, sa_error *err)
{
    const sa_output_options options = {
        .directory = p->directory, .run = p->run, .rows = p->rows, .shard = p->shard, .sync_ms = -1};
    sa_output *output;
    SA_TRY(sa_output_open(&output, &options, err));
    sa_output_close(output);
    return SA_OK;
}

static sa_status open_part(part *p, const char *directory, sa_error *err)
{
    char name[PATH_ROOM];
    p->directory = directory;
    SA_TRY(sa_file_join(name, sizeof name, directory, "run.json", err));
    SA_TRY(sa_run_read(directory, &p->run, err));
    if (p->run == NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "name the --output of a run", "there is no run");
    }
    SA_TRY(sa_run_get_shard(p->run, name, &p->rows, &p->shard, err));
    const char *status = sa_run_status(p->run);
    if (strcmp(status, "running") == 0) {
        SA_TRY(tidy(p, err));
    } else if (strcmp(status, "done") != 0) {
        return sa_fail(err, SA_BAD_USAGE, name, "name the parts themselves", "is what was merged already");
    }
    SA_TRY(measure(p, err));
    size_t first, end;
    sa_shard_range(p->shard, p->rows, &first, &end);
    return p->done <= end - first ? SA_OK
                                  : sa_fail(err, SA_BAD_INPUT, directory, "do that part again",
                                            "it has %zu rows, more than its part of the input", p->done);
}

static sa_status check_same(const part *first, const part *other, sa_error *err)
{
    char differences[700];
    if (!sa_run_same(first->run, other->run, true, differences, sizeof differences)) {
        return sa_fail(err, SA_BAD_USAGE, other->directory, "name parts of one run",
                       "is of another run than %.200s: %s", first->directory, differences);
    }
    if (first->shard.count != other->shard.count) {
        return sa_fail(err, SA_BAD_USAGE, other->directory, "name parts of one division",
                       "is one of %zu parts, %.200s one of %zu", other->shard.count, first->directory,
                       first->shard.count);
    }
    return SA_OK;
}

/* In the order of the input; of the same part the one with most rows first. */
static int by_place(const void *left, const void *right)
{
    const part *a = left, *b = right;
    if (a->shard.index != b->shard.index) {
        return a->shard.index < b->shard.index ? -1 : 1;
    }
    return a->done != b->done ? (a->done > b->done ? -1 : 1) : strcmp(a->directory, b->directory);
}

static sa_status open_parts(merger *m, const char *const *directories, size_t count, sa_error *err)
{
    m->parts = calloc(count, sizeof *m->parts);
    if (m->parts == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        m->count++;
        SA_TRY(open_part(&m->parts[i], directories[i], err));
        SA_TRY(check_same(&m->parts[0], &m->parts[i], err));
    }
    qsort(m->parts, count, sizeof *m->parts, by_place);
    for (size_t i = 0; i < count; i++) {
        m->parts[i].primary = i == 0 || m->parts[i].shard.index != m->parts[i - 1].shard.index;
    }
    return SA_OK;
}

/* ---- rows ---- */

/* The id of a row as it stands in its text. */
static bool find_id(const char *line, size_t size, sa_json_part *id)
{
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(line, size));
    sa_json_part key;
    while (sa_json_walk_next(&walk, &key, id)) {
        if (sa_json_part_is(key, "id")) {
            return true;
        }
    }
    return false;
}

static sa_status fail_row(const part *p, sa_json_part id, const part *other, const char *what, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, p->directory,
                   "find out which of the two is right, and leave the other away",
                   "the row of id %.*s %s %.400s", (int)(id.size < 200 ? id.size : 200), id.text, what,
                   other->directory);
}

static sa_status keep_row(merger *m, const part *p, sa_json_part id, size_t at, size_t size, sa_error *err)
{
    size_t number = m->report->results;
    kept_row *rows = sa_grow(m->rows, &m->room, number + 1, sizeof *rows);
    if (rows == NULL) {
        return no_memory(err);
    }
    m->rows = rows;
    rows[number] = (kept_row){.id = strndup(id.text, id.size), .from = p, .at = at, .size = size};
    m->report->results++;
    bool good = rows[number].id != NULL &&
                sa_text_table_put(&m->ids, rows[number].id, strlen(rows[number].id), number);
    return good ? SA_OK : no_memory(err);
}

/* The results of a part that has been looked at; its files are mostly open. */
static sa_status find_results(merger *m, const part *p, const char **text, sa_error *err)
{
    part_files *files = p == m->best.of ? &m->best : p == m->other.of ? &m->other : &m->before;
    if (files->of != p) {
        SA_TRY(open_again(files, p, err));
    }
    *text = (const char *)files->results.bytes;
    return SA_OK;
}

static sa_status compare_rows(merger *m, const part *p, sa_json_part id, const kept_row *before,
                              sa_json_part line, sa_error *err)
{
    const char *text;
    SA_TRY(find_results(m, before->from, &text, err));
    if (before->size != line.size || memcmp(text + before->at, line.text, line.size) != 0) {
        return fail_row(p, id, before->from, "has other bytes in", err);
    }
    m->report->duplicates++;
    return SA_OK;
}

static sa_status take_row(merger *m, const part_files *files, sa_json_part line, sa_error *err)
{
    const part *p = files->of;
    size_t at = (size_t)(line.text - (const char *)files->results.bytes);
    sa_json_part id;
    if (!find_id(line.text, line.size, &id)) {
        return sa_fail(err, SA_BAD_INPUT, p->directory, "do that part again", "a row has no id");
    }
    const sa_text_entry *known = sa_text_table_find(&m->ids, id.text, id.size);
    if (known != NULL) {
        return compare_rows(m, p, id, &m->rows[known->number], line, err);
    }
    return p->primary ? keep_row(m, p, id, at, line.size, err)
                      : fail_row(p, id, m->best.of, "is missing in", err);
}

static sa_status take_results(merger *m, const part_files *files, sa_error *err)
{
    sa_lines lines = {.text = (const char *)files->results.bytes, .size = files->results.size};
    sa_json_part line;
    while (sa_lines_next(&lines, &line.text, &line.size)) {
        SA_TRY(take_row(m, files, line, err));
    }
    return SA_OK;
}

/* Rows stand in order, so those of a part that has done less are the first ones of the other. */
static sa_status check_quarantine(merger *m, sa_error *err)
{
    const sa_file_map *less = &m->other.quarantine, *more = &m->best.quarantine;
    sa_lines lines = {.text = (const char *)less->bytes, .size = less->size};
    sa_lines others = {.text = (const char *)more->bytes, .size = more->size};
    const char *line, *other;
    size_t size, other_size;
    while (sa_lines_next(&lines, &line, &size)) {
        bool there = sa_lines_next(&others, &other, &other_size);
        if (!there || other_size != size || memcmp(line, other, size) != 0) {
            sa_json_part id = {"?", 1};
            find_id(line, size, &id);
            return fail_row(m->other.of, id, m->best.of, "is in quarantine, and not so in", err);
        }
        m->report->duplicates++;
    }
    return SA_OK;
}

/* The second pass. The primary part of a shard comes first, and stays open while the others are compared. */
static sa_status take_parts(merger *m, sa_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        const part *p = &m->parts[i];
        part_files *files = p->primary ? &m->best : &m->other;
        SA_TRY(open_again(files, p, err));
        SA_TRY(take_results(m, files, err));
        if (p->primary) {
            m->report->quarantined += count_lines(&files->quarantine);
        } else {
            SA_TRY(check_quarantine(m, err));
        }
        SA_TRY(check_whole(files, err));
    }
    return SA_OK;
}

/* ---- what is missing ---- */

static void note_missing(sa_merge_report *report, sa_shard shard, size_t rows)
{
    size_t length = strlen(report->lacks);
    report->missing += rows;
    if (rows > 0 && length + 80 < sizeof report->lacks) {
        snprintf(report->lacks + length, sizeof report->lacks - length, "%sshard %zu/%zu: %zu row%s",
                 length > 0 ? ", " : "", shard.index, shard.count, rows, rows > 1 ? "s" : "");
    }
}

static void find_missing(merger *m)
{
    size_t at = 0, count = m->parts[0].shard.count != 0 ? m->parts[0].shard.count : 1;
    for (size_t index = 0; index < count; index++) {
        const sa_shard shard = {index, count};
        size_t first, end, done = 0;
        sa_shard_range(shard, m->parts[0].rows, &first, &end);
        for (; at < m->count && m->parts[at].shard.index == index; at++) {
            done = m->parts[at].primary ? m->parts[at].done : done;
        }
        note_missing(m->report, shard, end - first - done);
    }
}

/* ---- writing ---- */

/* The rows of part `p` begin at rows[*next]; whoever commits the streams sees whether it worked. */
static sa_status copy_part(merger *m, const part *p, size_t *next, FILE *results, FILE *quarantine,
                           sa_error *err)
{
    SA_TRY(open_again(&m->best, p, err));
    for (; *next < m->report->results && m->rows[*next].from == p; ++*next) {
        fwrite(m->best.results.bytes + m->rows[*next].at, 1, m->rows[*next].size, results);
        putc('\n', results);
    }
    if (m->best.quarantine.size > 0) {
        fwrite(m->best.quarantine.bytes, 1, m->best.quarantine.size, quarantine);
    }
    return check_whole(&m->best, err);
}

/* The third pass. */
static sa_status copy_parts(merger *m, FILE *results, FILE *quarantine, sa_error *err)
{
    size_t next = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->parts[i].primary) {
            SA_TRY(copy_part(m, &m->parts[i], &next, results, quarantine, err));
        }
    }
    SA_ASSERT(next == m->report->results);
    return SA_OK;
}

static sa_status write_rows(merger *m, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_writer results = {0}, quarantine = {0};
    SA_TRY(sa_file_join(path, sizeof path, m->output, "results.jsonl", err));
    SA_TRY(sa_file_writer_open(&results, path, err));
    sa_status status = sa_file_join(path, sizeof path, m->output, "quarantine.jsonl", err);
    if (status == SA_OK) {
        status = sa_file_writer_open(&quarantine, path, err);
    }
    if (status == SA_OK) {
        status = copy_parts(m, results.stream, quarantine.stream, err);
    }
    if (status == SA_OK) {
        status = sa_file_writer_commit(&results, err);
    }
    if (status == SA_OK) {
        status = sa_file_writer_commit(&quarantine, err);
    }
    sa_file_writer_abandon(&results);
    sa_file_writer_abandon(&quarantine);
    return status;
}

/* Whole numbers are summed; whatever else the parts count cannot be joined. */
static bool add_counters(json_t *sums, const json_t *counters)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)counters, key, value) {
        json_int_t sum = 0;
        if (json_is_integer(value) &&
            !__builtin_add_overflow(json_integer_value(json_object_get(sums, key)), json_integer_value(value),
                                    &sum) &&
            json_object_set_new(sums, key, json_integer(sum)) != 0) {
            return false;
        }
    }
    return true;
}

static bool describe(const merger *m, json_t *run, json_t *counters, json_t *merged)
{
    bool good = run != NULL && counters != NULL && merged != NULL;
    for (size_t i = 0; good && i < m->count; i++) {
        const part *p = &m->parts[i];
        good = json_array_append_new(merged, json_string(p->directory)) == 0;
        if (good && p->primary) {
            good = add_counters(counters, json_object_get(p->run, "counters"));
        }
    }
    if (!good) {
        return false;
    }
    json_object_del(run, "times"); /* of one part only */
    return json_object_set(run, "merged", merged) == 0 &&
           (m->report->missing == 0 ||
            json_object_set_new(run, "missing", json_integer((json_int_t)m->report->missing)) == 0);
}

static sa_status write_run(const merger *m, sa_error *err)
{
    json_t *run = sa_run_with_shard(m->parts[0].run, m->parts[0].rows, (sa_shard){0});
    json_t *counters = json_object(), *merged = json_array();
    sa_status status =
        describe(m, run, counters, merged)
            ? sa_run_write(m->output, run, m->report->missing > 0 ? "partial" : "done", NULL, counters, err)
            : no_memory(err);
    json_decref(run);
    json_decref(counters);
    json_decref(merged);
    return status;
}

static sa_status check_output(const char *output, sa_error *err)
{
    static const char *const names[] = {"run.json", "results.jsonl", "quarantine.jsonl"};
    char path[PATH_ROOM];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        SA_TRY(sa_file_join(path, sizeof path, output, names[i], err));
        if (sa_file_exists(path)) {
            return sa_fail(err, SA_BAD_USAGE, path, "choose another directory, or remove it",
                           "is there already");
        }
    }
    return sa_file_make_directory(output, err);
}

static sa_status merge(merger *m, const char *const *directories, size_t count, sa_error *err)
{
    SA_TRY(open_parts(m, directories, count, err));
    m->report->rows = m->parts[0].rows;
    SA_TRY(take_parts(m, err));
    find_missing(m);
    SA_TRY(check_output(m->output, err));
    SA_TRY(write_rows(m, err));
    return write_run(m, err); /* last: without it the directory is no run */
}

static void free_merger(merger *m)
{
    close_files(&m->best);
    close_files(&m->other);
    close_files(&m->before);
    for (size_t i = 0; i < m->count; i++) {
        json_decref(m->parts[i].run);
    }
    for (size_t i = 0; i < m->report->results; i++) {
        free(m->rows[i].id);
    }
    sa_text_table_free(&m->ids);
    free(m->rows);
    free(m->parts);
}

sa_status sa_merge(const char *const *directories, size_t count, const char *output, sa_merge_report *report,
                   sa_error *err)
{
    merger m = {.output = output, .report = report};
    *report = (sa_merge_report){0};
    SA_ASSERT(count > 0);
    sa_status status = merge(&m, directories, count, err);
    free_merger(&m);
    return status;
}
