/* Opening an output directory: a new one, one whose run goes on, one that is done. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/data/journal.h"
#include "runtime/data/output_parts.h"
#include "runtime/data/run_file.h"

enum { DEFAULT_SYNC_MS = 1000 };

static const char ELSEWHERE[] = "use another directory";

/* ---- a journal that was found ---- */

/* One line of the text of a journal that was found. */
static void take_record(sa_output *o, const sa_journal_record *record, const char *text)
{
    if (record->kind == SA_JOURNAL_HEAD || record->row < o->first + o->next ||
        record->row - o->first >= o->count || record->size > OUTPUT_MOST_LINE) {
        return;
    }
    output_slot *s = &o->slots[record->row - o->first];
    if (s->kind == 0) {
        uint64_t at = (uint64_t)(record->line - text);
        *s = (output_slot){at, (uint32_t)record->size, (char)record->kind};
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
    SA_TRY(output_begin_journal(o, err));
    return sa_run_write(o->directory, o->run, "running", NULL, NULL, err);
}

static sa_status resume(sa_output *o, sa_error *err)
{
    char path[OUTPUT_PATH];
    sa_file_map map;
    SA_TRY(output_journal_path(o, path, err));
    if (!sa_file_exists(path)) {
        return sa_fail(err, SA_BAD_INPUT, path, ELSEWHERE, "is gone, and with it what the run had done");
    }
    SA_TRY(sa_append_open(&o->journal, o->directory, OUTPUT_JOURNAL, err));
    SA_TRY(sa_file_map_open(&map, path, err));
    sa_status status = take_journal(o, (const char *)map.bytes, map.size, err);
    sa_file_map_close(&map);
    SA_TRY(status);
    SA_TRY(output_copy_ready(o, err));
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
    char path[OUTPUT_PATH];
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
    SA_TRY(output_journal_path(o, path, err));
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
        return output_no_memory(o, err);
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
