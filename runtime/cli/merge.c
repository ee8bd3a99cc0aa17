/* segagent merge: the directories of the parts of a run (--shard i/n) become one. */
#include "runtime/data/merge.h"

#include <inttypes.h>
#include <stdio.h>

#include "runtime/cli/cli.h"

static void print_report(const sa_cli *cli, const char *output, const sa_merge_report *report)
{
    if (!cli->common.json) {
        printf("%zu results, %zu in quarantine, of %zu rows, in %s\n", report->results, report->quarantined,
               report->rows, output);
        return;
    }
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "output", output);
    sa_json_put_int(&w, "rows", report->rows);
    sa_json_put_int(&w, "results", report->results);
    sa_json_put_int(&w, "quarantined", report->quarantined);
    sa_json_put_int(&w, "duplicates", report->duplicates);
    sa_json_put_int(&w, "missing", report->missing);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

static sa_status merge(sa_cli *cli, const char *output, sa_merge_report *report, sa_error *err)
{
    if (output == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--output", "name a new directory", "missing");
    }
    SA_TRY(sa_merge(cli->arguments.positions, cli->arguments.position_count, output, report, err));
    print_report(cli, output, report);
    if (report->duplicates > 0) {
        sa_log_message(&cli->log, SA_LOG_INFO, "%zu rows were there more than once, with the same bytes",
                       report->duplicates);
    }
    if (report->missing > 0) {
        sa_log_message(&cli->log, SA_LOG_WARNING,
                       "%zu rows are missing: %s (finish those parts, and merge again)", report->missing,
                       report->lacks);
    }
    return SA_OK;
}

int sa_command_merge(int argc, char **argv)
{
    const char *output = NULL;
    const sa_option options[] = {
        {"output", SA_OPTION_TEXT, &output, "DIR", "where the whole goes: a new directory", NULL, 0, 0},
    };
    const sa_syntax syntax = {
        .name = "merge",
        .summary = "Joins the output directories of a run's parts (--shard i/n) to what one run would have "
                   "written. Exit code 1: rows are missing, and were left out.",
        .usage = "DIR... --output DIR",
        .example = "segagent merge part-0 part-1 part-2 --output whole",
        .options = options,
        .count = sizeof options / sizeof options[0],
        .least_positions = 1,
        .most_positions = 1000000,
    };
    sa_cli cli;
    sa_error err = {0};
    sa_merge_report report = {0};
    int exit_code = 0;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_status status = merge(&cli, output, &report, &err);
    return sa_cli_end_items(&cli, status, &err, report.missing);
}
