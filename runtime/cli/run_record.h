/* What run.json tells of a run: everything that its results depend on, and what it took. */
#ifndef SA_CLI_RUN_RECORD_H
#define SA_CLI_RUN_RECORD_H

#include "runtime/cli/run_items.h"

/* "version", "command", "config", "agent", "input", "seed", "device"; the caller calls json_decref. Without
 * `models`, of the agent's files agent.json alone: they may be large. */
sa_status sa_run_record(json_t **run, const sa_cli *cli, const sa_run_options *options,
                        const sa_run_kind *kind, const sa_agent *agent, const sa_items *items,
                        const char *device, bool models, sa_error *err);

/* NULL: no memory. */
json_t *sa_run_times(const sa_runner_counts *counts, double seconds);
json_t *sa_run_counters(const sa_runner_counts *counts);

#endif
