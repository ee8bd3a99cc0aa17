#include "runtime/data/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/base/checked.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/data/append_file.h"
#include "runtime/data/journal.h"
#include "runtime/data/run_file.h"

enum {
    PATH_ROOM = 4096,
    DEFAULT_SYNC_MS = 1000,
    JOURNAL_LEAST = 1 << 20, /* bytes below which no new journal is begun: it costs some fsyncs */
    MOST_LINE = 1 << 30,
};

static const char JOURNAL[] = "results.journal";
static const char ELSEWHERE[] = "use another directory";

/* A row of the range. */
typedef struct {
    uint64_t at; /* of its line in the journal, while it waits */
    uint32_t size;
    char kind; /* a sa_journal_kind; 0: not done */
} slot;

struct sa_output {
    char directory[PATH_ROOM];
    json_t *run; /* as in run.json, with rows and shard */
    size_t first, count;
    slot *slots; /* [count] */
    size_t next; /* rows before it stand in results or quarantine */
    size_t done, quarantined;
    sa_append_file results, quarantine, journal;
    uint64_t waiting; /* bytes of lines in the journal that are not copied yet */
    char *buffer;     /* one line, or one line of the journal */
    size_t room;
    double interval, synced; /* seconds: between two syncs; when the last one was */
    bool dirty;              /* something was put since then */
    bool finished;           /* run.json says "done" */
};

/* ---- small things ---- */

static sa_status no_memory(const sa_output *o, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, o->directory, "free some memory", "no memory for its rows");
}

static sa_status reserve(sa_output *o, size_t size, sa_error *err)
{
    if (size <= o->room) {
        return SA_OK;
    }
    char *grown = realloc(o->buffer, size);
    if (grown == NULL) {
        return no_memory(o, err);
    }
    o->buffer = grown;
    o->room = size;
    return SA_OK;
}

static sa_status journal_path(const sa_output *o, char path[PATH_ROOM], sa_error *err)
{
    return sa_file_join(path, PATH_ROOM, o->directory, JOURNAL, err);
}

/* ---- the journal ---- */

/* The journal's line of a row into the buffer; *size of it, and *at: where the row's own line begins in it.
 */
static sa_status build_record(sa_output *o, size_t row, char kind, const char *line, size_t line_size,
                              size_t *size, size_t *at, sa_error *err)
{
    char prefix[SA_JOURNAL_ROOM];
    const sa_journal_record record = {
        .kind = (sa_journal_kind)kind, .row = row, .line = line, .size = line_size};
    *at = sa_journal_write_prefix(prefix, &record);
    *size = *at + line_size + 1;
    SA_TRY(reserve(o, *size, err));
    memcpy(o->buffer, prefix, *at);
    memcpy(o->buffer + *at, line, line_size);
    o->buffer[*size - 1] = '\n';
    return SA_OK;
}

/* The lines that wait, behind the head of a new journal. The places that they get stand in `places`. */
static sa_status copy_waiting(sa_output *o, FILE *stream, uint64_t from, uint64_t *places, sa_error *err)
{
    uint64_t position = from;
    for (size_t i = o->next; i < o->count; i++) {
        const slot *s = &o->slots[i];
        if (s->kind == 0) {
            continue;
        }
        size_t size, at;
        char *line = malloc(s->size);
        if (line == NULL) {
            return no_memory(o, err);
        }
        sa_status status = sa_append_read(&o->journal, s->at, line, s->size, err);
        if (status == SA_OK) {
            status = build_record(o, o->first + i, s->kind, line, s->size, &size, &at, err);
        }
        free(line);
        SA_TRY(status);
        fwrite(o->buffer, 1, size, stream); /* commit sees whether it worked */
        places[i - o->next] = position + at;
        position += size;
    }
    return SA_OK;
}

static sa_status write_journal(sa_output *o, sa_file_writer *writer, uint64_t *places, sa_error *err)
{
    char head[SA_JOURNAL_ROOM];
    const sa_journal_record record = {.done = o->next,
                                      .results = o->results.size,
                                      .quarantine = o->quarantine.size,
                                      .quarantined = o->quarantined};
    size_t size = sa_journal_write_head(head, &record);
    fwrite(head, 1, size, writer->stream);
    sa_status status = copy_waiting(o, writer->stream, size, places, err);
    if (status != SA_OK) {
        sa_file_writer_abandon(writer);
        return status;
    }
    return sa_file_writer_commit(writer, err);
}

/*
 * A journal that begins here. What it says is done must be on disk before it is, so the others are synced
 * first; the rename is what counts. If it fails, the old journal stays in use.
 */
