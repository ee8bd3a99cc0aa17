#include "runtime/data/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/json_parts.h"
#include "runtime/base/lines.h"
#include "runtime/base/text_table.h"
#include "runtime/data/output.h"
#include "runtime/data/run_file.h"

enum { PATH_ROOM = 4096 };

typedef struct {
    const char *directory;
    json_t *run;
    sa_output *output; /* of an unfinished part: it keeps others out until we are done */
    size_t rows;
    sa_shard shard;
    sa_file_map results, quarantine;
    size_t done;  /* lines of both */
    bool primary; /* of the parts with the same shard the one with most rows */
} part;

/* A row that is written, and where it comes from. */
typedef struct {
    const char *line;
    size_t size;
    const part *from;
} kept_row;

typedef struct {
    part *parts; /* [count] */
    size_t count;
    const char *output;
    sa_text_table ids; /* to their places in `rows` */
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

static sa_status map_rows(part *p, const char *name, sa_file_map *map, sa_error *err)
{
    char path[PATH_ROOM];
    SA_TRY(sa_file_join(path, sizeof path, p->directory, name, err));
    SA_TRY(sa_file_map_open(map, path, err));
    if (map->size > 0 && map->bytes[map->size - 1] != '\n') {
        return sa_fail(err, SA_BAD_INPUT, path, "do that part again", "its last row has no end");
    }
    p->done += count_lines(map);
    return SA_OK;
}

/* An interrupted run leaves rows in its journal that belong into the files: opening it puts them there. */
static sa_status tidy(part *p, sa_error *err)
{
    const sa_output_options options = {
        .directory = p->directory, .run = p->run, .rows = p->rows, .shard = p->shard, .sync_ms = -1};
    return sa_output_open(&p->output, &options, err);
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
    SA_TRY(map_rows(p, "results.jsonl", &p->results, err));
    SA_TRY(map_rows(p, "quarantine.jsonl", &p->quarantine, err));
    size_t first, end;
    sa_shard_range(p->shard, p->rows, &first, &end);
    return p->done <= end - first ? SA_OK
                                  : sa_fail(err, SA_BAD_INPUT, directory, "do that part again",
                                            "it has %zu rows, more than its part of the input", p->done);
}

static void close_part(part *p)
{
    sa_file_map_close(&p->results);
    sa_file_map_close(&p->quarantine);
    sa_output_close(p->output);
    json_decref(p->run);
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

static sa_status keep_row(merger *m, const kept_row *row, sa_json_part id, sa_error *err)
{
    size_t number = m->report->results;
    if (number == m->room) {
        size_t wanted = m->room != 0 ? 2 * m->room : 1024, bytes;
        kept_row *grown = sa_mul_size(wanted, sizeof *grown, &bytes) ? realloc(m->rows, bytes) : NULL;
        if (grown == NULL) {
            return no_memory(err);
        }
        m->rows = grown;
        m->room = wanted;
    }
    m->rows[number] = *row;
    m->report->results++;
    return sa_text_table_put(&m->ids, id.text, id.size, number) ? SA_OK : no_memory(err);
}

/* `best`: the part of the same shard that has most rows. */
static sa_status take_row(merger *m, const kept_row *row, const part *best, sa_error *err)
{
    sa_json_part id;
    if (!find_id(row->line, row->size, &id)) {
        return sa_fail(err, SA_BAD_INPUT, row->from->directory, "do that part again", "a row has no id");
    }
    const sa_text_entry *known = sa_text_table_find(&m->ids, id.text, id.size);
    if (known == NULL) {
        return row->from->primary ? keep_row(m, row, id, err)
                                  : fail_row(row->from, id, best, "is missing in", err);
    }
    const kept_row *before = &m->rows[known->number];
    if (before->size != row->size || memcmp(before->line, row->line, row->size) != 0) {
        return fail_row(row->from, id, before->from, "has other bytes in", err);
    }
    m->report->duplicates++;
    return SA_OK;
}

static sa_status take_results(merger *m, const part *p, const part *best, sa_error *err)
{
    sa_lines lines = {.text = (const char *)p->results.bytes, .size = p->results.size};
    const char *line;
    size_t size;
    while (sa_lines_next(&lines, &line, &size)) {
        const kept_row row = {line, size, p};
        SA_TRY(take_row(m, &row, best, err));
    }
    return SA_OK;
}

/* Rows stand in order, so those of a part that has done less are the first ones of the other. */
static sa_status check_quarantine(merger *m, const part *p, const part *best, sa_error *err)
{
    const sa_file_map *less = &p->quarantine, *more = &best->quarantine;
    sa_lines lines = {.text = (const char *)less->bytes, .size = less->size};
    sa_lines others = {.text = (const char *)more->bytes, .size = more->size};
    const char *line, *other;
    size_t size, other_size;
    while (sa_lines_next(&lines, &line, &size)) {
        bool there = sa_lines_next(&others, &other, &other_size);
        if (!there || other_size != size || memcmp(line, other, size) != 0) {
            sa_json_part id = {"?", 1};
            find_id(line, size, &id);
            return fail_row(p, id, best, "is in quarantine, and not so in", err);
        }
        m->report->duplicates++;
    }
    return SA_OK;
}

static sa_status take_parts(merger *m, sa_error *err)
{
    const part *best = NULL;
    for (size_t i = 0; i < m->count; i++) {
        const part *p = &m->parts[i];
        best = p->primary ? p : best;
        SA_TRY(take_results(m, p, best, err));
        if (p->primary) {
            m->report->quarantined += count_lines(&p->quarantine);
        } else {
            SA_TRY(check_quarantine(m, p, best, err));
        }
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

static sa_status write_results(const merger *m, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, m->output, "results.jsonl", err));
    SA_TRY(sa_file_writer_open(&writer, path, err));
    for (size_t i = 0; i < m->report->results; i++) { /* commit sees whether it worked */
        fwrite(m->rows[i].line, 1, m->rows[i].size, writer.stream);
        putc('\n', writer.stream);
    }
    return sa_file_writer_commit(&writer, err);
}

static sa_status write_quarantine(const merger *m, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, m->output, "quarantine.jsonl", err));
    SA_TRY(sa_file_writer_open(&writer, path, err));
    for (size_t i = 0; i < m->count; i++) {
        const sa_file_map *map = &m->parts[i].quarantine;
        if (m->parts[i].primary && map->size > 0) {
            fwrite(map->bytes, 1, map->size, writer.stream);
        }
    }
    return sa_file_writer_commit(&writer, err);
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

static sa_status check_whole(const merger *m, sa_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        SA_TRY(sa_file_map_check(&m->parts[i].results, err));
        SA_TRY(sa_file_map_check(&m->parts[i].quarantine, err));
    }
    return SA_OK;
}

static sa_status merge(merger *m, const char *const *directories, size_t count, sa_error *err)
{
    SA_TRY(open_parts(m, directories, count, err));
    m->report->rows = m->parts[0].rows;
    SA_TRY(take_parts(m, err));
    find_missing(m);
    SA_TRY(check_output(m->output, err));
    SA_TRY(write_results(m, err));
    SA_TRY(write_quarantine(m, err));
    SA_TRY(check_whole(m, err));
    return write_run(m, err); /* last: without it the directory is no run */
}

sa_status sa_merge(const char *const *directories, size_t count, const char *output, sa_merge_report *report,
                   sa_error *err)
{
    merger m = {.output = output, .report = report};
    *report = (sa_merge_report){0};
    SA_ASSERT(count > 0);
    sa_status status = merge(&m, directories, count, err);
    for (size_t i = 0; i < m.count; i++) {
        close_part(&m.parts[i]);
    }
    sa_text_table_free(&m.ids);
    free(m.rows);
    free(m.parts);
    return status;
}
