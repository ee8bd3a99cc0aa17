/* Results scored against their truth, and metrics.json: what eval and every run of an agent do at the end. */
#ifndef SA_CLI_SCORE_H
#define SA_CLI_SCORE_H

#include "runtime/cli/visit.h"
#include "runtime/data/metrics.h"
#include "runtime/data/truth.h"

typedef struct {
    const sa_truths *truths;
    bool known_only; /* rows without a truth are passed over, not refused */
    sa_scores scores;
    sa_visit_counts counts; /* items in a directory's quarantine are failed ones */
} sa_scored;

/* A results file, or the directory of a run. sa_scores_free(&scored->scores) in every case. */
sa_status sa_cli_score_results(sa_cli *cli, const sa_truths *truths, bool known_only, const char *path,
                               sa_scored *scored, sa_error *err);

/* The figures that were made for `options`; sa_metrics_free. */
sa_status sa_cli_measure(const sa_scored *scored, const sa_metrics_options *options, sa_pool *pool,
                         sa_metrics *metrics, sa_error *err);

/* metrics.json in a run's directory. */
sa_status sa_cli_write_metrics(const char *directory, const sa_metrics *metrics, sa_error *err);

#endif
