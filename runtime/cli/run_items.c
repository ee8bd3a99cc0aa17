/* A run from its options to its metrics. */
#include "runtime/cli/run_items.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/sha256.h"
#include "runtime/cli/run_parts.h"
#include "runtime/cli/run_record.h"
#include "runtime/cli/score.h"

/* metrics.json, of items that have results and a truth. */
static sa_status write_metrics(sa_run_job *j, const sa_truths *truths, sa_run_summary *summary, sa_error *err)
{
    const sa_metrics_options options = {
        .step = SA_METRICS_KEPT, .seed = (uint64_t)j->cli->common.seed, .resamples = SA_BOOTSTRAP_RESAMPLES};
    sa_scored scored;
    sa_pool *pool = NULL;
    sa_metrics metrics;
    sa_status status = sa_cli_score_results(j->cli, truths, true, j->options->output, &scored, err);
    summary->skipped = scored.counts.skipped;
    bool measured = status == SA_OK && scored.scores.count > 0;
    if (measured) {
        status = sa_pool_open(&pool, (int)j->cli->common.threads, err);
    }
    if (measured && status == SA_OK) {
        status = sa_cli_measure(&scored, &options, pool, &metrics, err);
    }
    if (measured && status == SA_OK) {
        status = sa_cli_write_metrics(j->options->output, &metrics, err);
        sa_metrics_free(&metrics);
    }
    if (pool != NULL) {
        sa_pool_close(pool);
    }
    sa_scores_free(&scored.scores);
    return status;
}

static bool knows_truth(const sa_truths *truths)
{
    for (size_t i = 0; i < truths->items.count; i++) {
        if (sa_mask_source_given(&truths->items.items[i].gt)) {
            return true;
        }
    }
    return false;
}

sa_status sa_run_fingerprint(const sa_run_job *j, const char *precision, bool models, char hex[65],
                             sa_error *err)
{
    json_t *run = NULL;
    sa_run_options options = *j->options;
    options.precision = precision;
    SA_TRY(sa_run_record(&run, j->cli, &options, j->kind, &j->agent, &j->items, "", models, err));
    json_object_del(json_object_get(run, "input"), "path");
    char *text = json_dumps(run, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(run);
    sa_status status = text != NULL ? sa_sha256(text, strlen(text), hex, err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the run's record");
    free(text);
    return status;
}

/* Runs it, where and however that was asked for, and sums it up. */
static sa_status run_output(sa_run_job *j, sa_run_summary *summary, sa_truths *truths, sa_error *err)
{
    sa_status status = j->options->queue != NULL ? sa_run_queue(j, summary, err)
                       : sa_run_wants_crew(j)    ? sa_run_crew(j, err)
                                                 : sa_run_here(j, err);
    if (j->output != NULL) {
        summary->items = sa_output_done(j->output);
        summary->quarantined = sa_output_quarantined(j->output);
        sa_output_close(j->output);
    }
    SA_TRY(status);
    if (j->output == NULL) {
        return SA_OK; /* somebody else writes */
    }
    SA_TRY(sa_truths_take(truths, &j->items, err));
    bool measured = knows_truth(truths) && summary->items > summary->quarantined;
    return measured ? write_metrics(j, truths, summary, err) : SA_OK;
}

sa_status sa_run_read_inputs(sa_run_job *j, sa_error *err)
{
    sa_run_options *o = j->options;
    const sa_items_options reading = {
        .images = o->images, .instances = o->instances, .split = o->split, .limit = (size_t)o->limit};
    SA_TRY(sa_run_need(o->agent, "--agent", err));
    SA_TRY(sa_run_need(o->input, "--input", err));
    SA_TRY(o->dry_run || o->queue != NULL || j->kind->estimates ? SA_OK
                                                                : sa_run_need(o->output, "--output", err));
    SA_TRY(sa_shard_parse(o->shard, getenv, &j->shard, err));
    SA_TRY(sa_agent_read(&j->agent, o->agent, err));
    sa_run_complete(o, j->kind, &j->agent);
    SA_TRY(sa_run_check(o, j->kind, &j->agent, err));
    SA_TRY(sa_items_read(&j->items, o->input, &reading, err));
    if (j->items.skipped > 0) {
        sa_log_message(&j->cli->log, SA_LOG_INFO,
                       "%s: %zu entries with pictures named .png are skipped, as SegAgent's loader does",
                       o->input, j->items.skipped);
    }
    return SA_OK;
}

void sa_run_close(sa_run_job *j)
{
    sa_runner_close(j->runner);
    sa_device_close(j->device);
    sa_items_free(&j->items);
    json_decref(j->times);
    json_decref(j->counters);
}

sa_status sa_run_items(sa_cli *cli, sa_run_options *options, const sa_run_kind *kind, sa_run_summary *summary,
                       sa_truths *truths, sa_error *err)
{
    sa_run_job j = {.cli = cli, .options = options, .kind = kind, .lock = PTHREAD_MUTEX_INITIALIZER};
    sa_truths own = {0};
    *summary = (sa_run_summary){0};
    sa_interrupt_install();
    if (sa_worker_is_wanted()) {
        sa_run_as_worker(&j);
    }
    sa_status status = sa_run_read_inputs(&j, err);
    if (status == SA_OK) {
        status = options->dry_run ? sa_run_dry(&j, summary, err)
                                  : run_output(&j, summary, truths != NULL ? truths : &own, err);
    }
    sa_run_close(&j);
    sa_truths_close(&own);
    return status;
}
