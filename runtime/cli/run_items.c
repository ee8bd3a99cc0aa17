#include "runtime/cli/run_items.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/cli/profile.h"
#include "runtime/cli/run_record.h"
#include "runtime/cli/score.h"

/* ---- options ---- */

size_t sa_run_options_table(sa_run_options *o, const sa_run_kind *kind, sa_option table[SA_RUN_OPTIONS])
{
    const int64_t most_side = (int64_t)1 << 20;
    const sa_option all[] = {
        {"agent", SA_OPTION_TEXT, &o->agent, "DIR", "the agent: agent.json and its models", NULL, 0, 0},
        {"input", SA_OPTION_TEXT, &o->input, "M",
         "a manifest (JSONL), SegAgent's dataset JSON, RefCOCO refs, COCO instances, or a folder", NULL, 0,
         0},
        {"output", SA_OPTION_TEXT, &o->output, "DIR", "results go there; the same command goes on with it",
         NULL, 0, 0},
        {"images", SA_OPTION_TEXT, &o->images, "DIR",
         "where names of pictures start; default: the input's place", NULL, 0, 0},
        {"instances", SA_OPTION_TEXT, &o->instances, "FILE", "COCO instances that belong to RefCOCO refs",
         NULL, 0, 0},
        {"split", SA_OPTION_TEXT, &o->split, "NAME", "only RefCOCO refs of this split", NULL, 0, 0},
        {"limit", SA_OPTION_INTEGER, &o->limit, "N", "only the first N items; 0 takes all", "0", 0,
         INT64_MAX},
        {"shard", SA_OPTION_TEXT, &o->shard, "I/N", "only part I of N, from 0; `segagent merge` joins them",
         NULL, 0, 0},
        {"batch", SA_OPTION_INTEGER, &o->batch, "N", "most that a model does at a time", "8", 1, 4096},
        {"in-flight", SA_OPTION_INTEGER, &o->in_flight, "N", "items at work; 0: twice the batch", "0", 0,
         1000000},
        {"kv-pages", SA_OPTION_INTEGER, &o->kv_pages, "N",
         "pages of 16 tokens that the policy keeps; 0: as many as suit the batch", "0", 0, 100000000},
        {"max-pixels", SA_OPTION_INTEGER, &o->max_pixels, "N", "most pixels of a picture", "16777216", 1,
         most_side * most_side},
        {"max-side", SA_OPTION_INTEGER, &o->max_side, "N", "most pixels of a side", "65535", 1, most_side},
        {"dry-run", SA_OPTION_FLAG, &o->dry_run, NULL,
         "check every input and the models, say what memory they take, and end", NULL, 0, 0},
        {"profile", SA_OPTION_FLAG, &o->profile, NULL,
         "tell where the time went, how full batches were, and what was not computed twice", NULL, 0, 0},
        {"costs", SA_OPTION_TEXT, &o->costs, "NAME|FILE",
         "of --device null: these models on an a100 or h100 at its peaks' share, segagent-qwen-a100 or "
         "-h100, "
         "or a file of lines STAGE BATCH MS; default: h100",
         NULL, 0, 0},
        {"steps", SA_OPTION_INTEGER, &o->steps, "T", "most clicks in a row; 0: the agent's", "0", 0, 1000},
        {"temperature", SA_OPTION_REAL, &o->temperature, "X",
         "of all candidates of a state but the first, the likeliest; default: the agent's, or 1 where there "
         "are candidates to sample",
         NULL, 0, 100},
        {"trace", SA_OPTION_FLAG, &o->trace, NULL, "results tell the whole search, not the kept line alone",
         NULL, 0, 0},
        {"search", SA_OPTION_CHOICE, &o->search, "greedy|prm-stop|prm-greedy|beam|best-first|mcts",
         "how states are searched; default: the agent's", NULL, 0, 0},
        {"candidates", SA_OPTION_INTEGER, &o->candidates, "K", "clicks tried in a state; 0: the agent's", "0",
         0, 256},
        {"beam", SA_OPTION_INTEGER, &o->beam, "N", "states kept at each depth; 0: as many as candidates", "0",
         0, 4096},
        {"budget", SA_OPTION_INTEGER, &o->budget, "N",
         "most clicks of an item in all; 0: steps times candidates for best-first and mcts, else no limit",
         "0", 0, 1000000},
        {"seconds", SA_OPTION_REAL, &o->seconds, "X",
         "most time of an item, 0 for no limit; its result then depends on the machine", "0", 0, 1000000},
        {"patience", SA_OPTION_INTEGER, &o->patience, "N",
         "prm-stop and prm-greedy end after N steps without a better score; 0: never", "0", 0, 1000},
        {"exploration", SA_OPTION_REAL, &o->exploration, "X", "mcts: worth of states that were seldom tried",
         "0.3", 0, 100},
        {"score", SA_OPTION_CHOICE, &o->score, "expected|printed|segmenter|truth",
         "what masks are judged by: the policy's IoU (expected over its tokens, or as printed), the "
         "segmenter's, "
         "or the true one; default: expected, or segmenter for an agent without a PRM",
         NULL, 0, 0},
        {"policy", SA_OPTION_CHOICE, &o->policy, "model|annotator|random",
         "who clicks: the agent's model, the simulated annotator (needs \"gt\"), or nobody in particular",
         "model", 0, 0},
    };
    enum { SHARED = 16, WITH_STEPS = 19 }; /* rows up to "dry-run", and up to "trace" */
    size_t count = kind->judges_only      ? SHARED
                   : kind->policy != NULL ? WITH_STEPS
                                          : sizeof all / sizeof all[0];
    _Static_assert(sizeof all / sizeof all[0] == SA_RUN_OPTIONS, "the table's size");
    memcpy(table, all, count * sizeof *all);
    return count;
}

