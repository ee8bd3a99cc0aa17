/*
 * segagent eval: how good a run's masks are.
 *
 *   results.jsonl, one row at a time + truth of its item -> counts of pixels -> figures with intervals
 *   --compare A B: two runs, paired by id            --parity segagent: the released evaluator's own figures
 */
#define _DEFAULT_SOURCE /* strsep */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/score.h"
#include "runtime/data/metrics_write.h"
#include "runtime/data/parity.h"

typedef struct {
    const char *results, *input, *images, *instances, *csv, *items, *parity, *runner;
    int64_t step, click_id;
    bool compare, markdown;
} eval_options;

typedef struct {
    sa_cli *cli;
    const eval_options *options;
    sa_truths truths;
    sa_pool *pool;
    size_t skipped; /* rows that could not be scored, of all files */
} job;

static sa_status score_file(job *j, const char *path, sa_scored *s, sa_error *err)
{
    sa_status status = sa_cli_score_results(j->cli, &j->truths, false, path, s, err);
    j->skipped += s->counts.skipped;
    return status;
}

/* ---- output ---- */

static sa_table_style style_of(const eval_options *o)
{
    return o->markdown ? SA_TABLE_MARKDOWN : SA_TABLE_TEXT;
}

/* metrics.json beside the results of a directory; only the figures of the kept masks stand there. */
static sa_status write_beside(const job *j, const sa_metrics *metrics, sa_error *err)
{
    bool beside = metrics->step == SA_METRICS_KEPT && sa_file_is_directory(j->options->results);
    return beside ? sa_cli_write_metrics(j->options->results, metrics, err) : SA_OK;
}

static sa_status write_csv(const char *path, const sa_metrics *metrics, const sa_comparison *comparison,
                           sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, path, err));
    if (metrics != NULL) {
        sa_metrics_write_table(metrics, SA_TABLE_CSV, writer.stream);
    } else {
        sa_comparison_write_table(comparison, SA_TABLE_CSV, writer.stream);
    }
    return sa_file_writer_commit(&writer, err);
}

static sa_status write_items(const char *path, const sa_scores *scores, int64_t step, sa_error *err)
{
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, path, err));
    sa_scores_write_csv(scores, step, writer.stream);
    return sa_file_writer_commit(&writer, err);
}

static bool is_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

/* With "-" standard output holds that file, and nothing else. */
static bool is_taken(const job *j)
{
    return is_stdout(j->options->csv) || is_stdout(j->options->items);
}

static void print_metrics(const job *j, const sa_metrics *metrics)
{
    if (is_taken(j)) {
        return;
    }
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_metrics_write_json(metrics, &w);
        sa_json_end_line(&w);
    } else {
        sa_metrics_write_table(metrics, style_of(j->options), stdout);
    }
}

static void print_comparison(const job *j, const sa_comparison *comparison)
{
    if (is_taken(j)) {
        return;
    }
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_comparison_write_json(comparison, &w);
        sa_json_end_line(&w);
    } else {
        sa_comparison_write_table(comparison, style_of(j->options), stdout);
    }
}

/* ---- what can be asked for ---- */

static sa_metrics_options metrics_options(const job *j)
{
    return (sa_metrics_options){
        .step = j->options->step, .seed = (uint64_t)j->cli->common.seed, .resamples = SA_BOOTSTRAP_RESAMPLES};
}

static sa_status report(job *j, const sa_scored *s, sa_error *err)
{
    const eval_options *o = j->options;
    const sa_metrics_options options = metrics_options(j);
    sa_metrics metrics;
    SA_TRY(sa_cli_measure(s, &options, j->pool, &metrics, err));
    sa_status status = write_beside(j, &metrics, err);
    if (status == SA_OK && o->csv != NULL) {
        status = write_csv(o->csv, &metrics, NULL, err);
    }
    if (status == SA_OK && o->items != NULL) {
        status = write_items(o->items, &s->scores, o->step, err);
    }
    if (status == SA_OK) {
        print_metrics(j, &metrics);
    }
    sa_metrics_free(&metrics);
    return status;
}

static sa_status evaluate(job *j, sa_error *err)
{
    sa_scored s;
    sa_status status = score_file(j, j->options->results, &s, err);
    if (status == SA_OK) {
        status = report(j, &s, err);
    }
    sa_scores_free(&s.scores);
    return status;
}

static sa_status compare(job *j, const char *a, const char *b, sa_error *err)
{
    const sa_metrics_options options = metrics_options(j);
    sa_scored s[2] = {{.truths = NULL}, {.truths = NULL}};
    sa_comparison comparison;
    sa_status status = score_file(j, a, &s[0], err);
    if (status == SA_OK) {
        status = score_file(j, b, &s[1], err);
    }
    if (status == SA_OK) {
        status = sa_compare(&comparison, &s[0].scores, &s[1].scores, &options, j->pool, err);
    }
    if (status == SA_OK && j->options->csv != NULL) {
        status = write_csv(j->options->csv, NULL, &comparison, err);
    }
    if (status == SA_OK) {
        print_comparison(j, &comparison);
    }
    sa_scores_free(&s[0].scores);
    sa_scores_free(&s[1].scores);
    return status;
}

