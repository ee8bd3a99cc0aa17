/* From rows to figures, and the few lines of them that go to a terminal. */
#include "runtime/data/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/report_parts.h"
#include "runtime/text/buffer.h"

static sa_status no_memory(const char *name, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for the report");
}

void sa_report_free(sa_report *report)
{
    for (size_t i = 0; i < report->run_count; i++) {
        sa_report_run *run = &report->runs[i];
        for (size_t k = 0; k < run->count; k++) {
            free(run->entries[k].id);
        }
        free(run->entries);
        sa_text_table_free(&run->places);
        sa_scores_free(&run->scores);
        sa_metrics_free(&run->metrics);
    }
}

/* ---- rows ---- */

static sa_status add_entry(sa_report_run *run, const sa_result *result, const char *name, sa_error *err)
{
    sa_report_entry *entries = sa_grow(run->entries, &run->room, run->count + 1, sizeof *entries);
    if (entries == NULL) {
        return no_memory(name, err);
    }
    run->entries = entries;
    char *id = strdup(result->id);
    if (id == NULL || !sa_text_table_put(&run->places, id, strlen(id), run->count)) {
        free(id);
        return no_memory(name, err);
    }
    entries[run->count++] =
        (sa_report_entry){.id = id, .score = result->score, .iou = NAN, .step = result->step};
    return SA_OK;
}

/* A truth of another size leaves the row out; one that is missing only leaves its figures out. */
sa_status sa_report_add(sa_report_run *run, const sa_result *result, const char *name, sa_error *err)
{
    sa_rle truth;
    if (sa_text_table_find(&run->places, result->id, strlen(result->id)) != NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "leave one of them out", "the id \"%.200s\" was there before",
                       result->id);
    }
    if (result->height == 0 || result->width == 0) {
        return sa_fail(err, SA_BAD_INPUT, name, "leave it out", "its picture has no pixels");
    }
    if (run->truths == NULL || !sa_truths_known(run->truths, result)) {
        return add_entry(run, result, name, err);
    }
    SA_TRY(sa_truths_find(run->truths, result, name, &truth, err));
    sa_status status = sa_scores_add(&run->scores, result, &truth, name, err);
    sa_rle_free(&truth);
    SA_TRY(status);
    SA_TRY(add_entry(run, result, name, err));
    run->entries[run->count - 1].iou = sa_overlap_iou(&run->scores.items[run->scores.count - 1].kept);
    return SA_OK;
}

/* ---- figures ---- */

/* The first item of one is mostly the first of the other, too: no need to look far. */
static bool share_items(const sa_report_run *a, const sa_report_run *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (sa_text_table_find(&b->places, a->entries[i].id, strlen(a->entries[i].id)) != NULL) {
            return true;
        }
    }
    return false;
}

/* Also sees to it that names are enough to tell runs of a group apart. */
static sa_status find_group(sa_report *report, size_t place, sa_error *err)
{
    sa_report_run *run = &report->runs[place];
    run->group = place;
    for (size_t i = 0; i < place; i++) {
        sa_report_run *other = &report->runs[i];
        if (other->group == i && share_items(run, other)) {
            run->group = i;
            break;
        }
    }
    for (size_t i = 0; i < place; i++) {
        if (report->runs[i].group == run->group && strcmp(report->runs[i].name, run->name) == 0) {
            return sa_fail(err, SA_BAD_USAGE, run->path, "name them: --results NAME=DIR",
                           "another run over the same items is called \"%.100s\", too", run->name);
        }
    }
    return SA_OK;
}

static bool share_scores(const sa_scores *a, const sa_scores *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (sa_scores_find(b, a->items[i].id) != NULL) {
            return true;
        }
    }
    return false;
}

/* Runs of a group need not have items in common with each other: two parts of the first one have none. */
static sa_status find_change(sa_report *report, size_t place, const sa_metrics_options *options,
                             sa_pool *pool, sa_error *err)
{
    sa_report_run *run = &report->runs[place];
    for (size_t i = place; i-- > 0;) {
        if (report->runs[i].group == run->group && share_scores(&run->scores, &report->runs[i].scores)) {
            run->has_change = true;
            run->before = i;
            return sa_compare(&run->change, &report->runs[i].scores, &run->scores, options, pool, err);
        }
    }
    return SA_OK;
}