static sa_status need(const char *value, const char *name, sa_error *err)
{
    return value != NULL ? SA_OK : sa_fail(err, SA_BAD_USAGE, name, "see --help", "it is not given");
}

/* A choice of SA_OPTION_CHOICE as its place in the list. */
static int place_in(const char *value, const char *const *list)
{
    int i = 0;
    while (list[i] != NULL && strcmp(list[i], value) != 0) {
        i++;
    }
    SA_ASSERT(list[i] != NULL);
    return i;
}

/* What the command line leaves open is the agent's. */
static void complete(sa_run_options *o, const sa_run_kind *kind, sa_agent *agent)
{
    bool fixed = kind->policy != NULL;
    o->search = fixed ? "greedy" : o->search != NULL ? o->search : agent->search;
    o->score = fixed ? "truth" : o->score != NULL ? o->score : agent->judges ? "expected" : "segmenter";
    o->policy = fixed ? kind->policy : o->policy != NULL ? o->policy : "model";
    o->start = o->start != NULL ? o->start : "empty";
    o->steps = kind->judges_only ? 0 : o->steps != 0 ? o->steps : agent->steps;
    o->candidates = fixed ? 1 : o->candidates != 0 ? o->candidates : agent->candidates;
    if (kind->judges_only) {
        o->search = "greedy";
    }
    if (o->temperature < 0) {
        o->temperature = agent->temperature == 0 && o->candidates > 1 ? 1 : agent->temperature;
    }
    agent->temperature = o->temperature;
}

static sa_status check(const sa_run_options *o, const sa_run_kind *kind, const sa_agent *agent, sa_error *err)
{
    bool by_model = strcmp(o->score, "expected") == 0 || strcmp(o->score, "printed") == 0;
    if (!sa_search_exists(o->search)) {
        return sa_fail(err, SA_BAD_INPUT, agent->file, sa_search_list(), "\"%s\" is no search", o->search);
    }
    if (kind->judges_only && !agent->judges) {
        return sa_fail(err, SA_BAD_USAGE, "--agent", "use an agent with \"prm\"",
                       "the agent %s does not judge masks", agent->name);
    }
    if (by_model && !agent->judges && sa_search_needs_scores(o->search)) {
        return sa_fail(err, SA_BAD_USAGE, "--score", "give --score segmenter, or an agent with \"prm\"",
                       "the agent %s does not judge masks", agent->name);
    }
    if (o->temperature > 0 && o->temperature < SA_SAMPLE_COLDEST) {
        return sa_fail(err, SA_BAD_USAGE, "--temperature", "use 0 for the likeliest click",
                       "%g is too near to 0", o->temperature);
    }
    return SA_OK;
}

