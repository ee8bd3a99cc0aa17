/*
 * segagent filter: which of many given masks are good, in the policy's eyes.
 *
 *   masks -> a run that only judges (run_items.h) -> scores -> threshold or quantile
 *         -> kept.jsonl and dropped.jsonl, manifests with the score (their pictures' names start where the
 *            input's did: --images); figures where the truth is known
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/run_items.h"
#include "runtime/cli/visit.h"
#include "runtime/data/metrics.h"
#include "runtime/data/truth.h"

typedef struct {
    sa_cli *cli;
    const sa_run_options *run;
    double threshold, quantile; /* NaN: not given */
    double *scores;             /* [count], to find the quantile */
    size_t count, room;
    double cut;     /* masks that score below it are dropped */
    size_t skipped; /* rows that could not be read */
    size_t mute;    /* masks of which the policy said nothing that we read: they score 0 */
    sa_file_writer kept, dropped;
    size_t kept_count, dropped_count;
    sa_truths truths;
    sa_scores judged; /* of items whose truth is known */
} job;

/* ---- the cut ---- */

static sa_status keep_score(void *context, const sa_result *result, const char *name, sa_error *err)
{
    job *j = context;
    double *scores = sa_grow(j->scores, &j->room, j->count + 1, sizeof *scores);
    if (scores == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for scores");
    }
    j->scores = scores;
    scores[j->count++] = result->score;
    return SA_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The score that a share `quantile` of all masks lies below; 0 where there are none. */
static double find_cut(job *j)
{
    if (!isnan(j->threshold) || j->count == 0) {
        return isnan(j->threshold) ? 0 : j->threshold;
    }
    qsort(j->scores, j->count, sizeof *j->scores, by_value);
    size_t at = (size_t)(j->quantile * (double)j->count + 1e-9); /* 0.29 * 100 is a little less than 29 */
    return at < j->count ? j->scores[at] : nextafter(j->scores[j->count - 1], INFINITY); /* all of them */
}

/* ---- the lists ---- */

/* What the item's row had besides. */
static void write_rest(sa_json_writer *w, const sa_item *item)
{
    if (item->gt.json != NULL || item->gt.png != NULL) {
        sa_json_key(w, "gt");
        if (item->gt.json != NULL) {
            sa_json_value(w, item->gt.json);
        } else {
            sa_json_string(w, item->gt.png);
        }
    }
    if (item->meta != NULL) {
        sa_json_key(w, "meta");
        sa_json_value(w, item->meta);
    }
}

static sa_status write_row(const job *j, sa_file_writer *writer, const sa_result *r, sa_error *err)
{
    const sa_item *item = sa_truths_item(&j->truths, r->id);
    sa_json_writer w = sa_json_writer_on(writer->stream);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "id", r->id);
    sa_json_put_string(&w, "image", r->image);
    sa_json_put_string(&w, "text", r->text);
    sa_json_key(&w, "mask");
    SA_TRY(sa_rle_write_json(&r->mask, &w, err));
    sa_json_put_f64(&w, "score", r->score);
    if (item != NULL) {
        write_rest(&w, item);
    }
    sa_json_end_object(&w);
    sa_json_end_line(&w);
    return SA_OK;
}

/* The judged mask as a trajectory's one step, which is what the figures of a PRM are about. */
static sa_status add_truth(job *j, const sa_result *r, const char *name, sa_error *err)
{
    const sa_item *item = sa_truths_item(&j->truths, r->id);
    sa_result_step steps[2] = {r->steps[0], r->steps[0]};
    sa_result as_step = *r;
    sa_rle truth;
    if (item == NULL || !sa_mask_source_given(&item->gt)) {
        return SA_OK;
    }
    as_step.steps = steps;
    as_step.step_count = 2;
    SA_TRY(sa_truths_find(&j->truths, r, name, &truth, err));
    sa_status status = sa_scores_add(&j->judged, &as_step, &truth, name, err);
    sa_rle_free(&truth);
    return status;
}

static sa_status sort_row(void *context, const sa_result *result, const char *name, sa_error *err)
{
    job *j = context;
    bool keeps = result->score >= j->cut;
    j->mute += result->step_count > 0 && result->steps[0].parse == SA_PARSE_FAILED;
    *(keeps ? &j->kept_count : &j->dropped_count) += 1;
    SA_TRY(write_row(j, keeps ? &j->kept : &j->dropped, result, err));
    return result->step_count > 0 ? add_truth(j, result, name, err) : SA_OK;
}

static sa_status open_list(const job *j, const char *name, sa_file_writer *writer, sa_error *err)
{
    char path[4096];
    SA_TRY(sa_file_join(path, sizeof path, j->run->output, name, err));
    return sa_file_writer_open(writer, path, err);
}

/* A part of a run may have no rows, or none that could be judged: its lists are empty then. */
static sa_status visit(job *j, const sa_run_summary *summary, sa_visit_row *row, sa_error *err)
{
    sa_visit_counts counts;
    if (summary->items == summary->quarantined) {
        return SA_OK;
    }
    SA_TRY(sa_cli_visit_results(j->cli, "sort", j->run->output, row, j, &counts, err));
    j->skipped = counts.skipped;
    return SA_OK;
}

static sa_status write_lists(job *j, const sa_run_summary *summary, sa_error *err)
{
    SA_TRY(visit(j, summary, keep_score, err));
    j->cut = find_cut(j);
    SA_TRY(open_list(j, "kept.jsonl", &j->kept, err));
    SA_TRY(open_list(j, "dropped.jsonl", &j->dropped, err));
    SA_TRY(visit(j, summary, sort_row, err));
    SA_TRY(sa_file_writer_commit(&j->kept, err));
    return sa_file_writer_commit(&j->dropped, err);
}

