/*
 * segagent plan: how long a job would take on GPUs that are not here. A sample of the items runs on the null
 * device, which takes the time of a cost model; what that gives is a model's answer, and is told as one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/sizes.h"
#include "runtime/cli/run_parts.h"

typedef struct {
    sa_run_options run;
    int64_t gpus, sample;
} options;

/* ---- the sample ---- */

static size_t sample_size(const sa_run_job *j)
{
    const options *o = j->source;
    return sa_least((size_t)o->sample, j->items.count);
}

/* Items evenly over the input. */
static const sa_item *next_item(sa_run_job *j, size_t *index)
{
    size_t size = sample_size(j);
    if (j->next == size) {
        return NULL;
    }
    *index = (size_t)((double)j->next++ / (double)size * (double)j->items.count);
    return &j->items.items[*index];
}

static sa_status forget_line(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err)
{
    (void)j;
    (void)item;
    (void)line;
    (void)size;
    (void)err;
    return SA_OK;
}

static sa_status tell_reason(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err)
{
    (void)item;
    (void)err;
    sa_log_error(&j->cli->log, why);
    return SA_OK;
}

static bool is_interrupted(sa_run_job *j)
{
    (void)j;
    return sa_interrupt_seen();
}

/* ---- the answer ---- */

typedef struct {
    size_t items, sample;                               /* of the input, and of them those that ran */
    double steps;                                       /* of an item */
    double stages[SA_COST_STAGES], device, host, hands; /* seconds of an item */
    double hours;
    const char *bound;
} plan;

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static plan make_plan(const sa_run_job *j, const options *o)
{
    double ran = number_of(j->counters, "items") - number_of(j->counters, "failed");
    plan p = {.items = j->items.count, .sample = (size_t)ran, .bound = "host"};
    if (ran <= 0) {
        return p;
    }
    p.host = number_of(j->times, "host") / ran;
    double most = p.host;
    for (int i = 0; i < SA_COST_STAGES; i++) {
        const char *name = sa_cost_stage_name((sa_cost_stage)i);
        const json_t *stage = json_object_get(json_object_get(j->times, "stages"), name);
        p.stages[i] = number_of(stage, "modelled") / ran;
        p.device += p.stages[i];
        if (p.stages[i] > most) {
            most = p.stages[i];
            p.bound = name;
        }
    }
    p.steps = number_of(j->counters, "clicks") / ran;
    p.hands = number_of(j->times, "waited") / ran; /* read, and made steps, while nothing else was done */
    double each = p.device + p.host;
    if (p.hands > each) { /* they work beside the device, but are slower than it */
        each = p.hands;
        p.bound = "reading";
    }
    p.hours = each * (double)p.items / (double)o->gpus / 3600;
    return p;
}

