/*
 * Inside of the report (report.h): the parts of the page, in the order in which it shows them. What they
 * write is well-formed XML, too, so that a test can be strict; all text from files goes through report_text.
 */
#ifndef SA_DATA_REPORT_PARTS_H
#define SA_DATA_REPORT_PARTS_H

#include <stdio.h>

#include "runtime/data/report.h"
#include "runtime/image/image.h"

extern const char report_style[]; /* CSS */

/* ---- words and numbers ---- */

/* Escaped; what is no UTF-8, and control characters, become U+FFFD. */
void report_text(FILE *out, const char *text);
/* Three decimals and a true minus; a dash for NaN. */
void report_number(FILE *out, double value);
/* The same with one decimal. */
void report_clicks(FILE *out, double value);
/* A value, and its interval in small. */
void report_figure(FILE *out, const sa_figure *figure);
/* "text" of the run's record, found by keys with dots between; "" if it is not there. */
const char *report_record_text(const sa_report_run *run, const char *keys);
double report_record_number(const sa_report_run *run, const char *keys); /* NaN if it is not there */

/* ---- sections ---- */

void report_runs(const sa_report *report, FILE *out);
void report_figures(const sa_report *report, FILE *out);
/* gIoU after each click, of all runs of a group that have figures. */
void report_curve(const sa_report *report, size_t group, FILE *out);
/* Predicted and true IoU of the items of a run, if it is one whose items are shown. */
void report_scatter(const sa_report *report, size_t run, FILE *out);
sa_status report_items(const sa_report *report, FILE *out, size_t *items, sa_error *err);
/* The lines of a legend: the class that a run's curve has, among those of its group. */
unsigned report_color(const sa_report *report, size_t run);

/* ---- items ---- */

/* Why an item is shown. */
typedef enum { REPORT_WORST, REPORT_MIDDLE, REPORT_BEST, REPORT_MISJUDGED, REPORT_REASONS } report_reason;

typedef struct {
    size_t entry;
    report_reason reason;
} report_pick;

/*
 * Up to `limit` entries of the run, reason by reason. Worst and best by the true IoU, or, as long as it is
 * not known, by the score; misjudged are those whose score is farthest from the truth.
 */
sa_status report_pick_items(const sa_report_run *run, size_t limit, report_pick *picks, size_t *count,
                            sa_error *err);

/* A picture made small, that masks are painted on. */
typedef struct {
    sa_image image; /* grey if there is none to be read */
    bool has_truth;
    sa_mask truth;  /* small, too */
    char note[512]; /* why there is no picture; "" if there is */
} report_canvas;

sa_status report_canvas_open(report_canvas *canvas, const sa_report_run *run, const sa_result *result,
                             const char *name, sa_error *err);
void report_canvas_close(report_canvas *canvas);
/* An <img>, with the mask (NULL: none) of the whole picture's size painted on it. */
sa_status report_canvas_write(const report_canvas *canvas, const sa_rle *mask, const char *alt, FILE *out,
                              sa_error *err);

/* The whole of an item; and in one picture how it came out in another run. */
sa_status report_card(const sa_report_run *run, const sa_result *result, const char *name, FILE *out,
                      sa_error *err);
sa_status report_outcome(const sa_report_run *run, const sa_result *result, const char *name, FILE *out,
                         sa_error *err);
/* The tree that a search has looked at, if the result has it. */
sa_status report_tree(const sa_result *result, FILE *out, sa_error *err);

#endif
