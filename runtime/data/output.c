#include "runtime/data/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/data/journal.h"
#include "runtime/data/output_parts.h"
#include "runtime/data/run_file.h"

enum { JOURNAL_LEAST = 1 << 20 }; /* bytes below which no new journal is begun: it costs some fsyncs */

/* ---- small things ---- */

sa_status output_no_memory(const sa_output *o, sa_error *err)
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
        return output_no_memory(o, err);
    }
    o->buffer = grown;
    o->room = size;
    return SA_OK;
}

sa_status output_journal_path(const sa_output *o, char path[OUTPUT_PATH], sa_error *err)
{
    return sa_file_join(path, OUTPUT_PATH, o->directory, OUTPUT_JOURNAL, err);
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
        const output_slot *s = &o->slots[i];
        if (s->kind == 0) {
            continue;
        }
        size_t size, at;
        char *line = malloc(s->size);
        if (line == NULL) {
            return output_no_memory(o, err);
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

sa_status output_begin_journal(sa_output *o, sa_error *err)
{
    char path[OUTPUT_PATH];
    sa_file_writer writer;
    SA_TRY(sa_append_sync(&o->results, err));
    SA_TRY(sa_append_sync(&o->quarantine, err));
    SA_TRY(output_journal_path(o, path, err));
    uint64_t *places = calloc(o->count - o->next + 1, sizeof *places);
    if (places == NULL) {
        return output_no_memory(o, err);
    }
    sa_status status = sa_file_writer_open(&writer, path, err);
    if (status == SA_OK) {
        status = write_journal(o, &writer, places, err);
    }
    if (status ==
        SA_OK) { /* the old one has no name any more: if this fails, nothing can be put from now on */
        sa_append_close(&o->journal);
        status = sa_append_open(&o->journal, o->directory, OUTPUT_JOURNAL, err);
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

/* ---- copying what need not wait ---- */

static sa_status copy_row(sa_output *o, output_slot *s, sa_error *err)
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

sa_status output_copy_ready(sa_output *o, sa_error *err)
{
    while (o->next < o->count && o->slots[o->next].kind != 0) {
        SA_TRY(copy_row(o, &o->slots[o->next], err));
    }
    bool mostly_copied = o->journal.size > JOURNAL_LEAST && o->journal.size / 2 > o->waiting;
    return mostly_copied ? output_begin_journal(o, err) : SA_OK;
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
    output_slot *s = &o->slots[index_of(o, row)];
    SA_ASSERT(!sa_output_is_done(o, row));
    if (line_size > OUTPUT_MOST_LINE) {
        return sa_fail(err, SA_BAD_INPUT, o->results.path, "take fewer steps, or no --trace",
                       "a row of %zu bytes is too long", line_size);
    }
    SA_ASSERT(line_size > 0 && memchr(line, '\n', line_size) == NULL);
    SA_TRY(build_record(o, row, (char)kind, line, line_size, &size, &at, err));
    uint64_t begin = o->journal.size;
    SA_TRY(sa_append_row(&o->journal, o->buffer, size, err));
    *s = (output_slot){begin + at, (uint32_t)line_size, (char)kind};
    o->waiting += line_size;
    o->done++;
    o->dirty = true;
    SA_TRY(output_copy_ready(o, err));
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
        return output_no_memory(output, err);
    }
    sa_json_writer w = sa_json_writer_on(stream);
    write_bad_row(&w, id, why);
    sa_status status = fclose(stream) == 0 ? put(output, row, SA_JOURNAL_QUARANTINE, text, size, err)
                                           : output_no_memory(output, err);
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
    char path[OUTPUT_PATH];
    SA_ASSERT(output->done == output->count);
    if (output->finished) { /* by an earlier run, whose times stand there */
        return SA_OK;
    }
    SA_TRY(output_copy_ready(output, err));
    SA_TRY(sa_append_sync(&output->results, err));
    SA_TRY(sa_append_sync(&output->quarantine, err));
    SA_TRY(sa_run_write(output->directory, output->run, "done", times, counters, err));
    output->finished = true;
    output->dirty = false;
    SA_TRY(output_journal_path(output, path, err));
    return unlink(path) == 0 ? SA_OK : sa_fail_errno(err, path, "cannot remove it");
}
