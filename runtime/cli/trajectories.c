/* segagent trajectories: the simulated annotator's clicks on known masks, to train a policy with. */
#include "runtime/cli/teach.h"

static sa_status cut(const sa_run_options *o, sa_result *result, sa_error *err)
{
    return sa_trajectory_cut(result, o->min_gain, err);
}

int sa_command_trajectories(int argc, char **argv)
{
    static const sa_run_kind kind = {
        .command = "trajectories", .needs_truth = true, .policy = "annotator", .edit = cut};
    sa_teach_options o = {.run = {.temperature = -1}, .rule = SA_LESSONS_EVERY};
    sa_option table[SA_RUN_OPTIONS + 8];
    sa_cli cli;
    int exit_code;
    size_t count = sa_run_options_table(&o.run, &kind, table);
    const sa_option more[] = {
        {"start", SA_OPTION_CHOICE, &o.run.start, "empty|box|clicks",
         "the mask to begin with: none, the segmenter's of the true box, or of 1 to 3 random clicks", "empty",
         0, 0},
        {"enough", SA_OPTION_REAL, &o.run.enough, "X", "no more clicks once the IoU is X", "0.98", 0, 1},
        {"min-gain", SA_OPTION_REAL, &o.run.min_gain, "X",
         "a trajectory ends before a click that gains less; one that gains nothing always ends it", "0", 0,
         1},
        {"merge", SA_OPTION_LIST, NULL, "FILE", "lessons.jsonl of another run, whose lessons are added", NULL,
         0, 0},
        {"chat", SA_OPTION_TEXT, &o.chat, "DIR",
         "write chat.jsonl and painted pictures, for trainers of LLaVA", NULL, 0, 0},
        {"segagent", SA_OPTION_TEXT, &o.segagent, "FILE", "write SegAgent's trajectory JSON", NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        table[count++] = more[i];
    }
    const sa_syntax syntax = {
        .name = "trajectories",
        .summary = "Makes training data: the simulated annotator clicks towards known masks.",
        .usage = "--agent DIR --input M --output DIR [OPTION]...",
        .example =
            "segagent trajectories --agent weights_tools/tiny/agent --input scenes/manifest.jsonl --output "
            "sft --steps 20 --chat sft/chat",
        .options = table,
        .count = count,
    };
    return sa_cli_start(&cli, &syntax, argc, argv, &exit_code) ? sa_teach(&cli, &o, &kind) : exit_code;
}
