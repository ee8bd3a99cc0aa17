/*
 * What trajectories and star share: a run whose results become lessons.
 *
 *   run (run_items.h) -> results.jsonl -> lessons.jsonl (with those of earlier runs) -> chat.jsonl, images/
 *                                      -> SegAgent's trajectory JSON
 */
#ifndef SA_CLI_TEACH_H
#define SA_CLI_TEACH_H

#include "runtime/cli/run_items.h"
#include "runtime/hlmat/lesson.h"

typedef struct {
    sa_run_options run;
    const char *chat, *segagent; /* a directory, a file; or NULL */
    sa_lesson_rule rule;
    double enough; /* of SA_LESSONS_STAR */
    /* Files of lessons that are merged with the new ones: --merge in cli->arguments. */
} sa_teach_options;

/* Runs the command and says what came of it; its exit code. */
int sa_teach(sa_cli *cli, sa_teach_options *options, const sa_run_kind *kind);

#endif