static sa_status begin_journal(sa_output *o, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_writer writer;
    SA_TRY(sa_append_sync(&o->results, err));
    SA_TRY(sa_append_sync(&o->quarantine, err));
    SA_TRY(journal_path(o, path, err));
    uint64_t *places = calloc(o->count - o->next + 1, sizeof *places);
    if (places == NULL) {
        return no_memory(o, err);
    }
    sa_status status = sa_file_writer_open(&writer, path, err);
    if (status == SA_OK) {
        status = write_journal(o, &writer, places, err);
    }
    if (status ==
        SA_OK) { /* the old one has no name any more: if this fails, nothing can be put from now on */
        sa_append_close(&o->journal);
        status = sa_append_open(&o->journal, o->directory, JOURNAL, err);
    }
    if (status == SA_OK) {
        for (size_t i = o->next; i < o->count; i++) {
            o->slots[i].at = places[i - o->next];
        }
        o->dirty = false;
    }
    free(places);
    return status;
}

/* One line of the text of a journal that was found. */
static void take_record(sa_output *o, const sa_journal_record *record, const char *text)
{
    if (record->kind == SA_JOURNAL_HEAD || record->row < o->first + o->next ||
        record->row - o->first >= o->count || record->size > MOST_LINE) {
        return;
    }
    slot *s = &o->slots[record->row - o->first];
    if (s->kind == 0) {
        uint64_t at = (uint64_t)(record->line - text);
        *s = (slot){at, (uint32_t)record->size, (char)record->kind};
        o->waiting += record->size;
        o->done++;
    }
}

/* Up to the first line that is torn: those behind it, if there are any, are done again. */
static sa_status take_journal(sa_output *o, const char *text, size_t size, sa_error *err)
{
    sa_journal_record record;
    size_t at = sa_journal_read(&record, text, size);
    if (at == 0 || record.kind != SA_JOURNAL_HEAD || record.done > o->count ||
        record.quarantined > record.done) {
        return sa_fail(err, SA_BAD_INPUT, o->journal.path, ELSEWHERE, "is damaged");
    }
    SA_TRY(sa_append_cut(&o->results, record.results, err));
    SA_TRY(sa_append_cut(&o->quarantine, record.quarantine, err));
    o->next = o->done = (size_t)record.done;
    o->quarantined = (size_t)record.quarantined;
    for (size_t step; (step = sa_journal_read(&record, text + at, size - at)) != 0; at += step) {
        take_record(o, &record, text);
    }
    return sa_append_cut(&o->journal, at, err);
}

/* ---- copying what need not wait ---- */

static sa_status copy_row(sa_output *o, slot *s, sa_error *err)
{
    SA_TRY(reserve(o, (size_t)s->size + 1, err));
    SA_TRY(sa_append_read(&o->journal, s->at, o->buffer, s->size, err));
    o->buffer[s->size] = '\n';
    bool result = s->kind == SA_JOURNAL_RESULT;
    SA_TRY(sa_append_row(result ? &o->results : &o->quarantine, o->buffer, (size_t)s->size + 1, err));
    o->quarantined += !result;
    o->waiting -= s->size;
    o->next++;
    return SA_OK;
}

static sa_status copy_ready(sa_output *o, sa_error *err)
{
    while (o->next < o->count && o->slots[o->next].kind != 0) {
        SA_TRY(copy_row(o, &o->slots[o->next], err));
    }
    bool mostly_copied = o->journal.size > JOURNAL_LEAST && o->journal.size / 2 > o->waiting;
    return mostly_copied ? begin_journal(o, err) : SA_OK;
}

/* ---- opening ---- */

/*
 * What commands write beside the rows, by the way of a temporary file "NAME.PROCESS-NUMBER.tmp"
 * (runtime/base/file.h).
 */
static bool is_leftover(const char *name)
{
    static const char *const names[] = {"run.json.",      "results.journal.", "metrics.json.", "kept.jsonl.",
                                        "dropped.jsonl.", "lessons.jsonl.",   "chat.jsonl."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = strlen(names[i]);
        const char *rest = name + length;
        if (strncmp(name, names[i], length) == 0) {
            return rest[strspn(rest, "0123456789-")] == '.' && strcmp(strrchr(rest, '.'), ".tmp") == 0;
        }
    }
    return false;
}

