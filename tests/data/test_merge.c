/* The directories of shards, joined again. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/data/merge.h"
#include "runtime/data/run_file.h"
#include "tests/data/output_rig.h"
#include "tests/data/scratch.h"

enum { ROWS = 50, PARTS = 4, MOST = 300 };

static const char *part_path(void **state, size_t i)
{
    char name[16];
    snprintf(name, sizeof name, "part%zu", i);
    return scratch_path(state, name);
}

/* Puts `done` rows from the first on, and one that waits; all of them if done is SIZE_MAX. */
static void make_part(const char *directory, sa_shard shard, size_t done)
{
    sa_error err = {0};
    size_t first, end;
    sa_output *output = rig_open_good(directory, ROWS, shard, -1);
    if (done == SIZE_MAX) {
        assert_int_equal(rig_put_all(output, MOST, shard.index, &err), SA_OK);
    } else {
        sa_output_range(output, &first, &end);
        for (size_t row = first; row < first + done; row++) {
            assert_int_equal(rig_put(output, row, MOST, &err), SA_OK);
        }
        assert_int_equal(rig_put(output, first + done + 1, MOST, &err), SA_OK);
    }
    sa_output_close(output);
}

static void merge_good(void **state, size_t count, const char *output, sa_merge_report *report)
{
    const char *parts[8] = {0};
    sa_error err = {0};
    for (size_t i = 0; i < count; i++) {
        parts[i] = strdup(part_path(state, i));
    }
    sa_status status = sa_merge(parts, count, output, report, &err);
    for (size_t i = 0; i < count; i++) {
        free((char *)parts[i]);
    }
    if (status != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
}

static void refuse(const char *one, const char *other, const char *output, sa_status status,
                   const char *reason)
{
    sa_merge_report report;
    sa_error err = {0};
    const char *parts[] = {one, other};
    sa_status got = sa_merge(parts, other != NULL ? 2 : 1, output, &report, &err);
    if (got != status || strstr(err.reason, reason) == NULL || err.hint[0] == '\0') {
        fail_msg("status %d: %s: %s (%s); should say: %s", got, err.file, err.reason, err.hint, reason);
    }
}

static void check_run(const char *directory, const char *status, int items)
{
    json_t *run = NULL;
    assert_int_equal(sa_run_read(directory, &run, NULL), SA_OK);
    assert_string_equal(sa_run_status(run), status);
    assert_true(json_is_null(json_object_get(run, "shard")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(run, "counters"), "items")), items);
    json_decref(run);
}

/* The parts in any order give what one run gives; the merged directory is that run, done. */
static void test_whole(void **state)
{
    for (size_t i = 0; i < PARTS; i++) {
        make_part(part_path(state, i), (sa_shard){(i + 2) % PARTS, PARTS}, SIZE_MAX);
    }
    sa_merge_report report;
    const char *output = scratch_path(state, "deep/whole");
    merge_good(state, PARTS, output, &report);
    rig_check_files(output, 0, ROWS, MOST);
    check_run(output, "done", ROWS);
    assert_int_equal(report.rows, ROWS);
    assert_int_equal(report.results + report.quarantined, ROWS);
    assert_int_equal(report.duplicates + report.missing, 0);
    sa_output *again = rig_open_good(output, ROWS, (sa_shard){0}, -1);
    assert_int_equal(sa_output_done(again), ROWS);
    sa_output_close(again);
    refuse(part_path(state, 0), NULL, output, SA_BAD_USAGE, "is there already");
}

/* One part is there twice, one was interrupted, one is missing. */
static void test_partial(void **state)
{
    make_part(part_path(state, 0), (sa_shard){0, PARTS}, 7);
    make_part(part_path(state, 1), (sa_shard){0, PARTS}, SIZE_MAX);
    make_part(part_path(state, 2), (sa_shard){3, PARTS}, 5);
    make_part(part_path(state, 3), (sa_shard){1, PARTS}, SIZE_MAX);
    sa_merge_report report;
    const char *output = scratch_path(state, "whole");
    merge_good(state, PARTS, output, &report);
    assert_int_equal(report.duplicates, 7);
    assert_int_equal(report.missing, 12 + 8); /* the row that waits in its journal among them */
    assert_string_equal(report.lacks, "shard 2/4: 12 rows, shard 3/4: 8 rows");
    assert_int_equal(report.results + report.quarantined, ROWS - 20);
    check_run(output, "partial", 25);
    char *text = scratch_read(scratch_path(state, "whole/results.jsonl"), NULL);
    assert_non_null(strstr(text, "\"i0\""));
    assert_non_null(strstr(text, "\"i37\""));
    assert_null(strstr(text, "\"i43\""));
    free(text);
    refuse(output, NULL, scratch_path(state, "w2"), SA_BAD_USAGE, "merged already");
    make_part(part_path(state, 2), (sa_shard){3, PARTS}, SIZE_MAX); /* the interrupted one can still go on */
    make_part(part_path(state, 4), (sa_shard){2, PARTS}, SIZE_MAX);
    merge_good(state, 5, scratch_path(state, "w3"), &report);
    rig_check_files(scratch_path(state, "w3"), 0, ROWS, MOST);
}

static void change(void **state, const char *name, const char *from, const char *to)
{
    char *text = scratch_read(scratch_path(state, name), NULL);
    char *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    scratch_write_text(state, name, text);
    free(text);
}

