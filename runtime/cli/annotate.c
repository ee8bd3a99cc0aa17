/* segagent annotate and refine: pictures and phrases to masks, from nothing or from given ones. */
#include <stdio.h>

#include "runtime/cli/run_items.h"

static void print_summary(const sa_cli *cli, const sa_run_options *o, const sa_run_summary *s)
{
    if (o->dry_run) {
        return;
    }
    if (cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_object(&w);
        if (o->output != NULL) {
            sa_json_put_string(&w, "output", o->output);
        }
        sa_json_put_int(&w, "items", (int64_t)s->items);
        sa_json_put_int(&w, "quarantined", (int64_t)s->quarantined);
        sa_json_end_object(&w);
        sa_json_end_line(&w);
    } else if (o->output == NULL) {
        printf("%zu items computed for the queue\n", s->items);
    } else {
        printf("%zu items, %zu of them in quarantine: %s\n", s->items, s->quarantined, o->output);
    }
}

static int run_command(const sa_run_kind *kind, const sa_syntax *words, int argc, char **argv)
{
    sa_run_options o = {.temperature = -1};
    sa_run_summary summary;
    sa_option table[SA_RUN_OPTIONS];
    sa_syntax syntax = *words;
    sa_error err = {0};
    sa_cli cli;
    int exit_code;
    syntax.count = sa_run_options_table(&o, kind, table);
    syntax.options = table;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    sa_status status = sa_run_items(&cli, &o, kind, &summary, NULL, &err);
    if (status == SA_OK) {
        print_summary(&cli, &o, &summary);
    }
    return sa_cli_end_items(&cli, status, &err, summary.quarantined + summary.skipped);
}

int sa_command_annotate(int argc, char **argv)
{
    static const sa_run_kind kind = {.command = "annotate"};
    static const sa_syntax words = {
        .name = "annotate",
        .summary = "Lets an agent segment what phrases describe, click by click.",
        .usage = "--agent DIR --input M --output DIR [OPTION]...",
        .example =
            "segagent annotate --agent weights_tools/tiny/agent --input scenes/manifest.jsonl --output run "
            "--search prm-greedy --candidates 3",
    };
    return run_command(&kind, &words, argc, argv);
}

int sa_command_refine(int argc, char **argv)
{
    static const sa_run_kind kind = {.command = "refine", .uses_mask = true};
    static const sa_syntax words = {
        .name = "refine",
        .summary = "Lets an agent correct given masks, click by click.",
        .usage = "--agent DIR --input M --output DIR [OPTION]...",
        .example = "segagent refine --agent weights_tools/tiny/agent --input coarse.jsonl --output run",
    };
    return run_command(&kind, &words, argc, argv);
}
