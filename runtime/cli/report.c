/*
 * segagent report: a page to look at, about one run or several.
 *
 *   results -> entries and scores -> figures, choice of items -> pictures -> one HTML file, a table of gIoUs
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/path.h"
#include "runtime/cli/visit.h"
#include "runtime/data/report.h"
#include "runtime/data/run_file.h"

typedef struct {
    const char *input, *images, *instances, *output, *title;
    int64_t limit;
    bool markdown;
} report_options;

/* An input that runs have in common, and how it is read. */
typedef struct {
    const char *path; /* NULL: rows bring their own truth */
    sa_items_options reading;
    sa_truths truths;
} source;

typedef struct {
    sa_cli *cli;
    const report_options *options;
    sa_report report;
    source *sources; /* [source_count] */
    size_t source_count;
    char (*names)[128]; /* [run_count] what --results calls a run */
    char (*sets)[128];
    json_t **records; /* [run_count] */
    size_t skipped;
} job;

/* ---- names ---- */

/* "NAME=DIR", unless a slash comes first; otherwise the folder is the name, too. */
static void split_name(const char *value, char *name, size_t size, const char **path)
{
    size_t length = strcspn(value, "=/");
    *path = value;
    if (value[length] == '=' && length > 0 && value[length + 1] != '\0') {
        *path = value + length + 1;
        snprintf(name, size, "%.*s", (int)length, value);
        return;
    }
    length = strlen(value);
    while (length > 1 && value[length - 1] == '/') {
        length--;
    }
    size_t start = length;
    while (start > 0 && value[start - 1] != '/') {
        start--;
    }
    snprintf(name, size, "%.*s", (int)(length - start), value + start);
}

/* Items are called after their file; after its folder where that says nothing. */
static void name_set(const char *input, char *set, size_t size)
{
    char directory[4096] = "";
    const char *name = sa_path_name(input);
    if (strcmp(name, "manifest.jsonl") == 0) {
        sa_directory_of(directory, sizeof directory, input);
        name = directory[0] != '\0' ? sa_path_name(directory) : name;
    }
    snprintf(set, size, "%.*s", 100, input[0] != '\0' ? name : "items");
}

/* ---- what a run is made of ---- */

static sa_status no_memory(sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for the report");
}

/* NULL is equal to NULL only. */
static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_source(const source *s, const char *path, const sa_items_options *reading)
{
    return same_text(s->path, path) && same_text(s->reading.images, reading->images) &&
           same_text(s->reading.instances, reading->instances) && same_text(s->reading.split, reading->split);
}

/* Several runs over one input read it once. */
static sa_status find_source(job *j, const char *path, const sa_items_options *reading,
                             const sa_truths **truths, sa_error *err)
{
    for (size_t i = 0; i < j->source_count; i++) {
        if (is_source(&j->sources[i], path, reading)) {
            *truths = &j->sources[i].truths;
            return SA_OK;
        }
    }
    source *s = &j->sources[j->source_count++];
    s->path = path;
    s->reading = *reading;
    *truths = &s->truths;
    return sa_truths_open(&s->truths, path, reading, err);
}

/* A file or folder that the run's record names, if it is still there. */
static const char *recorded_path(const json_t *config, const char *key)
{
    const char *path = json_string_value(json_object_get(config, key));
    return path != NULL && sa_file_exists(path) ? path : NULL;
}

/* The way in which the run read its input, too, unless another one is given. */
static sa_items_options choose_reading(const job *j, const json_t *record)
{
    const report_options *o = j->options;
    sa_items_options reading = {.images = o->images, .instances = o->instances};
    if (o->input == NULL) {
        const json_t *config = json_object_get(record, "config");
        reading.images = o->images != NULL ? o->images : recorded_path(config, "images");
        reading.instances = o->instances != NULL ? o->instances : recorded_path(config, "instances");
        reading.split = json_string_value(json_object_get(config, "split"));
    }
    return reading;
}

/* --input, or else what the run says it read, if that is still there. */
static const char *choose_input(const job *j, const json_t *record)
{
    const char *recorded = json_string_value(json_object_get(json_object_get(record, "input"), "path"));
    if (j->options->input != NULL) {
        return j->options->input;
    }
    if (recorded != NULL && strcmp(recorded, "-") != 0 && sa_file_exists(recorded)) {
        return recorded;
    }
    return NULL;
}

