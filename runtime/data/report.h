/*
 * A page about one or several runs: what ran, figures with intervals, how they grow with each click, and what
 * happened to single items, picture by picture. One HTML file that needs nothing else.
 *
 *   results, a row at a time -> [ sa_report_add ] -> entries and scores, no masks
 *                            -> [ sa_report_reckon ] -> figures, and items worth looking at
 *   results once more        -> [ sa_report_write ] -> the page
 *
 * Memory holds an entry for each item, and the finished pictures of the few that are shown.
 */
#ifndef SA_DATA_REPORT_H
#define SA_DATA_REPORT_H

#include "runtime/data/compare.h"
#include "runtime/data/metrics_write.h"
#include "runtime/data/truth.h"

/* What is kept of a row. */
typedef struct {
    char *id;          /* owned */
    double score, iou; /* what the run thought of the mask that it kept; the truth, NaN: not known */
    size_t step;       /* clicks behind it */
} sa_report_entry;

typedef struct {
    /* Given, and the caller's. */
    const char *name;   /* what tables call it; runs over other items may have the same one */
    const char *path;   /* of its results */
    const char *set;    /* what tables call its items */
    const json_t *run;  /* run.json; NULL: there is none */
    const char *images; /* folder that names of pictures start from, where the input does not tell */
    const sa_truths *truths;
    bool shown; /* its items are */
    size_t failed, skipped;
    /* From the rows. */
    sa_report_entry *entries; /* [count], owned */
    size_t count, room;
    sa_text_table places; /* of entries, by id */
    sa_scores scores;     /* of those whose truth is known */
    /* Reckoned. */
    size_t group;       /* the first run of those that begin a group which has items in common with it */
    sa_metrics metrics; /* all zero if no truth is known */
    bool has_change;
    size_t before; /* the last run above it with scored items in common: what the change is from */
    sa_comparison change;
} sa_report_run;

typedef struct {
    const char *title;
    sa_report_run *runs; /* [run_count] */
    size_t run_count;
    size_t limit; /* items shown of each run that is */
} sa_report;

/* Frees what the runs own; fine for zeroed ones. */
void sa_report_free(sa_report *report);

/* A row that succeeded. SA_BAD_INPUT, and nothing added: an id for the second time, a truth of another size.
 */
sa_status sa_report_add(sa_report_run *run, const sa_result *result, const char *name, sa_error *err);

/* After the last row of all runs. SA_BAD_USAGE: two runs over the same items have the same name. */
sa_status sa_report_reckon(sa_report *report, uint64_t seed, sa_pool *pool, sa_error *err);

/*
 * Clicks of an item in the mean: behind the kept mask, and carried out in all (NaN: the run does not say).
 */
double sa_report_kept_clicks(const sa_report_run *run);
double sa_report_made_clicks(const sa_report_run *run);

/* A line for each name, a column for each group: gIoU with its interval, clicks kept and made. */
void sa_report_write_table(const sa_report *report, sa_table_style style, FILE *stream);

/* The page; *items is how many are shown on it. Errors of the stream are the caller's to look for. */
sa_status sa_report_write(const sa_report *report, FILE *stream, size_t *items, sa_error *err);

#endif
