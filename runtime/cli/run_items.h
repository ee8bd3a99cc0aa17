/*
 * What annotate, refine and filter share: a run of an agent over all items of an input.
 *
 *   options, agent.json, input -> sa_run_items -> output directory (runtime/data/output.h), a summary
 */
#ifndef SA_CLI_RUN_ITEMS_H
#define SA_CLI_RUN_ITEMS_H

#include "runtime/cli/cli.h"
#include "runtime/data/output.h"
#include "runtime/data/truth.h"
#include "runtime/hlmat/runner.h"

typedef struct {
    const char *agent, *input, *output;
    const char *images, *instances, *split, *shard;
    const char *form;                                  /* --grammar */
    const char *search, *score, *policy;               /* NULL: the agent's; "expected"; "model" */
    int64_t steps, candidates, beam, budget, patience; /* 0: the agent's, or the search's own */
    int64_t limit, batch, in_flight, kv_pages, max_pixels, max_side;
    double temperature, exploration, seconds; /* temperature < 0: the agent's */
    int64_t workers;                          /* 0: one for each device */
    double worker_timeout;                    /* seconds; 0: 300 */
    const char *queue;                        /* redis_url.h; NULL: none */
    bool trace, dry_run, profile;
    size_t sharers;        /* processes that share the machine's memory; 0: one */
    const char *costs;     /* of the null device: a GPU's name, a preset or a file */
    const char *precision; /* as used, whatever --precision auto meant; filled in by the run */
    /* Of commands for which the truth is known: */
    const char *start;       /* "empty", "box", "clicks"; NULL: empty */
    double enough, min_gain; /* trajectories end at this IoU, and before a click that gains less */
} sa_run_options;

/* What differs between the commands. */
typedef struct {
    const char *command; /* "annotate" */
    bool uses_mask;      /* starts from the items' masks */
    bool judges_only;    /* no clicks: the given mask's score is the result */
    bool needs_truth;    /* items have to have it */
    bool estimates;      /* nothing is written */
    const char *policy;  /* if it is not to be chosen; goes with one search, greedy, scored by the truth */
    /* Before a row is written; or NULL. */
    sa_status (*edit)(const sa_run_options *options, sa_result *result, sa_error *err);
} sa_run_kind;

/* The options that all of them have, for a command's table; the first `count` places of it. */
enum { SA_RUN_OPTIONS = 32 };
size_t sa_run_options_table(sa_run_options *o, const sa_run_kind *kind, sa_option table[SA_RUN_OPTIONS]);

typedef struct {
    size_t items, quarantined; /* of this shard, earlier runs in the same directory included */
    size_t skipped;            /* rows that could not be scored */
} sa_run_summary;

/*
 * Runs it, or goes on with it; metrics.json is left where true masks are known. *truths, closed by the caller
 * in every case, are then those of the input; NULL: not wanted.
 */
sa_status sa_run_items(sa_cli *cli, sa_run_options *options, const sa_run_kind *kind, sa_run_summary *summary,
                       sa_truths *truths, sa_error *err);

#endif