static void print_parity(const sa_cli *cli, const sa_parity *p)
{
    char ciou[32], giou[32];
    if (cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_put_int(&w, "samples", p->samples);
        sa_json_put_int(&w, "images", p->images);
        sa_json_put_f64(&w, "class_iou", (double)p->ciou);
        sa_json_put_f64(&w, "global_iou", (double)p->giou);
        sa_json_put_f64(&w, "cIoU", p->ciou_exact);
        sa_json_put_f64(&w, "gIoU", p->giou_exact);
        sa_json_put_string(&w, "csv", p->csv);
        sa_json_put_string(&w, "txt", p->txt);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
        return;
    }
    sa_json_format_f64(ciou, sizeof ciou, (double)p->ciou);
    sa_json_format_f64(giou, sizeof giou, (double)p->giou);
    printf("class_iou: %s\nglobal_iou: %s\n%zu samples of %zu images; in double: cIoU %.10f, gIoU "
           "%.10f\n%s\n%s\n",
           ciou, giou, p->samples, p->images, p->ciou_exact, p->giou_exact, p->csv, p->txt);
}

/* "0,1,False,sam_vit_h_4b8939" cut at its commas, in place. */
static sa_status read_runner(char *text, sa_parity_runner *runner, sa_error *err)
{
    const char **parts[] = {&runner->grid_sample, &runner->previous_mask, &runner->visualize,
                            &runner->checkpoint};
    char *rest = text;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i] = strsep(&rest, ",");
        if (*parts[i] == NULL || **parts[i] == '\0' || strchr(*parts[i], '/') != NULL) {
            break;
        }
        if (i == 3 && rest == NULL) {
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_USAGE, "--runner", "write --runner 0,1,False,CHECKPOINT",
                   "takes grid sample, previous mask, visualize and the checkpoint's name");
}

static sa_status run_parity(const sa_cli *cli, const eval_options *o, sa_error *err)
{
    sa_parity parity;
    sa_parity_runner runner;
    char text[512];
    sa_parity_options options = {.mode = SA_PARITY_BEST, .click_id = o->click_id};
    if (strcmp(o->parity, "segagent-live") == 0) {
        options.mode = SA_PARITY_LIVE;
    } else if (o->click_id != INT64_MIN) {
        options.mode = SA_PARITY_CLICK;
    }
    if (o->runner != NULL) {
        if (strlen(o->runner) >= sizeof text) {
            return sa_fail(err, SA_BAD_USAGE, "--runner", "use shorter names", "is longer than %zu bytes",
                           sizeof text - 1);
        }
        strcpy(text, o->runner);
        SA_TRY(read_runner(text, &runner, err));
        options.runner = &runner;
    }
    SA_TRY(sa_parity_run(o->results, &options, &parity, err));
    print_parity(cli, &parity);
    return SA_OK;
}

/* ---- the command ---- */

/* SegAgent's evaluators take a results JSON that holds the truth, and write their own CSV. */
static sa_status check_parity(const eval_options *o, sa_error *err)
{
    const struct {
        const char *name;
        bool given;
    } others[] = {{"--csv", o->csv != NULL},
                  {"--items", o->items != NULL},
                  {"--step", o->step != SA_METRICS_KEPT},
                  {"--input", o->input != NULL},
                  {"--images", o->images != NULL},
                  {"--instances", o->instances != NULL},
                  {"--markdown", o->markdown}};
    for (size_t i = 0; o->parity != NULL && i < sizeof others / sizeof others[0]; i++) {
        if (others[i].given) {
            return sa_fail(err, SA_BAD_USAGE, others[i].name, "leave it out", "does not go with --parity");
        }
    }
    return SA_OK;
}

static sa_status check_options(const sa_cli *cli, const eval_options *o, sa_error *err)
{
    SA_TRY(check_parity(o, err));
    if (o->compare && (cli->arguments.position_count != 2 || o->results != NULL || o->parity != NULL)) {
        return sa_fail(err, SA_BAD_USAGE, "--compare", "segagent eval --compare A B [--input M]",
                       "takes two results, and neither --results nor --parity");
    }
    if (!o->compare && cli->arguments.position_count > 0) {
        return sa_fail(err, SA_BAD_USAGE, cli->arguments.positions[0], "name it by --results",
                       "one argument too many");
    }
    if (!o->compare && o->results == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--results", "name a run's output directory", "missing");
    }
    if (o->click_id != INT64_MIN && (o->parity == NULL || strcmp(o->parity, "segagent") != 0)) {
        return sa_fail(err, SA_BAD_USAGE, "--click-id", "use --step for results of our own",
                       "goes with --parity segagent only");
    }
    if (o->runner != NULL && (o->parity == NULL || strcmp(o->parity, "segagent-live") != 0)) {
        return sa_fail(err, SA_BAD_USAGE, "--runner", "leave it out",
                       "goes with --parity segagent-live only");
    }
    if (o->compare && o->items != NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--items", "leave it out", "does not go with --compare");
    }
    if (is_stdout(o->csv) && is_stdout(o->items)) {
        return sa_fail(err, SA_BAD_USAGE, "--items", "give one of them a file", "--csv is \"-\", too");
    }
    return SA_OK;
}

