/*
 * segagent click, the parts that its two modes share: one picture with prompts from the command line
 * (click.c), and rows of a JSONL file (click_rows.c).
 */
#ifndef SA_CLI_CLICK_H
#define SA_CLI_CLICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/limits.h"
#include "runtime/cli/prompt.h"
#include "runtime/image/image.h"
#include "runtime/models/segmenter.h"

typedef struct {
    const char *segmenter, *image, *clicks;
    const char *box, *mask;
    const char *out, *overlay, *save_logits, *save_embedding;
    const char *gt;   /* the target, for simulated clicks */
    int64_t simulate; /* how many; 0: none */
    bool all;
    int64_t batch;
    sa_limit_options limits;
} sa_click_options;

/* An open device with an open segmenter on it. */
typedef struct {
    sa_device *device;
    sa_segmenter *segmenter;
    sa_dtype precision;
} sa_click_engine;

/* Precision is chosen here, by --precision; the rest of `wanted` is the caller's. Close it in every case. */
sa_status sa_click_engine_open(sa_click_engine *engine, const sa_cli *cli, const char *segmenter,
                               const sa_segmenter_options *wanted, sa_error *err);
void sa_click_engine_close(sa_click_engine *engine);

/*
 * The memory of one answer: masks of height x width for every candidate or the best alone, and on request the
 * logits of every candidate.
 */
typedef struct {
    sa_segmenter_answer answer; /* points into what follows */
    sa_mask masks[SA_SEGMENTER_MAX_CANDIDATES];
    float *logits; /* [candidates, s, s], or NULL */
} sa_click_answer;

sa_status sa_click_answer_new(sa_click_answer *a, const sa_segmenter *segmenter, size_t height, size_t width,
                              bool all, bool logits, sa_error *err);
void sa_click_answer_free(sa_click_answer *a);
/* The kept mask: of candidate answer.best. */
const sa_mask *sa_click_answer_best(const sa_click_answer *a);

/* SA_BAD_INPUT if the answer is not finite. */
sa_status sa_click_answer_check(const sa_click_answer *a, const char *image, sa_dtype precision,
                                sa_error *err);

/* What one JSON object says (INTERFACES.md, "segagent click --json"). */
typedef struct {
    const char *image;
    size_t height, width;
    const sa_user_prompt *prompt;
    const sa_click_answer *answer;
    bool all;
    double decode, encode, click; /* seconds */
    const char *device;
    sa_dtype precision;
    const double *ious; /* after each simulated click; NULL: clicks are the user's */
} sa_click_result;

/* SA_NO_ROOM leaves a broken line in the stream. */
sa_status sa_click_write_result(sa_json_writer *w, const sa_click_result *result, sa_error *err);

/*
 * The --simulate mode, on the picture in slot 0: clicks of the simulated annotator
 * (runtime/hlmat/annotator.h) join `prompt` one after the other, each where the mask so far is most wrong,
 * until `most` are made or nothing is left to correct. ious[i]: after click i. `answer` is that of the last
 * click.
 */
sa_status sa_click_simulate(const sa_click_engine *engine, const sa_mask *target, size_t most,
                            sa_user_prompt *prompt, sa_click_answer *answer, double *ious, sa_error *err);

/* The --clicks mode: all of it but opening the command line. *failed: rows that got an error object. */
sa_status sa_click_run_rows(sa_cli *cli, const sa_click_options *options, size_t *failed, sa_error *err);

#endif