/* What the record of a run says (its input, its search) saves the user from saying it again. */
static sa_status open_run(job *j, const char *value, sa_error *err)
{
    size_t place = j->report.run_count++;
    sa_report_run *run = &j->report.runs[place];
    split_name(value, j->names[place], sizeof j->names[place], &run->path);
    if (sa_file_is_directory(run->path)) {
        SA_TRY(sa_run_read(run->path, &j->records[place], err));
    }
    const char *input = choose_input(j, j->records[place]);
    name_set(input != NULL ? input : "", j->sets[place], sizeof j->sets[place]);
    run->name = j->names[place];
    run->set = j->sets[place];
    run->run = j->records[place];
    const sa_items_options reading = choose_reading(j, j->records[place]);
    run->images = reading.images;
    return find_source(j, input, &reading, &run->truths, err);
}

static sa_status add_row(void *context, const sa_result *result, const char *name, sa_error *err)
{
    return sa_report_add(context, result, name, err);
}

/* Rows that cannot be used are told by the visit, and make the exit code 1. */
static sa_status read_run(job *j, sa_report_run *run, sa_error *err)
{
    sa_visit_counts counts;
    SA_TRY(sa_cli_visit_results(j->cli, "report", run->path, add_row, run, &counts, err));
    run->failed = counts.failed;
    run->skipped = counts.skipped;
    j->skipped += counts.skipped;
    return SA_OK;
}

/* ---- which items are shown ---- */

/* Those of the runs that --items names; of the last run where it names none. */
static sa_status choose_shown(job *j, sa_error *err)
{
    const sa_arguments *a = &j->cli->arguments;
    bool any = false;
    for (size_t i = 0; i < a->use_count; i++) {
        if (strcmp(a->uses[i].name, "items") != 0) {
            continue;
        }
        bool found = false;
        for (size_t k = 0; k < j->report.run_count; k++) {
            if (strcmp(j->report.runs[k].name, a->uses[i].value) == 0) {
                j->report.runs[k].shown = found = any = true;
            }
        }
        if (!found) {
            return sa_fail(err, SA_BAD_USAGE, "--items", "give the name of one of --results",
                           "no run is called \"%.100s\"", a->uses[i].value);
        }
    }
    j->report.runs[j->report.run_count - 1].shown |= !any;
    return SA_OK;
}

/* ---- what is written ---- */

/* Whole or not at all: a page that a full disk cut short is worse than none. */
static sa_status write_page(job *j, size_t *items, sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, j->options->output, err));
    sa_status status = sa_report_write(&j->report, writer.stream, items, err);
    if (status != SA_OK) {
        sa_file_writer_abandon(&writer);
        return status;
    }
    return sa_file_writer_commit(&writer, err);
}

/* The figures are those of `eval --json`, a run each. */
static void print_json(const job *j, size_t items)
{
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "output", j->options->output);
    sa_json_put_int(&w, "shown", items);
    sa_json_key(&w, "runs");
    sa_json_begin_array(&w);
    for (size_t i = 0; i < j->report.run_count; i++) {
        const sa_report_run *run = &j->report.runs[i];
        sa_json_begin_object(&w);
        sa_json_put_string(&w, "name", run->name);
        sa_json_put_string(&w, "set", run->set);
        sa_json_put_f64(&w, "clicks_kept", sa_report_kept_clicks(run));
        sa_json_put_f64(&w, "clicks_made", sa_report_made_clicks(run));
        sa_json_key(&w, "metrics");
        if (run->scores.count > 0) {
            sa_metrics_write_json(&run->metrics, &w);
        } else {
            sa_json_null(&w);
        }
        sa_json_end_object(&w);
    }
    sa_json_end_array(&w);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static void print_report(const job *j, size_t items)
{
    if (j->options->output != NULL && strcmp(j->options->output, "-") == 0) {
        return; /* the page stands there */
    }
    if (j->cli->common.json) {
        print_json(j, items);
        return;
    }
    sa_report_write_table(&j->report, j->options->markdown ? SA_TABLE_MARKDOWN : SA_TABLE_TEXT, stdout);
    if (j->options->output != NULL && !j->options->markdown) {
        printf("%zu items shown in %s\n", items, j->options->output);
    }
}

/* ---- the command ---- */

static size_t count_uses(const sa_arguments *a, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < a->use_count; i++) {
        count += strcmp(a->uses[i].name, name) == 0;
    }
    return count;
}

