/*
 * Arbitrary bytes as results. The first byte says which:
 *   0         a row of results.jsonl: what is accepted must come back from its own text, and be scored
 *   1, 2, 3   a results JSON of SegAgent's runner, for its evaluator without and with --click_id, and the
 * runner
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/parity.h"
#include "runtime/data/result.h"
#include "runtime/data/scores.h"

enum { KINDS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *to_text(const sa_result *result)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    SA_ASSERT(sa_result_write(result, &w, NULL) == SA_OK);
    SA_ASSERT(fclose(stream) == 0);
    return text;
}

static sa_status read_row(sa_result *result, const char *text, size_t size, sa_error *err)
{
    json_t *row;
    SA_TRY(sa_json_parse("fuzz", text, size, &row, err));
    sa_status status = sa_result_parse(result, row, "fuzz", err);
    json_decref(row);
    return status;
}

static void score(const sa_result *result)
{
    sa_scores scores = {0};
    if (result->error == NULL) {
        SA_ASSERT(sa_scores_add(&scores, result, &result->mask, "fuzz", NULL) == SA_OK);
        SA_ASSERT(sa_overlap_iou(&scores.items[0].kept) == 1.0);
    }
    sa_scores_free(&scores);
}

static void try_row(const char *text, size_t size)
{
    sa_result result, again;
    sa_error err = {0};
    if (read_row(&result, text, size, &err) != SA_OK) {
        SA_ASSERT(err.reason[0] != '\0');
        return;
    }
    char *first = to_text(&result);
    SA_ASSERT(read_row(&again, first, strlen(first), &err) == SA_OK);
    char *second = to_text(&again);
    SA_ASSERT(strcmp(first, second) == 0);
    score(&result);
    free(first);
    free(second);
    sa_result_free(&result);
    sa_result_free(&again);
}

static void try_parity(sa_parity_mode mode, const char *text, size_t size)
{
    const sa_parity_options options = {.mode = mode, .click_id = -1};
    sa_parity out = {0};
    sa_error err = {0};
    char *csv;
    size_t csv_size;
    FILE *stream = open_memstream(&csv, &csv_size);
    if (sa_parity_measure("fuzz", text, size, &options, stream, &out, &err) == SA_OK) {
        SA_ASSERT(out.samples >= 1 && out.images >= 1 && out.giou >= 0.0f && out.ciou >= 0.0f);
    } else {
        SA_ASSERT(err.reason[0] != '\0');
    }
    SA_ASSERT(fclose(stream) == 0);
    free(csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sa_parity_mode modes[] = {SA_PARITY_BEST, SA_PARITY_CLICK, SA_PARITY_LIVE};
    if (size < 1) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    if (data[0] % KINDS == 0) {
        try_row(text, size - 1);
    } else {
        try_parity(modes[data[0] % KINDS - 1], text, size - 1);
    }
    return 0;
}