/* Half-written files of a process that was killed; nobody else is at work here. */
static void remove_leftovers(const sa_output *o)
{
    DIR *directory = opendir(o->directory);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (is_leftover(entry->d_name)) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

/* results.jsonl is never renamed, so that a lock on it holds for the directory. */
static sa_status lock(const sa_output *o, sa_error *err)
{
    if (flock(o->results.file, LOCK_EX | LOCK_NB) == 0) {
        return SA_OK;
    }
    if (errno == EWOULDBLOCK) {
        return sa_fail(err, SA_BAD_USAGE, o->directory, "wait until it is done, or use another directory",
                       "another process is writing there");
    }
    return sa_fail_errno(err, o->results.path, "cannot lock");
}

static sa_status begin(sa_output *o, sa_error *err)
{
    if (o->results.size != 0 || o->quarantine.size != 0) {
        return sa_fail(err, SA_BAD_USAGE, o->directory, ELSEWHERE,
                       "holds rows and no run.json that says of what");
    }
    SA_TRY(begin_journal(o, err));
    return sa_run_write(o->directory, o->run, "running", NULL, NULL, err);
}

static sa_status resume(sa_output *o, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_map map;
    SA_TRY(journal_path(o, path, err));
    if (!sa_file_exists(path)) {
        return sa_fail(err, SA_BAD_INPUT, path, ELSEWHERE, "is gone, and with it what the run had done");
    }
    SA_TRY(sa_append_open(&o->journal, o->directory, JOURNAL, err));
    SA_TRY(sa_file_map_open(&map, path, err));
    sa_status status = take_journal(o, (const char *)map.bytes, map.size, err);
    sa_file_map_close(&map);
    SA_TRY(status);
    SA_TRY(copy_ready(o, err));
    return sa_run_write(o->directory, o->run, "running", NULL, NULL, err);
}

/* Rows of a file that a finished run has left; half a row counts as one too many. */
static sa_status count_rows(const sa_append_file *f, size_t *rows, sa_error *err)
{
    sa_file_map map;
    SA_TRY(sa_file_map_open(&map, f->path, err));
    *rows = 0;
    for (size_t i = 0; i < map.size; i++) {
        *rows += map.bytes[i] == '\n' || i + 1 == map.size;
    }
    sa_file_map_close(&map);
    return SA_OK;
}

static sa_status look_at_finished(sa_output *o, sa_error *err)
{
    char path[PATH_ROOM];
    size_t results = 0, quarantined = 0;
    SA_TRY(count_rows(&o->results, &results, err));
    SA_TRY(count_rows(&o->quarantine, &quarantined, err));
    if (results + quarantined != o->count) {
        return sa_fail(err, SA_BAD_INPUT, o->directory, ELSEWHERE,
                       "its run is done with %zu rows, and %zu are there", o->count, results + quarantined);
    }
    o->finished = true;
    o->next = o->done = o->count;
    o->quarantined = quarantined;
    SA_TRY(journal_path(o, path, err));
    unlink(path); /* of a process that was killed at the very end */
    return SA_OK;
}

static sa_status go_on(sa_output *o, const json_t *before, sa_error *err)
{
    char differences[900];
    if (!sa_run_same(before, o->run, false, differences, sizeof differences)) {
        return sa_fail(err, SA_BAD_USAGE, o->directory, ELSEWHERE, "holds another run: %s", differences);
    }
    if (strcmp(sa_run_status(before), "done") == 0) {
        return look_at_finished(o, err);
    }
    if (strcmp(sa_run_status(before), "running") == 0) {
        return resume(o, err);
    }
    return sa_fail(err, SA_BAD_USAGE, o->directory, ELSEWHERE, "is no run but what was merged of some");
}

static sa_status open_directory(sa_output *o, sa_error *err)
{
    json_t *before = NULL;
    SA_TRY(sa_file_make_directory(o->directory, err));
    SA_TRY(sa_append_open(&o->results, o->directory, "results.jsonl", err));
    SA_TRY(lock(o, err));
    SA_TRY(sa_append_open(&o->quarantine, o->directory, "quarantine.jsonl", err));
    remove_leftovers(o);
    SA_TRY(sa_run_read(o->directory, &before, err));
    sa_status status = before != NULL ? go_on(o, before, err) : begin(o, err);
    json_decref(before);
    return status;
}

static sa_status set_up(sa_output *o, const sa_output_options *options, sa_error *err)
{
    size_t end;
    sa_shard_range(options->shard, options->rows, &o->first, &end);
    o->count = end - o->first;
    o->slots = calloc(o->count + 1, sizeof *o->slots);
    o->run = sa_run_with_shard(options->run, options->rows, options->shard);
    if (o->slots == NULL || o->run == NULL) {
        return no_memory(o, err);
    }
    o->interval = (options->sync_ms < 0 ? DEFAULT_SYNC_MS : options->sync_ms) / 1000.0;
    o->synced = sa_clock_seconds();
    return open_directory(o, err);
}

static void free_output(sa_output *o)
{
    sa_append_close(&o->journal);
    sa_append_close(&o->quarantine);
    sa_append_close(&o->results); /* the lock goes with it */
    json_decref(o->run);
    free(o->slots);
    free(o->buffer);
    free(o);
}

sa_status sa_output_open(sa_output **output, const sa_output_options *options, sa_error *err)
{
    *output = NULL;
    sa_output *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return sa_fail(err, SA_NO_ROOM, options->directory, "free some memory", "no memory to begin");
    }
    o->results.file = o->quarantine.file = o->journal.file = -1;
    int length = snprintf(o->directory, sizeof o->directory, "%s", options->directory);
    sa_status status =
        (size_t)length < sizeof o->directory
            ? set_up(o, options, err)
            : sa_fail(err, SA_BAD_USAGE, options->directory, "use a shorter path", "the path is too long");
    if (status != SA_OK) {
        free_output(o);
        return status;
    }
    *output = o;
    return SA_OK;
}

