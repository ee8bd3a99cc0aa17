/* segagent star: a round of StaR or StaR+, in which a policy learns from its own trajectories (HLMAT.md). */
#include <string.h>

#include "runtime/cli/teach.h"

int sa_command_star(int argc, char **argv)
{
    static const sa_run_kind kind = {.command = "star", .needs_truth = true, .policy = "model"};
    sa_teach_options o = {.run = {.temperature = -1}};
    const char *rule = NULL;
    sa_option table[SA_RUN_OPTIONS + 8];
    sa_cli cli;
    int exit_code;
    size_t count = sa_run_options_table(&o.run, &kind, table);
    const sa_option more[] = {
        {"rule", SA_OPTION_CHOICE, &rule, "plus|plain",
         "plus: each click is kept if the IoU rose, else the simulated annotator's takes its place; plain: "
         "the "
         "clicks of trajectories that reach --enough",
         "plus", 0, 0},
        {"enough", SA_OPTION_REAL, &o.enough, "X", "the IoU that a plain trajectory has to reach", "0.8", 0,
         1},
        {"start", SA_OPTION_CHOICE, &o.run.start, "empty|box|clicks",
         "the mask to begin with: none, the segmenter's of the true box, or of 1 to 3 random clicks", "empty",
         0, 0},
        {"merge", SA_OPTION_LIST, NULL, "FILE",
         "lessons.jsonl of another run (of `segagent trajectories`, say), whose lessons are added", NULL, 0,
         0},
        {"chat", SA_OPTION_TEXT, &o.chat, "DIR",
         "write chat.jsonl and painted pictures, for trainers of LLaVA", NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        table[count++] = more[i];
    }
    const sa_syntax syntax = {
        .name = "star",
        .summary = "Lets a policy learn from its own trajectories: one round of StaR or StaR+.",
        .usage = "--agent DIR --input M --output DIR [OPTION]...",
        .example =
            "segagent star --agent weights_tools/tiny/agent --input train.jsonl --output round1 --merge "
            "sft/lessons.jsonl",
        .options = table,
        .count = count,
    };
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    o.rule = strcmp(rule, "plain") == 0 ? SA_LESSONS_STAR : SA_LESSONS_PLUS;
    return sa_teach(&cli, &o, &kind);
}
