/*
 * segagent ask, the parts that its modes share: one question from the command line (ask.c), rows of a JSONL
 * file (ask_rows.c), and text to tokens and back (ask_tokens.c).
 */
#ifndef SA_CLI_ASK_H
#define SA_CLI_ASK_H

#include "runtime/base/json.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/limits.h"
#include "runtime/engine/chat.h"

typedef struct {
    const char *model, *text, *system, *template, *fit;
    const char *prompts, *tokens_in, *tokenize, *detokenize;
    int64_t max_tokens, context, batch, top_k;
    double temperature, top_p, min_p;
    sa_limit_options limits; /* of pictures */
} sa_ask_options;

/* An open device with an open model on it, and how answers are made. */
typedef struct {
    sa_device *device;
    sa_chat *chat;
    sa_dtype precision;
    const char **stops; /* of the template and of the command line */
    sa_generate_options options;
} sa_ask_engine;

/* Precision, template and sampling come from the command line; batch and pictures are the caller's. */
sa_status sa_ask_engine_open(sa_ask_engine *engine, const sa_cli *cli, const sa_ask_options *options,
                             const sa_chat_options *wanted, sa_error *err);
void sa_ask_engine_close(sa_ask_engine *engine);

/* `interrupted` of a sa_generate_watcher: Ctrl-C was pressed. */
bool sa_ask_interrupted(void *context);

/* The tokens of one question; `system` and `text` may be NULL. */
sa_status sa_ask_write(const sa_ask_engine *engine, const char *system, const char *text, size_t images,
                       sa_tokens *out, sa_error *err);

/* What one JSON object says (INTERFACES.md, "segagent ask --json"). */
void sa_ask_write_result(sa_json_writer *w, const sa_ask_engine *engine, const sa_tokens *prompt,
                         const sa_generate_answer *answer, double vision_seconds);

/* The --prompts mode. *failed: rows that got an error object. */
sa_status sa_ask_run_rows(sa_cli *cli, const sa_ask_options *options, size_t *failed, sa_error *err);

/* The --tokenize and --detokenize modes: a line out for each line in. */
sa_status sa_ask_run_tokens(const sa_ask_options *options, sa_error *err);

#endif