/* ---- the run ---- */

typedef struct {
    sa_cli *cli;
    sa_run_options *options;
    const sa_run_kind *kind;
    sa_agent agent;
    sa_items items;
    sa_output *output; /* NULL in a dry run */
    sa_device *device;
    sa_runner *runner;
    pthread_mutex_t lock; /* of the output and the progress: the runner's threads ask and tell */
    size_t next;          /* item that is looked at next */
    size_t done;          /* rows of the shard */
    sa_progress progress;
} job;

static const sa_item *next_item(void *context, size_t *index)
{
    job *j = context;
    const sa_item *found = NULL;
    size_t first, end;
    pthread_mutex_lock(&j->lock);
    sa_output_range(j->output, &first, &end);
    while (found == NULL && j->next < j->items.count) {
        const sa_item *item = &j->items.items[j->next];
        *index = j->next++;
        if (item->row >= first && item->row < end && !sa_output_is_done(j->output, item->row)) {
            found = item;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

static void show_progress(job *j)
{
    sa_progress_update(&j->progress, (long long)++j->done);
}

/* With the lock. */
static sa_status put_aside(job *j, size_t index, const sa_error *why, sa_error *err)
{
    const sa_item *item = &j->items.items[index];
    sa_log_error(&j->cli->log, why);
    show_progress(j);
    return sa_output_quarantine(j->output, item->row, item->id, why, err);
}

static sa_status set_aside(void *context, size_t index, const sa_error *why, sa_error *err)
{
    job *j = context;
    pthread_mutex_lock(&j->lock);
    sa_status status = put_aside(j, index, why, err);
    pthread_mutex_unlock(&j->lock);
    return status;
}

/* With the lock. */
static sa_status put_line(job *j, size_t index, const char *line, size_t size, sa_error *err)
{
    size_t row = j->items.items[index].row;
    sa_status status = sa_output_put(j->output, row, line, size, err);
    if (status == SA_BAD_INPUT && !sa_output_is_done(j->output, row)) {
        const sa_error why = *err; /* a row that no file of results could hold */
        return put_aside(j, index, &why, err);
    }
    show_progress(j);
    return status;
}

static sa_status write_result(void *context, size_t index, sa_result *result, sa_error *err)
{
    job *j = context;
    char *line = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&line, &size);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, result->id, "lower --batch", "no memory for a result");
    }
    sa_json_writer w = sa_json_writer_on(stream);
    sa_status status = j->kind->edit != NULL ? j->kind->edit(j->options, result, err) : SA_OK;
    status = status == SA_OK ? sa_result_write(result, &w, err) : status;
    if (fclose(stream) != 0 && status == SA_OK) {
        status = sa_fail(err, SA_NO_ROOM, result->id, "lower --batch", "no memory for a result");
    }
    if (status == SA_OK) {
        pthread_mutex_lock(&j->lock);
        status = put_line(j, index, line, size, err);
        pthread_mutex_unlock(&j->lock);
    }
    free(line);
    return status;
}

static bool is_interrupted(void *context)
{
    (void)context;
    return sa_interrupt_seen();
}

/* Inputs that the reader refused. */
static sa_status put_bad_items(job *j, sa_error *err)
{
    size_t first, end;
    sa_output_range(j->output, &first, &end);
    for (size_t i = 0; i < j->items.bad_count; i++) {
        const sa_bad_item *bad = &j->items.bad[i];
        sa_error why;
        if (bad->row < first || bad->row >= end || sa_output_is_done(j->output, bad->row)) {
            continue;
        }
        sa_fail(&why, SA_BAD_INPUT, bad->file, bad->hint, "%s", bad->reason);
        sa_log_error(&j->cli->log, &why);
        show_progress(j);
        SA_TRY(sa_output_quarantine(j->output, bad->row, bad->id, &why, err));
    }
    return SA_OK;
}

