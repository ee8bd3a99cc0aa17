/*
 * The second pass: the rows of the chosen items become pictures and words, and stand on the page in the order
 * of the choice. What is held meanwhile is the finished text of these items.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/data/report_parts.h"
#include "runtime/data/result_rows.h"

typedef struct {
    char *html; /* NULL: not met yet */
    size_t size;
} part;

/* The items of one run that are shown. */
typedef struct {
    const sa_report *report;
    size_t run;
    report_pick *picks; /* [count] */
    size_t count;
    sa_text_table places; /* of picks, by id */
    part *parts;          /* [count, run_count]: the card of `run`, the outcomes of the others */
} album;

static void album_close(album *a)
{
    for (size_t i = 0; a->parts != NULL && i < a->count * a->report->run_count; i++) {
        free(a->parts[i].html);
    }
    free(a->parts);
    free(a->picks);
    sa_text_table_free(&a->places);
}

/* Chooses the items; their rows are looked for by id. */
static sa_status album_open(album *a, const sa_report *report, size_t place, sa_error *err)
{
    const sa_report_run *run = &report->runs[place];
    size_t room = report->limit < run->count ? report->limit : run->count;
    *a = (album){.report = report, .run = place};
    a->picks = calloc(room + 1, sizeof *a->picks);
    a->parts = calloc((room + 1) * report->run_count, sizeof *a->parts);
    bool good = a->picks != NULL && a->parts != NULL;
    if (good) {
        SA_TRY(report_pick_items(run, room, a->picks, &a->count, err));
    }
    for (size_t i = 0; i < a->count && good; i++) {
        const char *id = run->entries[a->picks[i].entry].id;
        good = sa_text_table_put(&a->places, id, strlen(id), i);
    }
    return good ? SA_OK : sa_fail(err, SA_NO_ROOM, run->path, "lower --limit", "no memory for its items");
}

/* ---- from rows ---- */

/* The run's own item as a card, another run's as one picture. */
static sa_status make_part(const album *a, size_t place, const sa_result *result, const char *name, part *p,
                           sa_error *err)
{
    const sa_report_run *run = &a->report->runs[place];
    FILE *out = open_memstream(&p->html, &p->size);
    if (out == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, "lower --limit", "no memory for its pictures");
    }
    sa_status status = place == a->run ? report_card(run, result, name, out, err)
                                       : report_outcome(run, result, name, out, err);
    bool failed = ferror(out) != 0;
    if ((fclose(out) != 0 || failed) && status == SA_OK) {
        status = sa_fail(err, SA_NO_ROOM, name, "lower --limit", "no memory for its pictures");
    }
    if (status != SA_OK) { /* half a part would break the page */
        free(p->html);
        *p = (part){0};
    }
    return status;
}

/* Rows that the first pass refused are met again, and left out again. */
static sa_status read_row(album *a, size_t place, sa_result_rows *rows, bool *found, sa_error *err)
{
    sa_result result;
    sa_error why = {0};
    sa_status status = sa_result_rows_next(rows, &result, found, &why);
    if (status == SA_OK && *found && result.error == NULL) {
        const sa_text_entry *entry = sa_text_table_find(&a->places, result.id, strlen(result.id));
        part *p = entry != NULL ? &a->parts[entry->number * a->report->run_count + place] : NULL;
        if (p != NULL && p->html == NULL) {
            status = make_part(a, place, &result, rows->name, p, &why);
        }
    }
    sa_result_free(&result);
    if (status != SA_OK && status != SA_BAD_INPUT) {
        *err = why;
        return status;
    }
    return SA_OK;
}

/* All of the file is gone through: rows have no index. */
static sa_status read_run(album *a, size_t place, sa_error *err)
{
    sa_result_rows rows;
    sa_status status = sa_result_rows_open(&rows, a->report->runs[place].path, err);
    for (bool found = true; found && status == SA_OK;) {
        status = read_row(a, place, &rows, &found, err);
    }
    sa_result_rows_close(&rows);
    return status;
}

/* ---- to the page ---- */

static void put_item(const album *a, size_t pick, FILE *out)
{
    const part *parts = a->parts + pick * a->report->run_count;
    bool others = false;
    fputs("<article class=\"item\">\n", out);
    fwrite(parts[a->run].html, 1, parts[a->run].size, out);
    for (size_t i = 0; i < a->report->run_count; i++) {
        if (i != a->run && parts[i].html != NULL) {
            fputs(others ? "" : "<h5>The same item in other runs</h5>\n<div class=\"steps others\">\n", out);
            fwrite(parts[i].html, 1, parts[i].size, out);
            others = true;
        }
    }
    fputs(others ? "</div>\n</article>\n" : "</article>\n", out);
}

/* A heading only where something stands below it. */
static void put_reason(const album *a, report_reason reason, FILE *out)
{
    static const char *const known[] = {"Worst", "Middling", "Best", "Most misjudged"};
    static const char *const unknown[] = {"Lowest scores", "Middling scores", "Highest scores", ""};
    bool judged = a->report->runs[a->run].scores.count > 0, any = false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->picks[i].reason == reason && a->parts[i * a->report->run_count + a->run].html != NULL) {
            if (!any) {
                fprintf(out, "<h3>%s</h3>\n", (judged ? known : unknown)[reason]);
            }
            any = true;
            put_item(a, i, out);
        }
    }
}

static void put_album(const album *a, FILE *out)
{
    const sa_report_run *run = &a->report->runs[a->run];
    fputs("<section class=\"items\">\n<h2>Items of <bdi>", out);
    report_text(out, run->name);
    fputs("</bdi>, <bdi>", out);
    report_text(out, run->set);
    fprintf(out, "</bdi></h2>\n<p>%zu of %zu items.", a->count, run->count);
    if (a->count < run->count) {
        fputs(run->scores.count > 0 ? " Chosen by the true IoU of the mask that was kept, and by how far the "
                                      "predicted one is from it."
                                    : " Chosen by the predicted IoU: no truth is known.",
              out);
    }
    fputs(" Green is the mask", out);
    fputs(run->scores.count > 0 ? "; the white line is the outline of the truth" : "", out);
    fputs("; the disc is the click that led to it, its place in rows and columns. "
          "In monospace what the policy had answered: its own estimate of the mask before, and the click, as "
          "the agent writes places.</p>\n",
          out);
    for (int reason = 0; reason < REPORT_REASONS; reason++) {
        put_reason(a, (report_reason)reason, out);
    }
    fputs("</section>\n", out);
}

/* Runs of other groups have none of these items. */
static sa_status make_album(album *a, FILE *out, sa_error *err)
{
    for (size_t i = 0; i < a->report->run_count; i++) {
        if (a->report->runs[i].group == a->report->runs[a->run].group) {
            SA_TRY(read_run(a, i, err));
        }
    }
    put_album(a, out);
    return SA_OK;
}

sa_status report_items(const sa_report *report, FILE *out, size_t *items, sa_error *err)
{
    *items = 0;
    for (size_t i = 0; i < report->run_count; i++) {
        album a;
        if (!report->runs[i].shown || report->runs[i].count == 0 || report->limit == 0) {
            continue;
        }
        sa_status status = album_open(&a, report, i, err);
        if (status == SA_OK) {
            status = make_album(&a, out, err);
        }
        *items += a.count;
        album_close(&a);
        SA_TRY(status);
    }
    return SA_OK;
}