void sa_output_close(sa_output *output)
{
    if (output != NULL) {
        sa_output_sync(output, NULL);
        free_output(output);
    }
}

/* ---- rows ---- */

void sa_output_range(const sa_output *output, size_t *first, size_t *end)
{
    *first = output->first;
    *end = output->first + output->count;
}

static size_t index_of(const sa_output *o, size_t row)
{
    SA_ASSERT(row >= o->first && row - o->first < o->count);
    return row - o->first;
}

bool sa_output_is_done(const sa_output *output, size_t row)
{
    size_t index = index_of(output, row);
    return index < output->next || output->slots[index].kind != 0;
}

size_t sa_output_done(const sa_output *output)
{
    return output->done;
}

size_t sa_output_quarantined(const sa_output *output)
{
    size_t waiting = 0;
    for (size_t i = output->next; i < output->count; i++) {
        waiting += output->slots[i].kind == SA_JOURNAL_QUARANTINE;
    }
    return output->quarantined + waiting;
}

static sa_status put(sa_output *o, size_t row, sa_journal_kind kind, const char *line, size_t line_size,
                     sa_error *err)
{
    size_t size, at;
    slot *s = &o->slots[index_of(o, row)];
    SA_ASSERT(!sa_output_is_done(o, row));
    if (line_size > MOST_LINE) {
        return sa_fail(err, SA_BAD_INPUT, o->results.path, "take fewer steps, or no --trace",
                       "a row of %zu bytes is too long", line_size);
    }
    SA_ASSERT(line_size > 0 && memchr(line, '\n', line_size) == NULL);
    SA_TRY(build_record(o, row, (char)kind, line, line_size, &size, &at, err));
    uint64_t begin = o->journal.size;
    SA_TRY(sa_append_row(&o->journal, o->buffer, size, err));
    *s = (slot){begin + at, (uint32_t)line_size, (char)kind};
    o->waiting += line_size;
    o->done++;
    o->dirty = true;
    SA_TRY(copy_ready(o, err));
    return sa_clock_seconds() - o->synced >= o->interval ? sa_output_sync(o, err) : SA_OK;
}

sa_status sa_output_put(sa_output *output, size_t row, const char *line, size_t size, sa_error *err)
{
    return put(output, row, SA_JOURNAL_RESULT, line, size, err);
}

static void write_bad_row(sa_json_writer *w, const char *id, const sa_error *why)
{
    sa_json_begin_object(w);
    sa_json_put_string(w, "id", id);
    sa_json_put_string(w, "file", why->file);
    sa_json_put_string(w, "reason", why->reason);
    sa_json_put_string(w, "hint", why->hint);
    sa_json_end_object(w);
}

sa_status sa_output_quarantine(sa_output *output, size_t row, const char *id, const sa_error *why,
                               sa_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return no_memory(output, err);
    }
    sa_json_writer w = sa_json_writer_on(stream);
    write_bad_row(&w, id, why);
    sa_status status = fclose(stream) == 0 ? put(output, row, SA_JOURNAL_QUARANTINE, text, size, err)
                                           : no_memory(output, err);
    free(text);
    return status;
}

sa_status sa_output_sync(sa_output *output, sa_error *err)
{
    output->synced = sa_clock_seconds();
    if (output->dirty) {
        SA_TRY(sa_append_sync(&output->journal, err));
        output->dirty = false;
    }
    return SA_OK;
}

sa_status sa_output_finish(sa_output *output, const json_t *times, const json_t *counters, sa_error *err)
{
    char path[PATH_ROOM];
    SA_ASSERT(output->done == output->count);
    if (output->finished) { /* by an earlier run, whose times stand there */
        return SA_OK;
    }
    SA_TRY(copy_ready(output, err));
    SA_TRY(sa_append_sync(&output->results, err));
    SA_TRY(sa_append_sync(&output->quarantine, err));
    SA_TRY(sa_run_write(output->directory, output->run, "done", times, counters, err));
    output->finished = true;
    output->dirty = false;
    SA_TRY(journal_path(output, path, err));
    return unlink(path) == 0 ? SA_OK : sa_fail_errno(err, path, "cannot remove it");
}