static sa_runner_options runner_options(const job *j, sa_dtype precision)
{
    static const char *const policies[] = {"model", "annotator", "random", NULL};
    static const char *const starts[] = {"empty", "given", "box", "clicks", NULL};
    static const char *const scores[] = {"expected", "printed", "segmenter", "truth", NULL};
    const sa_run_options *o = j->options;
    sa_policy policy = (sa_policy)place_in(o->policy, policies);
    sa_scorer score = (sa_scorer)place_in(o->score, scores);
    const sa_search_options search = {.steps = (size_t)o->steps,
                                      .candidates = (size_t)o->candidates,
                                      .beam = (size_t)o->beam,
                                      .budget = (size_t)o->budget,
                                      .patience = (size_t)o->patience,
                                      .exploration = o->exploration,
                                      .enough = o->enough != 0 ? o->enough : 2,
                                      .score = score};
    return (sa_runner_options){
        .precision = precision,
        .batch = (size_t)o->batch,
        .in_flight = (size_t)o->in_flight,
        .kv_pages = (size_t)o->kv_pages,
        .max_pixels = (size_t)o->max_pixels,
        .max_side = (size_t)o->max_side,
        .seconds = o->seconds,
        .start = j->kind->uses_mask ? SA_START_GIVEN : (sa_runner_start)place_in(o->start, starts),
        .uses_truth = true,
        .needs_truth = j->kind->needs_truth || policy == SA_POLICY_ANNOTATOR || score == SA_SCORE_TRUTH,
        .episode = {.agent = &j->agent,
                    .policy = j->kind->judges_only ? SA_POLICY_RANDOM : policy,
                    .search = o->search,
                    .options = search,
                    .judged = policy == SA_POLICY_MODEL && j->kind->policy == NULL,
                    .seed = (uint64_t)j->cli->common.seed,
                    .trace = o->trace},
    };
}

/* The null device's clock. */
static sa_status set_costs(job *j, sa_error *err)
{
    const char *name = j->options->costs != NULL ? j->options->costs : "h100";
    sa_cost_device device;
    sa_cost_model model;
    if (sa_device_computes(j->device)) {
        return j->options->costs == NULL
                   ? SA_OK
                   : sa_fail(err, SA_BAD_USAGE, "--costs", "add --device null",
                             "%s computes: it is as fast as it is", sa_device_name(j->device));
    }
    if (sa_cost_device_find(name, &device)) {
        model = sa_runner_roofline(j->runner, &device);
    } else {
        SA_TRY(sa_cost_model_read(&model, name, err));
    }
    sa_device_set_costs(j->device, &model);
    return SA_OK;
}

/* Opens the models on the device; on the CPU where --device auto's GPU has no room for them. */
static sa_status open_runner(job *j, sa_error *err)
{
    sa_dtype precision;
    SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
    sa_runner_options options = runner_options(j, precision);
    sa_error why = {0};
    sa_status status = sa_runner_open(&j->runner, j->device, &options, &why);
    if (status != SA_OK && sa_cli_falls_back(j->cli, &j->device, &why)) {
        SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
        options = runner_options(j, precision);
        status = sa_runner_open(&j->runner, j->device, &options, &why);
    }
    if (status != SA_OK) {
        *err = why;
        return status;
    }
    j->options->precision = sa_dtype_name(precision);
    return set_costs(j, err);
}

/* What was begun on one device may not go on in the precision of another. */
static sa_status reopen_runner(job *j, sa_error *err)
{
    const char *begun = j->options->precision;
    SA_TRY(open_runner(j, err));
    if (strcmp(begun, j->options->precision) != 0) {
        return sa_fail(
            err, SA_NO_DEVICE, j->options->output, "free the GPU, or begin again in another directory",
            "was begun in %s, and the device that is left computes in %s", begun, j->options->precision);
    }
    return SA_OK;
}

static sa_status finish(job *j, const sa_runner_counts *counts, double seconds, sa_error *err)
{
    json_t *times = sa_run_times(counts, seconds), *counters = sa_run_counters(counts);
    sa_status status = times != NULL && counters != NULL
                           ? sa_output_finish(j->output, times, counters, err)
                           : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the run's record");
    json_decref(times);
    json_decref(counters);
    return status;
}

