/*
 * Arbitrary bytes as the journal of an interrupted run. The first byte: how many rows there are; if it is
 * odd, a good head is put before the rest, and the checksums of its lines are made good, so that more than
 * the checksum is tested. What opens can be finished, and is then whole.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/crc32.h"
#include "runtime/base/file.h"
#include "runtime/data/journal.h"
#include "runtime/data/output.h"
#include "runtime/data/run_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_file(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(name, "wb");
    SA_ASSERT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* The lines of `data`, each with its CRC before it. */
static void write_good_journal(const uint8_t *data, size_t size)
{
    char head[SA_JOURNAL_ROOM];
    size_t at = 0;
    FILE *file = fopen("out/results.journal", "wb");
    SA_ASSERT(file != NULL);
    fwrite(head, 1, sa_journal_write_head(head, &(sa_journal_record){0}), file);
    while (at < size) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - data) - at : size - at;
        fprintf(file, "%08x ", sa_crc32(0, data + at, length));
        fwrite(data + at, 1, length, file);
        putc('\n', file);
        at += length + 1;
    }
    SA_ASSERT(fclose(file) == 0);
}

static size_t count_lines(const char *name)
{
    unsigned char *bytes;
    size_t size, count = 0;
    SA_ASSERT(sa_file_read(name, (size_t)1 << 30, &bytes, &size, NULL) == SA_OK);
    for (size_t i = 0; i < size; i++) {
        count += bytes[i] == '\n';
    }
    SA_ASSERT(size == 0 || bytes[size - 1] == '\n');
    free(bytes);
    return count;
}

static void finish(sa_output *output, size_t rows)
{
    sa_error err = {0};
    size_t done = 0;
    for (size_t row = 0; row < rows; row++) {
        done += sa_output_is_done(output, row);
    }
    SA_ASSERT(done == sa_output_done(output));
    for (size_t row = 0; row < rows; row++) {
        if (!sa_output_is_done(output, row)) {
            SA_ASSERT(sa_output_put(output, row, "{}", 2, &err) == SA_OK);
        }
    }
    SA_ASSERT(sa_output_finish(output, NULL, NULL, &err) == SA_OK);
    SA_ASSERT(count_lines("out/results.jsonl") + count_lines("out/quarantine.jsonl") == rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t rows = data[0] / 2;
    json_t *run = json_object();
    json_t *whole = sa_run_with_shard(run, rows, (sa_shard){0});
    sa_error err = {0};
    SA_ASSERT(sa_file_make_directory("out", &err) == SA_OK);
    SA_ASSERT(sa_run_write("out", whole, "running", NULL, NULL, &err) == SA_OK);
    write_file("out/results.jsonl", "{}\n", 3);
    write_file("out/quarantine.jsonl", "", 0);
    if (data[0] % 2 != 0) {
        write_good_journal(data + 1, size - 1);
    } else {
        write_file("out/results.journal", data + 1, size - 1);
    }
    const sa_output_options options = {.directory = "out", .run = run, .rows = rows, .sync_ms = -1};
    sa_output *output;
    if (sa_output_open(&output, &options, &err) == SA_OK) {
        finish(output, rows);
    } else {
        SA_ASSERT(err.reason[0] != '\0' && err.hint[0] != '\0');
    }
    sa_output_close(output);
    json_decref(whole);
    json_decref(run);
    return 0;
}
