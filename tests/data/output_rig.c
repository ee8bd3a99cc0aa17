#include "tests/data/output_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "tests/data/scratch.h"

uint32_t rig_random(uint64_t seed, uint64_t index)
{
    return sa_philox_block(seed, index, 0).word[0];
}

json_t *rig_run(const char *steps)
{
    json_t *run = json_pack("{s:s, s:s, s:{s:s, s:f}, s:{s:s, s:s}, s:s}", "version", "1", "command",
                            "annotate", "config", "steps", steps, "temperature", 0.1, "input", "path",
                            "m.jsonl", "sha256", "00", "device", "cpu");
    assert_non_null(run);
    return run;
}

sa_status rig_open(sa_output **output, const char *directory, size_t rows, sa_shard shard, int sync_ms,
                   sa_error *err)
{
    json_t *run = rig_run("7");
    const sa_output_options options = {
        .directory = directory, .run = run, .rows = rows, .shard = shard, .sync_ms = sync_ms};
    sa_status status = sa_output_open(output, &options, err);
    json_decref(run);
    return status;
}

sa_output *rig_open_good(const char *directory, size_t rows, sa_shard shard, int sync_ms)
{
    sa_output *output;
    sa_error err = {0};
    if (rig_open(&output, directory, rows, shard, sync_ms, &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    return output;
}

static bool is_bad(size_t row)
{
    return row % 7 == 3;
}

/* The row with its newline; its size. */
static size_t make_row(char out[RIG_MOST_ROW + 256], size_t row, size_t most)
{
    if (is_bad(row)) {
        return (size_t)sprintf(out, "{\"id\":\"i%zu\",\"file\":\"f%zu\",\"reason\":\"r\",\"hint\":\"h\"}\n",
                               row, row);
    }
    size_t size = (size_t)sprintf(out, "{\"id\":\"i%zu\",\"x\":\"", row);
    size_t filler = rig_random(17, row) % 5 == 0 ? rig_random(18, row) % most : rig_random(18, row) % 20;
    for (size_t i = 0; i < filler; i++) {
        out[size++] = (char)('a' + (row + i) % 26);
    }
    return size + (size_t)sprintf(out + size, "\"}\n");
}

sa_status rig_put(sa_output *output, size_t row, size_t most, sa_error *err)
{
    char text[RIG_MOST_ROW + 256], id[32], file[32];
    if (is_bad(row)) {
        sa_error why;
        snprintf(id, sizeof id, "i%zu", row);
        snprintf(file, sizeof file, "f%zu", row);
        sa_fail(&why, SA_BAD_INPUT, file, "h", "r");
        return sa_output_quarantine(output, row, id, &why, err);
    }
    size_t size = make_row(text, row, most);
    return sa_output_put(output, row, text, size - 1, err);
}

sa_status rig_put_all(sa_output *output, size_t most, uint64_t seed, sa_error *err)
{
    size_t first, end, count = 0;
    sa_output_range(output, &first, &end);
    size_t *order = malloc((end - first + 1) * sizeof *order);
    for (size_t row = first; row < end; row++) { /* a shuffle, as it grows */
        size_t at = rig_random(seed, row) % (count + 1);
        order[count] = order[at];
        order[at] = row;
        count++;
    }
    sa_status status = SA_OK;
    for (size_t i = 0; status == SA_OK && i < count; i++) {
        status = sa_output_is_done(output, order[i]) ? SA_OK : rig_put(output, order[i], most, err);
    }
    free(order);
    if (status != SA_OK) {
        return status;
    }
    json_t *counters = json_pack("{s:i}", "items", (int)(end - first));
    status = sa_output_finish(output, NULL, counters, err);
    json_decref(counters);
    return status;
}

static void check_file(const char *directory, const char *name, size_t first, size_t end, size_t most,
                       bool bad)
{
    char path[600], row[RIG_MOST_ROW + 256];
    size_t size, at = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    char *text = scratch_read(path, &size);
    for (size_t i = first; i < end; i++) {
        if (is_bad(i) == bad) {
            size_t length = make_row(row, i, most);
            if (length > size - at || memcmp(text + at, row, length) != 0) {
                fail_msg("%s: row %zu at byte %zu of %zu is not as it should be", path, i, at, size);
            }
            at += length;
        }
    }
    assert_int_equal(at, size);
    free(text);
}

void rig_check_files(const char *directory, size_t first, size_t end, size_t most)
{
    check_file(directory, "results.jsonl", first, end, most, false);
    check_file(directory, "quarantine.jsonl", first, end, most, true);
}
