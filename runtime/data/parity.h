/*
 * The released SegAgent evaluators' figures, bit for bit (MODEL_SPECS 9, 10.2, 10.3).
 *
 *   results JSON (10.2) -> samples, grouped by consecutive equal img_path -> CSV, txt, cIoU, gIoU
 *
 * All sums are float32, in the order of the reference: over the samples of an image, then over images.
 */
#ifndef SA_DATA_PARITY_H
#define SA_DATA_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/status.h"

typedef enum {
    SA_PARITY_CLICK, /* eval_result_iou --click_id k: pred_list[k], as Python counts (-1: the last) */
    SA_PARITY_BEST,  /* eval_result_iou without: the mask that was shown when the best "Current IOU" was said
                      */
    SA_PARITY_LIVE,  /* the runner itself: the last mask (none: empty), the first 5000 samples, eps 1e-10 */
} sa_parity_mode;

/*
 * What the names of the runner's files say and its results JSON does not. The rest of them comes from the
 * JSON's own name, STEM_newresults_CLICKS_SEGMENTER_MODEL_radiusRuse_gt_boxB.json.
 */
typedef struct {
    const char *grid_sample, *previous_mask; /* --use_grid_sample, --use_previous_mask */
    const char *visualize;                   /* "True" or "False" */
    const char *checkpoint;                  /* the segmenter's, without folder and extension */
} sa_parity_runner;

typedef struct {
    sa_parity_mode mode;
    int64_t click_id;               /* SA_PARITY_CLICK */
    const sa_parity_runner *runner; /* SA_PARITY_LIVE; NULL: the files are STEM_live.csv and STEM_live.txt */
} sa_parity_options;

typedef struct {
    size_t samples, images;
    float ciou, giou;              /* the reference's class_iou and global_iou */
    double ciou_exact, giou_exact; /* the same from exact counts, in double and without the epsilons */
    char csv[1024], txt[1024];     /* the files written */
} sa_parity;

/*
 * Measures the file, and writes the CSV and the txt beside it under the reference's names. What stands there
 * is replaced; the reference would skip the run. SA_BAD_INPUT: no list of samples; a sample that lacks what
 * is needed, or whose pred_list has no such click; masks of another size; no sample at all; a name from which
 * the others cannot be made.
 */
sa_status sa_parity_run(const char *path, const sa_parity_options *options, sa_parity *out, sa_error *err);

/* The same for bytes in memory, called `name` in errors; the CSV goes to a stream, and there is no txt. */
sa_status sa_parity_measure(const char *name, const void *bytes, size_t size,
                            const sa_parity_options *options, FILE *csv, sa_parity *out, sa_error *err);

/* Python's float() of ASCII text, which also takes "1_000", " 7 ", "nan" and "-Infinity". False: ValueError.
 */
bool sa_python_float(const char *text, size_t size, double *out);

#endif