static sa_status run_all(job *j, sa_error *err)
{
    const sa_runner_client client = {j, next_item, write_result, set_aside, is_interrupted};
    sa_runner_counts counts = {0};
    double begun = sa_clock_seconds();
    size_t first, end;
    sa_output_range(j->output, &first, &end);
    j->done = sa_output_done(j->output);
    if (j->done == end - first) {
        sa_log_message(&j->cli->log, SA_LOG_INFO, "%s: everything is done already", j->options->output);
        return finish(j, &counts, 0, err);
    }
    SA_TRY(j->runner == NULL ? reopen_runner(j, err) : SA_OK);
    j->progress = sa_progress_start(&j->cli->log, j->kind->command, sa_device_name(j->device),
                                    (long long)(end - first));
    j->progress.before = (long long)j->done;
    sa_status status = put_bad_items(j, err);
    if (status == SA_OK) {
        status = sa_runner_run(j->runner, &client, &counts, err);
    }
    sa_progress_end(&j->progress, (long long)j->done);
    double seconds = sa_clock_seconds() - begun;
    if (j->options->profile && status == SA_OK) {
        sa_cli_print_profile(stderr, &counts, seconds);
    }
    return status == SA_OK ? finish(j, &counts, seconds, err) : status;
}

/* The run that is gone on with computed in another precision than the device that was found would. */
static bool may_have_fallen_back(const job *j, const char *record)
{
    const sa_common_options *c = &j->cli->common;
    json_t *run;
    sa_error ignored;
    if (strcmp(c->device, "auto") != 0 || strcmp(c->precision, "auto") != 0 ||
        sa_json_read(record, SIZE_MAX, &run, &ignored) != SA_OK) {
        return false;
    }
    const char *precision = json_string_value(json_object_get(json_object_get(run, "config"), "precision"));
    bool other = precision != NULL && strcmp(precision, j->options->precision) != 0;
    json_decref(run);
    return other;
}

/*
 * A new run opens the models first, so that its record tells the device and the precision that they are on;
 * one that goes on, and may be done already, only when they are needed.
 */
static sa_status open_output(job *j, sa_error *err)
{
    sa_output_options options = {
        .directory = j->options->output, .rows = j->items.count + j->items.bad_count, .sync_ms = -1};
    char path[4096];
    json_t *run = NULL;
    SA_TRY(sa_shard_parse(j->options->shard, &options.shard, err));
    SA_TRY(sa_file_join(path, sizeof path, j->options->output, "run.json", err));
    SA_TRY(sa_file_exists(path) && !may_have_fallen_back(j, path) ? SA_OK : open_runner(j, err));
    sa_status status = sa_run_record(&run, j->cli, j->options, j->kind, &j->agent, &j->items,
                                     sa_device_name(j->device), err);
    options.run = run;
    if (status == SA_OK) {
        status = sa_output_open(&j->output, &options, err);
    }
    json_decref(run);
    return status;
}

/* metrics.json, of items that have results and a truth. */
static sa_status write_metrics(job *j, const sa_truths *truths, sa_run_summary *summary, sa_error *err)
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

static sa_status run_output(job *j, sa_run_summary *summary, sa_truths *truths, sa_error *err)
{
    SA_TRY(open_output(j, err));
    sa_status status = run_all(j, err);
    summary->items = sa_output_done(j->output);
    summary->quarantined = sa_output_quarantined(j->output);
    sa_output_close(j->output);
    SA_TRY(status);
    SA_TRY(sa_truths_take(truths, &j->items, err));
    bool measured = knows_truth(truths) && summary->items > summary->quarantined;
    return measured ? write_metrics(j, truths, summary, err) : SA_OK;
}

/* ---- a dry run ---- */

/* What is wrong with an item is told. */
static bool is_bad(job *j, const sa_item *item)
{
    sa_error why = {0};
    bool bad = sa_runner_check(j->runner, item, &why) != SA_OK;
    if (bad) {
        sa_log_error(&j->cli->log, &why);
    }
    return bad;
}

