/* The files of tests/golden/metrics, and scratch folders, for the tests of results. */
#ifndef SA_TESTS_RESULTS_GOLDEN_H
#define SA_TESTS_RESULTS_GOLDEN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/data/result_rows.h"
#include "runtime/data/scores.h"
#include "tests/check.h"

#define RESULTS_GOLDEN "tests/golden/metrics/"

/* A folder that goes away with what the test names. */
typedef struct {
    char path[64];
} results_scratch;

static inline results_scratch results_scratch_make(void)
{
    results_scratch s = {"/tmp/segagent-results-XXXXXX"};
    assert_non_null(mkdtemp(s.path));
    return s;
}

static inline void results_scratch_path(const results_scratch *s, const char *name, char path[256])
{
    assert_true(snprintf(path, 256, "%s/%s", s->path, name) < 256);
}

static inline void results_scratch_remove(const results_scratch *s, const char *const *names, size_t count)
{
    char path[256];
    for (size_t i = 0; i < count; i++) {
        results_scratch_path(s, names[i], path);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(s->path), 0); /* nothing else was left there */
}

static inline json_t *results_json(const char *path)
{
    json_t *value;
    assert_int_equal(sa_json_read(path, (size_t)1 << 24, &value, NULL), SA_OK);
    return value;
}

static inline void results_write(const char *path, const char *text)
{
    assert_int_equal(sa_file_write(path, text, strlen(text), NULL), SA_OK);
}

static inline void results_same_bytes(const char *path, const char *want)
{
    unsigned char *a, *b;
    size_t sizes[2];
    assert_int_equal(sa_file_read(path, (size_t)1 << 24, &a, &sizes[0], NULL), SA_OK);
    assert_int_equal(sa_file_read(want, (size_t)1 << 24, &b, &sizes[1], NULL), SA_OK);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(a, b, sizes[0]);
    free(a);
    free(b);
}

/* The truth that a row brings along. */
static inline sa_rle results_truth(const sa_result *result)
{
    sa_rle truth;
    const json_t *gt = json_object_get(result->meta, "gt");
    assert_int_equal(sa_rle_from_json(&truth, gt, "gt", result->height, result->width, NULL), SA_OK);
    return truth;
}

/* Every row that succeeded. */
static inline sa_scores results_scores(const char *path)
{
    sa_result_rows rows;
    sa_result result;
    sa_scores scores = {0};
    bool found = true;
    assert_int_equal(sa_result_rows_open(&rows, path, NULL), SA_OK);
    while (found) {
        assert_int_equal(sa_result_rows_next(&rows, &result, &found, NULL), SA_OK);
        if (found && result.error == NULL) {
            sa_rle truth = results_truth(&result);
            assert_int_equal(sa_scores_add(&scores, &result, &truth, "row", NULL), SA_OK);
            sa_rle_free(&truth);
        }
        sa_result_free(&result);
    }
    sa_result_rows_close(&rows);
    return scores;
}

#endif
