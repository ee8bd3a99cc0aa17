/*
 * segagent export: results in the formats of others.
 *
 *   results.jsonl, one row at a time (+ truth of its item, where it is known) -> COCO | PNG masks |
 * SegAgent's JSON
 */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/visit.h"
#include "runtime/data/export.h"
#include "runtime/data/truth.h"

typedef struct {
    const char *results, *input, *images, *instances, *format, *output;
} export_options;

typedef struct {
    sa_truths truths;
    sa_export export;
} job;

/* The truth matters to SegAgent's JSON alone, and may be missing there as well. */
static sa_status export_row(void *context, const sa_result *result, const char *name, sa_error *err)
{
    job *j = context;
    sa_rle truth = {0};
    bool known = false;
    if (j->export.format == SA_EXPORT_SEGAGENT) {
        known = sa_truths_find(&j->truths, result, name, &truth, NULL) == SA_OK;
    }
    sa_status status = sa_export_add(&j->export, result, known ? &truth : NULL, name, err);
    sa_rle_free(&truth);
    return status;
}

static sa_export_format format_of(const char *name)
{
    return strcmp(name, "coco") == 0  ? SA_EXPORT_COCO
           : strcmp(name, "png") == 0 ? SA_EXPORT_PNG
                                      : SA_EXPORT_SEGAGENT;
}

static void print_counts(const sa_cli *cli, const export_options *o, const sa_visit_counts *counts)
{
    /* With "-" standard output holds the export itself. */
    if (strcmp(o->output, "-") == 0) {
        return;
    }
    if (!cli->common.json) {
        printf("%zu items in %s", counts->used, o->output);
        if (counts->failed + counts->skipped > 0) {
            printf("; %zu failed and %zu unusable ones left out", counts->failed, counts->skipped);
        }
        printf("\n");
        return;
    }
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "output", o->output);
    sa_json_put_int(&w, "items", counts->used);
    sa_json_put_int(&w, "failed", counts->failed);
    sa_json_put_int(&w, "skipped", counts->skipped);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static sa_status export_all(sa_cli *cli, const export_options *o, job *j, sa_visit_counts *counts,
                            sa_error *err)
{
    const sa_items_options reading = {
        .images = o->images, .instances = o->instances, .without_pictures = true};
    SA_TRY(sa_truths_open(&j->truths, o->input, &reading, err));
    SA_TRY(sa_export_open(&j->export, format_of(o->format), o->output, err));
    SA_TRY(sa_cli_visit_results(cli, "export", o->results, export_row, j, counts, err));
    return sa_export_finish(&j->export, err);
}

static sa_status run_export(sa_cli *cli, const export_options *o, sa_visit_counts *counts, sa_error *err)
{
    job j = {.truths = {.from_input = false}};
    if (o->results == NULL || o->output == NULL || o->format == NULL) {
        const char *missing = o->results == NULL ? "--results" : o->format == NULL ? "--format" : "--output";
        return sa_fail(err, SA_BAD_USAGE, missing,
                       "segagent export --results DIR --format coco|png|segagent --output PATH", "missing");
    }
    sa_interrupt_install();
    sa_status status = export_all(cli, o, &j, counts, err);
    sa_export_abandon(&j.export);
    sa_truths_close(&j.truths);
    if (status == SA_OK) {
        print_counts(cli, o, counts);
    }
    return status;
}

int sa_command_export(int argc, char **argv)
{
    export_options o = {0};
    const sa_option options[] = {
        {"results", SA_OPTION_TEXT, &o.results, "DIR|FILE", "a run's output directory, or a results.jsonl",
         NULL, 0, 0},
        {"format", SA_OPTION_CHOICE, &o.format, "coco|png|segagent",
         "COCO instances; a mask picture (0 and 255) for each item; SegAgent's results JSON", NULL, 0, 0},
        {"output", SA_OPTION_TEXT, &o.output, "PATH", "the file, or the directory of the pictures", NULL, 0,
         0},
        {"input", SA_OPTION_TEXT, &o.input, "FILE",
         "the input that was run: its truth goes into segagent's JSON", NULL, 0, 0},
        {"images", SA_OPTION_TEXT, &o.images, "DIR", "where the input's pictures are", NULL, 0, 0},
        {"instances", SA_OPTION_TEXT, &o.instances, "FILE", "COCO instances that belong to RefCOCO refs",
         NULL, 0, 0},
    };
    const sa_syntax syntax = {
        .name = "export",
        .summary = "Turns results into COCO instances, PNG masks or SegAgent's results JSON.",
        .usage = "--results DIR|FILE --format coco|png|segagent --output PATH [OPTION]...",
        .example = "segagent export --results out --format coco --output out/coco.json",
        .options = options,
        .count = sizeof options / sizeof options[0],
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    sa_visit_counts counts = {0};
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_status status = run_export(&cli, &o, &counts, &err);
    return sa_cli_end_items(&cli, status, &err, counts.skipped);
}