static void tell_plan(const job *j, const sa_run_summary *summary)
{
    sa_runner_memory memory = sa_runner_get_memory(j->runner);
    if (j->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        sa_json_put_string(&w, "format", j->items.format);
        sa_json_put_int(&w, "items", (int64_t)summary->items);
        sa_json_put_int(&w, "unusable", (int64_t)summary->quarantined);
        sa_json_put_string(&w, "device", sa_device_name(j->device));
        sa_json_put_int(&w, "segmenter_bytes", (int64_t)memory.segmenter);
        sa_json_put_int(&w, "policy_bytes", (int64_t)memory.policy);
        sa_json_put_int(&w, "batch", j->options->batch);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
        return;
    }
    printf("%zu items (%s), %zu of them cannot be used\n", summary->items, j->items.format,
           summary->quarantined);
    printf("%s: segmenter %.1f MB, policy %.1f MB, for %lld items at a time\n", sa_device_name(j->device),
           (double)memory.segmenter / 1e6, (double)memory.policy / 1e6, (long long)j->options->batch);
}

static sa_status run_dry(job *j, sa_run_summary *summary, sa_error *err)
{
    sa_shard shard;
    size_t first, end;
    SA_TRY(sa_shard_parse(j->options->shard, &shard, err));
    SA_TRY(open_runner(j, err));
    sa_shard_range(shard, j->items.count + j->items.bad_count, &first, &end);
    summary->items = end - first;
    for (size_t i = 0; i < j->items.bad_count; i++) {
        const sa_bad_item *bad = &j->items.bad[i];
        if (bad->row >= first && bad->row < end) {
            sa_log_message(&j->cli->log, SA_LOG_ERROR, "%s: %s", bad->file, bad->reason);
            summary->quarantined++;
        }
    }
    sa_progress progress =
        sa_progress_start(&j->cli->log, "check", sa_device_name(j->device), (long long)(end - first));
    for (size_t i = 0; i < j->items.count; i++) {
        const sa_item *item = &j->items.items[i];
        SA_TRY(sa_interrupt_check(err));
        summary->quarantined += item->row >= first && item->row < end && is_bad(j, item);
        sa_progress_update(&progress, item->row > first ? (long long)(item->row - first) : 0);
    }
    sa_progress_end(&progress, (long long)(end - first));
    tell_plan(j, summary);
    return SA_OK;
}

/* ---- all of it ---- */

static sa_status run_job(job *j, sa_run_options *o, sa_run_summary *summary, sa_truths *truths, sa_error *err)
{
    const sa_items_options reading = {
        .images = o->images, .instances = o->instances, .split = o->split, .limit = (size_t)o->limit};
    SA_TRY(need(o->agent, "--agent", err));
    SA_TRY(need(o->input, "--input", err));
    SA_TRY(o->dry_run ? SA_OK : need(o->output, "--output", err));
    SA_TRY(sa_agent_read(&j->agent, o->agent, err));
    complete(o, j->kind, &j->agent);
    SA_TRY(check(o, j->kind, &j->agent, err));
    SA_TRY(sa_items_read(&j->items, o->input, &reading, err));
    if (j->items.skipped > 0) {
        sa_log_message(&j->cli->log, SA_LOG_INFO,
                       "%s: %zu entries with pictures named .png are skipped, as SegAgent's loader does",
                       o->input, j->items.skipped);
    }
    SA_TRY(sa_cli_open_any_device(j->cli, &j->device, err));
    sa_dtype precision;
    SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
    o->precision = sa_dtype_name(precision);
    return o->dry_run ? run_dry(j, summary, err) : run_output(j, summary, truths, err);
}

sa_status sa_run_items(sa_cli *cli, sa_run_options *options, const sa_run_kind *kind, sa_run_summary *summary,
                       sa_truths *truths, sa_error *err)
{
    job j = {.cli = cli, .options = options, .kind = kind, .lock = PTHREAD_MUTEX_INITIALIZER};
    sa_truths own = {0};
    *summary = (sa_run_summary){0};
    sa_interrupt_install();
    sa_status status = run_job(&j, options, summary, truths != NULL ? truths : &own, err);
    sa_runner_close(j.runner);
    sa_device_close(j.device);
    sa_items_free(&j.items);
    sa_truths_close(&own);
    return status;
}
