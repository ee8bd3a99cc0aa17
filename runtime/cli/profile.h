/* What --profile tells: where a run's time went, how full batches were, and what was not computed twice. */
#ifndef SA_CLI_PROFILE_H
#define SA_CLI_PROFILE_H

#include <stdio.h>

#include "runtime/hlmat/runner.h"

/* `seconds`: of the whole run. */
void sa_cli_print_profile(FILE *stream, const sa_runner_counts *counts, double seconds);

/* Of the null device's clock, all stages. */
double sa_cli_modelled_seconds(const sa_runner_counts *counts);

#endif