sa_status sa_report_reckon(sa_report *report, uint64_t seed, sa_pool *pool, sa_error *err)
{
    const sa_metrics_options options = {
        .step = SA_METRICS_KEPT, .seed = seed, .resamples = SA_BOOTSTRAP_RESAMPLES};
    for (size_t i = 0; i < report->run_count; i++) {
        sa_report_run *run = &report->runs[i];
        SA_TRY(find_group(report, i, err));
        if (run->scores.count > 0) {
            SA_TRY(sa_metrics_compute(&run->metrics, &run->scores, &options, pool, err));
            run->metrics.failed = run->failed;
            run->metrics.skipped = run->skipped;
            SA_TRY(find_change(report, i, &options, pool, err));
        }
    }
    return SA_OK;
}

double sa_report_kept_clicks(const sa_report_run *run)
{
    double sum = 0;
    for (size_t i = 0; i < run->count; i++) {
        sum += (double)run->entries[i].step;
    }
    return run->count > 0 ? sum / (double)run->count : NAN;
}

/*
 * The counters of run.json are those of its last start: they are all there is if that one made every row.
 * Items that failed on the way count as items, have no row, and their clicks are not counted.
 */
double sa_report_made_clicks(const sa_report_run *run)
{
    double items = report_record_number(run, "counters.items");
    double failed = report_record_number(run, "counters.failed");
    double clicks = report_record_number(run, "counters.clicks");
    double rows = (double)(run->count + run->failed + run->skipped);
    double done = items - (isnan(failed) ? 0 : failed);
    return done == rows && done > 0 ? clicks / done : NAN;
}

/* ---- the table for terminals ---- */

/* The run of this name in this group, or NULL. */
static const sa_report_run *find_run(const sa_report *report, size_t group, const char *name)
{
    for (size_t i = 0; i < report->run_count; i++) {
        const sa_report_run *run = &report->runs[i];
        if (run->group == group && strcmp(run->name, name) == 0) {
            return run;
        }
    }
    return NULL;
}

/* Runs over other items that have this name stand in the same line. */
static bool is_first_of_name(const sa_report *report, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (strcmp(report->runs[i].name, report->runs[place].name) == 0) {
            return false;
        }
    }
    return true;
}

enum { CELL = 128 };

/* Cells stay empty for what was not run, or not measured. */
static void fill_figure(char cell[CELL], const sa_report_run *run)
{
    cell[0] = '\0';
    if (run != NULL && run->scores.count > 0) {
        const sa_figure *f = &run->metrics.giou;
        snprintf(cell, CELL, "%.3f [%.3f, %.3f]", f->value, f->low, f->high);
    }
}

static void fill_clicks(char cell[CELL], const sa_report_run *run)
{
    cell[0] = '\0';
    if (run != NULL) {
        double kept = sa_report_kept_clicks(run), made = sa_report_made_clicks(run);
        int length = snprintf(cell, CELL, "%.1f", kept);
        if (!isnan(made)) {
            snprintf(cell + length, CELL - (size_t)length, " of %.1f", made);
        }
    }
}

static void put_cell(FILE *stream, sa_table_style style, const char *text, int width)
{
    if (style == SA_TABLE_MARKDOWN) {
        fprintf(stream, "| %s ", text);
    } else {
        fprintf(stream, "%-*s  ", width, text);
    }
}

/* `name` NULL: the head of the table. */
static void put_row(const sa_report *report, const char *name, sa_table_style style, FILE *stream)
{
    char cell[CELL];
    bool head = name == NULL;
    put_cell(stream, style, head ? "" : name, 26);
    for (size_t g = 0; g < report->run_count; g++) {
        const sa_report_run *first = &report->runs[g];
        if (first->group != g) {
            continue;
        }
        const sa_report_run *run = head ? first : find_run(report, g, name);
        snprintf(cell, sizeof cell, "%.40s: gIoU", first->set);
        if (!head) {
            fill_figure(cell, run);
        }
        put_cell(stream, style, cell, 22);
        if (!head) {
            fill_clicks(cell, run);
        }
        put_cell(stream, style, head ? "clicks" : cell, 12);
    }
    fputs(style == SA_TABLE_MARKDOWN ? "|\n" : "\n", stream);
}

void sa_report_write_table(const sa_report *report, sa_table_style style, FILE *stream)
{
    put_row(report, NULL, style, stream);
    if (style == SA_TABLE_MARKDOWN) {
        fputs("|---", stream);
        for (size_t g = 0; g < report->run_count; g++) {
            fputs(report->runs[g].group == g ? "|---|---" : "", stream);
        }
        fputs("|\n", stream);
    }
    for (size_t i = 0; i < report->run_count; i++) {
        if (is_first_of_name(report, i)) {
            put_row(report, report->runs[i].name, style, stream);
        }
    }
}
