/* What eval and export share: going through the rows of a results file. */
#ifndef SA_CLI_VISIT_H
#define SA_CLI_VISIT_H

#include "runtime/cli/cli.h"
#include "runtime/data/result.h"

typedef struct {
    size_t used;    /* rows that the visitor took */
    size_t failed;  /* rows of items that have no result: not shown to the visitor */
    size_t skipped; /* rows that are none, and those that the visitor called SA_BAD_INPUT */
} sa_visit_counts;

/* `name` is what errors call the row. */
typedef sa_status sa_visit_row(void *context, const sa_result *result, const char *name, sa_error *err);

/*
 * Shows every result to the visitor, in order. A row that cannot be used does not end the work: it is told
 * (the first ten of them) and counted. SA_BAD_INPUT at the end if none could be used. `what` names the job in
 * progress lines.
 */
sa_status sa_cli_visit_results(sa_cli *cli, const char *what, const char *path, sa_visit_row *visit,
                               void *context, sa_visit_counts *counts, sa_error *err);

#endif