static void test_refusals(void **state)
{
    char output[300]; /* scratch_path's answers do not last that long */
    snprintf(output, sizeof output, "%s", scratch_path(state, "whole"));
    make_part(part_path(state, 0), (sa_shard){0, 2}, SIZE_MAX);
    make_part(part_path(state, 1), (sa_shard){0, 2}, 12);
    refuse(scratch_path(state, "none"), NULL, output, SA_BAD_INPUT, "there is no run");

    change(state, "part0/run.json", "\"cpu\"", "\"gpu\""); /* another device is fine */
    sa_merge_report report;
    merge_good(state, 2, scratch_path(state, "fine"), &report);
    assert_int_equal(report.duplicates, 12);

    sa_output *busy = rig_open_good(part_path(state, 1), ROWS, (sa_shard){0, 2}, -1);
    refuse(part_path(state, 0), part_path(state, 1), output, SA_BAD_USAGE, "another process is writing");
    sa_output_close(busy);

    change(state, "part0/results.jsonl", "\"x\"", "\"y\"");
    refuse(part_path(state, 0), part_path(state, 1), output, SA_BAD_INPUT, "id \"i0\" has other bytes in");
    change(state, "part0/results.jsonl", "\"i0\",\"y\"", "\"j0\",\"x\"");
    refuse(part_path(state, 0), part_path(state, 1), output, SA_BAD_INPUT, "id \"i0\" is missing in");
    change(state, "part0/results.jsonl", "\"j0\"", "\"i0\"");
    change(state, "part0/quarantine.jsonl", "\"f3\"", "\"g3\"");
    refuse(part_path(state, 0), part_path(state, 1), output, SA_BAD_INPUT, "id \"i3\" is in quarantine");
    change(state, "part0/results.jsonl", "\"id\"", "\"ie\"");
    refuse(part_path(state, 0), NULL, output, SA_BAD_INPUT, "a row has no id");
    change(state, "part0/results.jsonl", "\"ie\":\"i0\"", "\"id\":\"i1\"");
    refuse(part_path(state, 0), NULL, output, SA_BAD_INPUT, "id \"i1\" has other bytes in");

    make_part(part_path(state, 2), (sa_shard){1, 3}, SIZE_MAX);
    refuse(part_path(state, 0), part_path(state, 2), output, SA_BAD_USAGE, "is one of 3 parts");
    change(state, "part2/run.json", "\"7\"", "\"8\"");
    refuse(part_path(state, 0), part_path(state, 2), output, SA_BAD_USAGE, "config.steps: \"7\" -> \"8\"");
    change(state, "part2/run.json", "\"count\":3", "\"count\":0");
    refuse(part_path(state, 2), NULL, output, SA_BAD_INPUT, "\"count\" is 0");
    scratch_write_text(state, "part2/run.json", "{\"status\":\"done\",\"rows\":1,\"shard\":null}");
    refuse(part_path(state, 2), NULL, output, SA_BAD_INPUT, "more than its part");
    scratch_write_text(state, "part2/run.json", "{\"status\":\"done\",\"rows\":-1}");
    refuse(part_path(state, 2), NULL, output, SA_BAD_INPUT, "\"rows\" is -1");
    struct stat info;
    assert_int_not_equal(stat(output, &info), 0); /* nothing was begun */
}

/* More parts than files can be open: a row each, and one of them there twice. */
static void test_many(void **state)
{
    enum { MANY = 600 };
    char *parts[MANY], text[200];
    for (size_t i = 0; i < MANY; i++) {
        size_t index = i == 0 ? MANY - 2 : i - 1; /* the last one is missing, the one before it there twice */
        char name[40];
        snprintf(name, sizeof name, "p%zu/results.jsonl", i);
        snprintf(text, sizeof text, "{\"id\":\"r%zu\"}\n", index);
        scratch_write_text(state, name, text);
        snprintf(name, sizeof name, "p%zu/quarantine.jsonl", i);
        scratch_write_text(state, name, "");
        snprintf(name, sizeof name, "p%zu/run.json", i);
        snprintf(text, sizeof text,
                 "{\"rows\":%d,\"shard\":{\"index\":%zu,\"count\":%d},\"status\":\"done\"}", MANY, index,
                 MANY);
        scratch_write_text(state, name, text);
        snprintf(name, sizeof name, "p%zu", i);
        parts[i] = strdup(scratch_path(state, name));
    }
    sa_merge_report report;
    sa_error err = {0};
    if (sa_merge((const char *const *)parts, MANY, scratch_path(state, "whole"), &report, &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    assert_int_equal(report.results, MANY - 1);
    assert_int_equal(report.duplicates, 1);
    assert_string_equal(report.lacks, "shard 599/600: 1 row");
    char *rows = scratch_read(scratch_path(state, "whole/results.jsonl"), NULL);
    assert_int_equal(strncmp(rows, "{\"id\":\"r0\"}\n{\"id\":\"r1\"}\n", 24), 0);
    assert_string_equal(rows + strlen(rows) - 14, "{\"id\":\"r598\"}\n");
    free(rows);
    for (size_t i = 0; i < MANY; i++) {
        free(parts[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_partial),
        TEST(test_refusals),
        TEST(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