static void print_json(const sa_run_job *j, const options *o, const plan *p)
{
    sa_runner_memory memory = sa_runner_get_memory(j->runner);
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_int(&w, "items", (int64_t)p->items);
    sa_json_put_int(&w, "sample", (int64_t)p->sample);
    sa_json_put_int(&w, "gpus", o->gpus);
    sa_json_put_string(&w, "costs", o->run.costs != NULL ? o->run.costs : "h100");
    sa_json_put_f64(&w, "hours", p->hours);
    sa_json_put_string(&w, "bound", p->bound);
    sa_json_put_f64(&w, "steps_per_item", p->steps);
    sa_json_key(&w, "seconds_per_item");
    sa_json_begin_object(&w);
    for (int i = 0; i < SA_COST_STAGES; i++) {
        sa_json_put_f64(&w, sa_cost_stage_name((sa_cost_stage)i), p->stages[i]);
    }
    sa_json_put_f64(&w, "host", p->host);
    sa_json_put_f64(&w, "reading", p->hands);
    sa_json_end_object(&w);
    sa_json_put_int(&w, "segmenter_bytes", (int64_t)memory.segmenter);
    sa_json_put_int(&w, "policy_bytes", (int64_t)memory.policy);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static void print_text(const sa_run_job *j, const options *o, const plan *p)
{
    sa_runner_memory memory = sa_runner_get_memory(j->runner);
    printf("%zu items on %lld GPU%s: about %.2f hours, by the cost model %s (a model, no measurement)\n",
           p->items, (long long)o->gpus, o->gpus == 1 ? "" : "s", p->hours,
           o->run.costs != NULL ? o->run.costs : "h100");
    printf("bound by %s; %.1f steps an item; from %zu items that were gone through\n", p->bound, p->steps,
           p->sample);
    printf("seconds an item:");
    for (int i = 0; i < SA_COST_STAGES; i++) {
        printf(" %s %.4f,", sa_cost_stage_name((sa_cost_stage)i), p->stages[i]);
    }
    printf(" host %.6f, host threads (pictures; beside it) %.4f\n", p->host, p->hands);
    printf("memory of a GPU: segmenter %.1f MB, policy %.1f MB, for batches of %lld\n",
           (double)memory.segmenter / 1e6, (double)memory.policy / 1e6, (long long)j->batch);
}

/* ---- the command ---- */

static sa_status check_options(const options *o, sa_error *err)
{
    if (o->run.dry_run || o->run.output != NULL || o->run.workers > 0 || o->run.queue != NULL ||
        o->run.shard != NULL) {
        return sa_fail(err, SA_BAD_USAGE, "plan",
                       "leave out --dry-run, --output, --workers, --queue and --shard",
                       "nothing is run, so these say nothing");
    }
    return SA_OK;
}

static sa_status run_plan(sa_run_job *j, options *o, sa_error *err)
{
    static const sa_run_rows rows = {next_item, forget_line, tell_reason, is_interrupted, NULL};
    j->rows = &rows;
    j->source = o;
    j->cli->common.device = "null";
    SA_TRY(check_options(o, err));
    sa_interrupt_install();
    SA_TRY(sa_run_read_inputs(j, err));
    SA_TRY(sa_run_open_device(j, err));
    SA_TRY(sa_run_open_models(j, err));
    SA_TRY(sa_run_models(j, err));
    plan p = make_plan(j, o);
    if (p.sample == 0) {
        return sa_fail(err, SA_BAD_INPUT, o->run.input, "see the messages above", "no item can be used");
    }
    if (j->cli->common.json) {
        print_json(j, o, &p);
    } else {
        print_text(j, o, &p);
    }
    return SA_OK;
}

int sa_command_plan(int argc, char **argv)
{
    static const sa_run_kind kind = {.command = "annotate", .estimates = true};
    options o = {.run = {.temperature = -1}};
    sa_option table[SA_RUN_OPTIONS + 2];
    sa_cli cli;
    sa_error err = {0};
    int exit_code;
    size_t count = sa_run_options_table(&o.run, &kind, table);
    table[count++] =
        (sa_option){"gpus", SA_OPTION_INTEGER, &o.gpus, "N", "GPUs that share the job", "1", 1, 1000000};
    table[count++] = (sa_option){
        "sample", SA_OPTION_INTEGER, &o.sample, "N", "items that are gone through", "512", 1, 1000000};
    const sa_syntax syntax = {
        .name = "plan",
        .summary = "Estimates how long a run of annotate would take on GPUs that need not be here.",
        .usage = "--agent DIR --input M [--gpus N] [--costs NAME|FILE] [OPTION]...",
        .example = "segagent plan --agent weights_tools/tiny/agent --input scenes/manifest.jsonl --gpus 8 "
                   "--costs segagent-qwen-h100 --batch 64 --search prm-greedy --candidates 3",
        .options = table,
        .count = count,
    };
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_run_job j = {.cli = &cli, .options = &o.run, .kind = &kind, .lock = PTHREAD_MUTEX_INITIALIZER};
    sa_status status = run_plan(&j, &o, &err);
    sa_run_close(&j);
    return sa_cli_end(&cli, status, &err);
}
