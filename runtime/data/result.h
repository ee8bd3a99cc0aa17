/*
 * Rows of results.jsonl (INTERFACES.md, "Output directory"): what became of an item, step by step.
 *
 *   a finished trajectory -> sa_result -> sa_result_write -> a line -> sa_result_parse -> eval, export, star
 */
#ifndef SA_DATA_RESULT_H
#define SA_DATA_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/image/rle.h"

typedef enum { SA_PARSE_OK, SA_PARSE_RETRIED, SA_PARSE_FAILED } sa_parse_outcome;

/* One state: how it was reached, and what is thought of it. A node of a tree has its place there, too. */
typedef struct {
    bool has_action; /* false: the initial state, or an answer without a click */
    bool positive;
    int64_t row, col; /* pixels */
    char *text;       /* what the policy answered before this state; "" for the initial one */
    double predicted_iou;
    double segmenter_score;
    sa_rle mask;
    sa_parse_outcome parse;
    bool has_iou; /* the truth was known */
    double iou;
    int64_t node, parent; /* of a tree; parent -1: the root */
} sa_result_step;

typedef struct {
    char *id, *image, *text;
    size_t height, width;
    char *error;  /* NULL: status "ok", else "failed" and the rest may be empty */
    sa_rle mask;  /* the kept one */
    double score; /* its predicted IoU */
    size_t step;  /* its place among the steps */
    sa_result_step *steps;
    size_t step_count;
    sa_result_step *tree; /* NULL: not asked for */
    size_t tree_count;
    json_t *meta; /* NULL: none */
} sa_result;

void sa_result_free(sa_result *result);

/* The row as one object, keys in the order of INTERFACES.md; the caller ends the line. SA_NO_ROOM. */
sa_status sa_result_write(const sa_result *result, sa_json_writer *w, sa_error *err);

/* The reverse. `name` is what errors call the row (file and line). Unknown keys are let through. */
sa_status sa_result_parse(sa_result *result, const json_t *row, const char *name, sa_error *err);

#endif