/* ---- what is told ---- */

static void tell(sa_json_writer *w, const char *name, const sa_figure *f)
{
    if (w == NULL) {
        printf("%-9s %.4f [%.4f, %.4f]\n", name, f->value, f->low, f->high);
        return;
    }
    sa_json_key(w, name);
    sa_json_begin_object(w);
    sa_json_put_f64(w, "value", f->value);
    sa_json_put_f64(w, "low", f->low);
    sa_json_put_f64(w, "high", f->high);
    sa_json_end_object(w);
}

static void tell_figures(sa_json_writer *w, const sa_metrics *m)
{
    tell(w, "mae", &m->prm.mae);
    tell(w, "mse", &m->prm.mse);
    tell(w, "pearson", &m->prm.pearson);
    tell(w, "spearman", &m->prm.spearman);
    tell(w, "auc", &m->prm.auc);
}

static void tell_json(const job *j, const sa_run_summary *s, const sa_metrics *m)
{
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "output", j->run->output);
    sa_json_put_int(&w, "kept", (int64_t)j->kept_count);
    sa_json_put_int(&w, "dropped", (int64_t)j->dropped_count);
    sa_json_put_int(&w, "quarantined", (int64_t)s->quarantined);
    sa_json_put_int(&w, "unread", (int64_t)j->mute);
    sa_json_put_f64(&w, "threshold", j->cut);
    if (m != NULL) {
        tell_figures(&w, m);
    }
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static void tell_text(const job *j, const sa_run_summary *s, const sa_metrics *m)
{
    printf("%zu kept, %zu dropped (score below %.4f), %zu in quarantine: %s\n", j->kept_count,
           j->dropped_count, j->cut, s->quarantined, j->run->output);
    if (j->mute > 0) {
        printf("%zu answers were none that could be read: these masks score 0\n", j->mute);
    }
    if (m != NULL) {
        printf("%zu masks whose truth is known; 95 %% intervals\n", m->items);
        tell_figures(NULL, m);
    }
}

static sa_status report(job *j, const sa_run_summary *summary, sa_error *err)
{
    const sa_metrics_options options = {
        .step = SA_METRICS_KEPT, .seed = (uint64_t)j->cli->common.seed, .resamples = SA_BOOTSTRAP_RESAMPLES};
    sa_metrics metrics = {0};
    bool known = j->judged.count > 0;
    if (known) {
        sa_pool *pool;
        SA_TRY(sa_pool_open(&pool, (int)j->cli->common.threads, err));
        sa_status status = sa_metrics_compute(&metrics, &j->judged, &options, pool, err);
        sa_pool_close(pool);
        SA_TRY(status);
    }
    (j->cli->common.json ? tell_json : tell_text)(j, summary, known ? &metrics : NULL);
    sa_metrics_free(&metrics);
    return SA_OK;
}

/* ---- all of it ---- */

static sa_status check_cut(const job *j, sa_error *err)
{
    if (isnan(j->threshold) == isnan(j->quantile)) {
        return sa_fail(err, SA_BAD_USAGE, "--threshold", "give --threshold 0.8, or --quantile 0.1",
                       "how many masks are to be dropped is %s",
                       isnan(j->threshold) ? "not said" : "said twice");
    }
    return SA_OK;
}

static sa_status run_job(job *j, sa_run_options *run, const sa_run_kind *kind, sa_run_summary *summary,
                         sa_error *err)
{
    SA_TRY(check_cut(j, err));
    SA_TRY(sa_run_items(j->cli, run, kind, summary, &j->truths, err));
    if (run->dry_run || run->output == NULL) {
        return SA_OK;
    }
    SA_TRY(write_lists(j, summary, err));
    return report(j, summary, err);
}

int sa_command_filter(int argc, char **argv)
{
    static const sa_run_kind kind = {.command = "filter", .uses_mask = true, .judges_only = true};
    sa_run_options run = {.temperature = -1};
    sa_option table[SA_RUN_OPTIONS + 2];
    sa_cli cli;
    job j = {.cli = &cli, .run = &run, .threshold = NAN, .quantile = NAN};
    sa_run_summary summary = {0};
    sa_error err = {0};
    int exit_code;
    size_t count = sa_run_options_table(&run, &kind, table);
    table[count++] = (sa_option){"threshold",
                                 SA_OPTION_REAL,
                                 &j.threshold,
                                 "X",
                                 "keep masks whose predicted IoU is X or more",
                                 NULL,
                                 0,
                                 1};
    table[count++] = (sa_option){"quantile",
                                 SA_OPTION_REAL,
                                 &j.quantile,
                                 "Q",
                                 "drop the share Q of masks with the lowest predicted IoU",
                                 NULL,
                                 0,
                                 1};
    const sa_syntax syntax = {
        .name = "filter",
        .summary = "Judges given masks by the agent's PRM, and tells the good from the bad.",
        .usage = "--agent DIR --input M --output DIR (--threshold X | --quantile Q) [OPTION]...",
        .example = "segagent filter --agent weights_tools/tiny/agent --input masks.jsonl --output judged "
                   "--threshold 0.7",
        .options = table,
        .count = count,
    };
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_status status = run_job(&j, &run, &kind, &summary, &err);
    sa_file_writer_abandon(&j.kept);
    sa_file_writer_abandon(&j.dropped);
    sa_truths_close(&j.truths);
    sa_scores_free(&j.judged);
    free(j.scores);
    return sa_cli_end_items(&cli, status, &err, summary.quarantined + j.skipped);
}