/* A page is asked for, or one of the other outputs: nothing to write is a mistake. */
static sa_status open_job(job *j, sa_error *err)
{
    const sa_arguments *a = &j->cli->arguments;
    size_t count = count_uses(a, "results");
    if (count == 0) {
        return sa_fail(err, SA_BAD_USAGE, "--results", "name a run's output directory", "missing");
    }
    if (j->options->output == NULL && !j->options->markdown && !j->cli->common.json) {
        return sa_fail(err, SA_BAD_USAGE, "--output", "name the page to write", "missing");
    }
    j->report.title = j->options->title;
    j->report.limit = (size_t)j->options->limit;
    j->report.runs = calloc(count, sizeof *j->report.runs);
    j->sources = calloc(count, sizeof *j->sources);
    j->names = calloc(count, sizeof *j->names);
    j->sets = calloc(count, sizeof *j->sets);
    j->records = calloc(count, sizeof *j->records);
    if (j->report.runs == NULL || j->sources == NULL || j->names == NULL || j->sets == NULL ||
        j->records == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < a->use_count; i++) {
        if (strcmp(a->uses[i].name, "results") == 0) {
            SA_TRY(open_run(j, a->uses[i].value, err));
        }
    }
    return choose_shown(j, err);
}

static void close_job(job *j)
{
    sa_report_free(&j->report);
    for (size_t i = 0; i < j->report.run_count; i++) {
        json_decref(j->records[i]);
    }
    for (size_t i = 0; i < j->source_count; i++) {
        sa_truths_close(&j->sources[i].truths);
    }
    free(j->report.runs);
    free(j->sources);
    free(j->names);
    free(j->sets);
    free(j->records);
}

static sa_status run_job(job *j, sa_error *err)
{
    sa_pool *pool;
    size_t items = 0;
    SA_TRY(open_job(j, err));
    for (size_t i = 0; i < j->report.run_count; i++) {
        SA_TRY(read_run(j, &j->report.runs[i], err));
    }
    SA_TRY(sa_pool_open(&pool, (int)j->cli->common.threads, err));
    sa_status status = sa_report_reckon(&j->report, (uint64_t)j->cli->common.seed, pool, err);
    sa_pool_close(pool);
    SA_TRY(status);
    if (j->options->output != NULL) {
        SA_TRY(write_page(j, &items, err));
    }
    print_report(j, items);
    return SA_OK;
}

int sa_command_report(int argc, char **argv)
{
    report_options o = {0};
    const sa_option options[] = {
        {"results", SA_OPTION_LIST, NULL, "[NAME=]DIR",
         "a run's output directory, or a results.jsonl; may be repeated, and runs over other items may have "
         "the "
         "same name",
         NULL, 0, 0},
        {"output", SA_OPTION_TEXT, &o.output, "FILE.html", "the page", NULL, 0, 0},
        {"input", SA_OPTION_TEXT, &o.input, "M",
         "the input that was run, with ground truth; default: what each run says that it read", NULL, 0, 0},
        {"images", SA_OPTION_TEXT, &o.images, "DIR", "where names of pictures start", NULL, 0, 0},
        {"instances", SA_OPTION_TEXT, &o.instances, "FILE", "COCO instances that belong to RefCOCO refs",
         NULL, 0, 0},
        {"items", SA_OPTION_LIST, NULL, "NAME", "show items of this run; default: of the last one", NULL, 0,
         0},
        {"limit", SA_OPTION_INTEGER, &o.limit, "N", "items shown of a run", "12", 0, 10000},
        {"title", SA_OPTION_TEXT, &o.title, "TEXT", "what the page is called", "Segmentation report", 0, 0},
        {"markdown", SA_OPTION_FLAG, &o.markdown, NULL, "print the table as Markdown; needs no --output",
         NULL, 0, 0},
    };
    const sa_syntax syntax = {
        .name = "report",
        .summary =
            "Makes one HTML file about a run or several: figures with intervals, the curve over clicks, "
            "and items picture by picture, the worst, middling, best and most misjudged ones. Needs no "
            "network and no script.",
        .usage = "--results [NAME=]DIR... --output FILE.html [OPTION]...",
        .example = "segagent report --results greedy=run-a --results guided=run-b --output report.html",
        .options = options,
        .count = sizeof options / sizeof options[0],
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    job j = {.cli = &cli, .options = &o};
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_interrupt_install();
    sa_status status = run_job(&j, &err);
    close_job(&j);
    return sa_cli_end_items(&cli, status, &err, j.skipped);
}