static sa_status run_scored(job *j, sa_error *err)
{
    const eval_options *o = j->options;
    const sa_items_options reading = {
        .images = o->images, .instances = o->instances, .without_pictures = true};
    SA_TRY(sa_truths_open(&j->truths, o->input, &reading, err));
    SA_TRY(sa_pool_open(&j->pool, (int)j->cli->common.threads, err));
    const char *const *positions = j->cli->arguments.positions;
    return o->compare ? compare(j, positions[0], positions[1], err) : evaluate(j, err);
}

static sa_status run_eval(sa_cli *cli, const eval_options *o, size_t *skipped, sa_error *err)
{
    job j = {.cli = cli, .options = o};
    SA_TRY(check_options(cli, o, err));
    if (o->parity != NULL) {
        return run_parity(cli, o, err);
    }
    sa_interrupt_install();
    sa_status status = run_scored(&j, err);
    sa_truths_close(&j.truths);
    if (j.pool != NULL) {
        sa_pool_close(j.pool);
    }
    *skipped = j.skipped;
    return status;
}

int sa_command_eval(int argc, char **argv)
{
    eval_options o = {.step = SA_METRICS_KEPT, .click_id = INT64_MIN};
    const sa_option options[] = {
        {"results", SA_OPTION_TEXT, &o.results, "DIR|FILE", "a run's output directory, or a results.jsonl",
         NULL, 0, 0},
        {"input", SA_OPTION_TEXT, &o.input, "FILE",
         "the input that was run, with ground truth; without it rows must have meta.gt", NULL, 0, 0},
        {"images", SA_OPTION_TEXT, &o.images, "DIR", "where the input's pictures are", NULL, 0, 0},
        {"instances", SA_OPTION_TEXT, &o.instances, "FILE", "COCO instances that belong to RefCOCO refs",
         NULL, 0, 0},
        {"step", SA_OPTION_INTEGER, &o.step, "K",
         "judge the masks after K clicks, and not those that the run kept", NULL, 0, INT_MAX},
        {"compare", SA_OPTION_FLAG, &o.compare, NULL,
         "two results follow, A and B: is B better? Differences are B minus A, paired by id", NULL, 0, 0},
        {"markdown", SA_OPTION_FLAG, &o.markdown, NULL, "print a Markdown table", NULL, 0, 0},
        {"csv", SA_OPTION_TEXT, &o.csv, "FILE", "write the figures as CSV, too", NULL, 0, 0},
        {"items", SA_OPTION_TEXT, &o.items, "FILE", "write a CSV with a line for every item", NULL, 0, 0},
        {"parity", SA_OPTION_CHOICE, &o.parity, "segagent|segagent-live",
         "--results is a results JSON of SegAgent's runner: print what its eval_result_iou (or the runner "
         "itself) "
         "prints, and write its CSV and txt files beside it",
         NULL, 0, 0},
        {"click-id", SA_OPTION_INTEGER, &o.click_id, "K",
         "eval_result_iou's --click_id: score the mask of this click, -1 being the last", NULL, INT_MIN,
         INT_MAX},
        {"runner", SA_OPTION_TEXT, &o.runner, "G,P,V,CHECKPOINT",
         "with segagent-live: the runner's use_grid_sample, use_previous_mask, visualize and segmenter, as "
         "in 0,1,False,sam_vit_h_4b8939, for "
         "the names of its files (default: STEM_live.csv and .txt)",
         NULL, 0, 0},
    };
    const sa_syntax syntax = {
        .name = "eval",
        .summary =
            "Says how good a run's masks are: cIoU, gIoU, the curve over steps, number of clicks, first "
            "click, and how well the agent knew it, each with a 95 % bootstrap interval.",
        .usage = "--results DIR|FILE [OPTION]... | --compare A B [OPTION]...",
        .example = "segagent eval --results out --input scenes/manifest.jsonl --markdown",
        .options = options,
        .count = sizeof options / sizeof options[0],
        .most_positions = 2,
    };
    sa_cli cli;
    sa_error err = {0};
    int exit_code = 0;
    size_t skipped = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_status status = run_eval(&cli, &o, &skipped, &err);
    return sa_cli_end_items(&cli, status, &err, skipped);
}
