/*
 * segagent ask: a text, and pictures for a model that sees, in; what a language model says to it, out.
 *
 *   --text, --image -> sa_chat_write (template, tokenizer) -> sa_chat_answer -> terminal, or JSON
 */
#include "runtime/cli/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"

enum { TOKENS_FILE_LIMIT = 64 << 20, MOST_IMAGES = 64 };

/* ---- what the modes share ---- */

/* The template's stop texts, then those of --stop; the list ends with NULL. */
static sa_status list_stops(sa_ask_engine *engine, const sa_cli *cli, sa_error *err)
{
    const char *const *own = sa_template_stops(sa_chat_template(engine->chat));
    size_t count = 0, room = cli->arguments.use_count + 1;
    while (own[count] != NULL) {
        count++;
    }
    engine->stops = calloc(count + room, sizeof *engine->stops);
    if (engine->stops == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for stop texts");
    }
    memcpy(engine->stops, own, count * sizeof *own);
    for (size_t i = 0; i < cli->arguments.use_count; i++) {
        if (strcmp(cli->arguments.uses[i].name, "stop") == 0) {
            engine->stops[count++] = cli->arguments.uses[i].value;
        }
    }
    return SA_OK;
}

static sa_status open_chat(sa_ask_engine *engine, const sa_cli *cli, const char *model,
                           const sa_chat_options *wanted, sa_error *err)
{
    sa_chat_options options = *wanted;
    SA_TRY(sa_cli_choose_precision(cli, engine->device, &engine->precision, err));
    options.precision = engine->precision;
    return sa_chat_open(&engine->chat, engine->device, model, &options, err);
}

sa_status sa_ask_engine_open(sa_ask_engine *engine, const sa_cli *cli, const sa_ask_options *o,
                             const sa_chat_options *wanted, sa_error *err)
{
    sa_chat_options options = *wanted;
    options.template = o->template;
    options.context = (size_t)o->context;
    options.fit = strcmp(o->fit, "pad") == 0    ? SA_LLAVA_FIT_PAD
                  : strcmp(o->fit, "crop") == 0 ? SA_LLAVA_FIT_CROP
                                                : SA_LLAVA_FIT_AS_CONFIGURED;
    *engine = (sa_ask_engine){0};
    SA_TRY(sa_cli_open_device(cli, &engine->device, err));
    sa_status status = open_chat(engine, cli, o->model, &options, err);
    /* a GPU that auto chose and that is too small: the CPU has more memory, if less speed */
    if (status != SA_OK && sa_cli_falls_back(cli, &engine->device, err)) {
        status = open_chat(engine, cli, o->model, &options, err);
    }
    SA_TRY(status);
    SA_TRY(list_stops(engine, cli, err));
    engine->options = (sa_generate_options){.temperature = (float)o->temperature,
                                            .top_p = (float)o->top_p,
                                            .min_p = (float)o->min_p,
                                            .top_k = (uint32_t)o->top_k,
                                            .max_tokens = (size_t)o->max_tokens,
                                            .stops = engine->stops,
                                            .seed = (uint64_t)cli->common.seed};
    return SA_OK;
}

bool sa_ask_interrupted(void *context)
{
    (void)context;
    return sa_interrupt_seen();
}

void sa_ask_engine_close(sa_ask_engine *engine)
{
    free(engine->stops);
    sa_chat_close(engine->chat);
    if (engine->device != NULL) {
        sa_device_close(engine->device);
    }
    *engine = (sa_ask_engine){0};
}

sa_status sa_ask_write(const sa_ask_engine *engine, const char *system, const char *text, size_t images,
                       sa_tokens *out, sa_error *err)
{
    sa_message messages[2];
    size_t count = 0;
    if (system != NULL) {
        messages[count++] = (sa_message){.role = SA_ROLE_SYSTEM, .text = system};
    }
    messages[count++] =
        (sa_message){.role = SA_ROLE_USER, .text = text != NULL ? text : "", .images = images};
    return sa_chat_write(engine->chat, messages, count, out, err);
}

static void write_ids(sa_json_writer *w, const char *key, const sa_tokens *tokens)
{
    sa_json_key(w, key);
    sa_json_begin_array(w);
    for (size_t i = 0; i < tokens->count; i++) {
        sa_json_int(w, tokens->ids[i]);
    }
    sa_json_end_array(w);
}

static void write_seconds(sa_json_writer *w, double vision, const sa_generate_answer *answer)
{
    sa_json_key(w, "seconds");
    sa_json_begin_object(w);
    sa_json_key(w, "vision");
    sa_json_f64(w, vision);
    sa_json_key(w, "prefill");
    sa_json_f64(w, answer->prefill);
    sa_json_key(w, "decode");
    sa_json_f64(w, answer->decode);
    sa_json_end_object(w);
}

void sa_ask_write_result(sa_json_writer *w, const sa_ask_engine *engine, const sa_tokens *prompt,
                         const sa_generate_answer *answer, double vision_seconds)
{
    static const char *const reasons[] = {"eos", "stop", "length"};
    sa_json_begin_object(w);
    write_ids(w, "prompt_tokens", prompt);
    write_ids(w, "tokens", &answer->tokens);
    sa_json_key(w, "text");
    sa_json_text(w, answer->text.bytes, answer->text.size);
    sa_json_key(w, "logprobs");
    sa_json_begin_array(w);
    for (size_t i = 0; i < answer->tokens.count; i++) {
        sa_json_f32(w, answer->logprobs[i]);
    }
    sa_json_end_array(w);
    sa_json_key(w, "stop");
    sa_json_string(w, reasons[answer->stop]);
    write_seconds(w, vision_seconds, answer);
    sa_json_key(w, "device");
    sa_json_string(w, sa_device_name(engine->device));
    sa_json_key(w, "precision");
    sa_json_string(w, sa_dtype_name(engine->precision));
    sa_json_end_object(w);
    sa_json_end_line(w);
}

/* ---- one question ---- */

typedef struct {
    sa_cli *cli;
    const sa_ask_options *options;
    sa_image images[MOST_IMAGES];
    const sa_image *pictures[MOST_IMAGES];
    size_t image_count;
    sa_ask_engine engine;
    sa_tokens prompt;
    sa_generate_answer answer;
    double vision;
} question;

static sa_status read_images(question *q, sa_error *err)
{
    const sa_image_limits limits = sa_limit_options_read(&q->options->limits);
    for (size_t i = 0; i < q->cli->arguments.use_count; i++) {
        const sa_option_use *use = &q->cli->arguments.uses[i];
        if (strcmp(use->name, "image") != 0) {
            continue;
        }
        if (q->image_count == MOST_IMAGES) {
            return sa_fail(err, SA_BAD_USAGE, "--image", "ask about fewer pictures at a time",
                           "more than %d pictures", (int)MOST_IMAGES);
        }
        SA_TRY(sa_image_read(use->value, &limits, &q->images[q->image_count], err));
        q->pictures[q->image_count] = &q->images[q->image_count];
        q->image_count++;
    }
    return SA_OK;
}

/* Only what a picture's marker and ids can be; whether the model knows an id, it says itself. */
static sa_status take_ids(const char *file, const json_t *list, sa_tokens *out, sa_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_is_integer(id) ? json_integer_value(id) : INT32_MIN;
        if (value <= INT32_MIN || value > INT32_MAX || (value < 0 && value != SA_LLAVA_PICTURE)) {
            return sa_fail(err, SA_BAD_INPUT, file, "write a JSON list of token ids, -200 for a picture",
                           "entry %zu is no token id", i);
        }
        sa_tokens_append(out, (int32_t)value);
    }
    return out->failed ? sa_fail(err, SA_NO_ROOM, file, NULL, "no memory for its tokens") : SA_OK;
}

static sa_status read_tokens(const char *file, sa_tokens *out, sa_error *err)
{
    json_t *list;
    SA_TRY(sa_json_read(file, TOKENS_FILE_LIMIT, &list, err));
    sa_status status = json_is_array(list) ? take_ids(file, list, out, err)
                                           : sa_fail(err, SA_BAD_INPUT, file,
                                                     "write a JSON list of token ids", "it is no list");
    json_decref(list);
    return status;
}

/* Memory for just these pictures. */
static sa_chat_options chat_options(const question *q)
{
    sa_chat_options o = sa_chat_default_options();
    o.max_pixels = o.max_side = 1;
    for (size_t i = 0; i < q->image_count; i++) {
        const sa_image *image = q->pictures[i];
        size_t pixels = image->height * image->width;
        size_t side = image->height > image->width ? image->height : image->width;
        o.max_pixels = pixels > o.max_pixels ? pixels : o.max_pixels;
        o.max_side = side > o.max_side ? side : o.max_side;
    }
    o.pictures = q->image_count > 0 ? q->image_count : 1;
    return o;
}

static void print_text(void *context, size_t index, const char *bytes, size_t size)
{
    (void)context;
    (void)index;
    fwrite(bytes, 1, size, stdout);
    fflush(stdout); /* token by token, as it comes */
}

static sa_status ask_question(question *q, sa_error *err)
{
    const sa_ask_options *o = q->options;
    SA_TRY(read_images(q, err));
    const sa_chat_options wanted = chat_options(q);
    SA_TRY(sa_ask_engine_open(&q->engine, q->cli, o, &wanted, err));
    SA_TRY(o->tokens_in != NULL
               ? read_tokens(o->tokens_in, &q->prompt, err)
               : sa_ask_write(&q->engine, o->system, o->text, q->image_count, &q->prompt, err));
    SA_TRY(sa_interrupt_check(err));
    const sa_chat_request request = {.tokens = q->prompt.ids,
                                     .count = q->prompt.count,
                                     .pictures = q->pictures,
                                     .picture_count = q->image_count};
    const sa_generate_watcher watcher = {.text = q->cli->common.json ? NULL : print_text,
                                         .interrupted = sa_ask_interrupted};
    sa_status status = sa_chat_answer(q->engine.chat, &request, 1, &q->engine.options, &watcher, &q->answer,
                                      &q->vision, err);
    if (!q->cli->common.json && q->answer.tokens.count > 0) { /* also behind an answer that broke off */
        printf("\n");
    }
    SA_TRY(status);
    if (q->answer.status != SA_OK) {
        *err = q->answer.error;
        return q->answer.status;
    }
    if (q->cli->common.json) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_ask_write_result(&w, &q->engine, &q->prompt, &q->answer, q->vision);
    }
    return SA_OK;
}

static sa_status run_question(sa_cli *cli, const sa_ask_options *options, sa_error *err)
{
    question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a question");
    }
    q->cli = cli;
    q->options = options;
    sa_status status = ask_question(q, err);
    sa_generate_answer_free(&q->answer);
    sa_tokens_free(&q->prompt);
    sa_ask_engine_close(&q->engine);
    for (size_t i = 0; i < q->image_count; i++) {
        sa_image_free(&q->images[i]);
    }
    free(q);
    return status;
}

/* ---- the command ---- */

/* What the op sample takes, as the f32 that it gets (kernels.h). */
static sa_status check_sampling(const sa_ask_options *o, sa_error *err)
{
    float temperature = (float)o->temperature;
    if (temperature != 0.0f && temperature < SA_SAMPLE_COLDEST) {
        return sa_fail(err, SA_BAD_USAGE, "--temperature", "use 0 for the likeliest token",
                       "%g is too near to 0", o->temperature);
    }
    if (!((float)o->top_p > 0.0f)) {
        return sa_fail(err, SA_BAD_USAGE, "--top-p", "use --temperature 0 for the likeliest token",
                       "%g leaves no token to draw", o->top_p);
    }
    return SA_OK;
}

/* Exactly one of the modes, and nothing that belongs to another. */
static sa_status check_options(const sa_cli *cli, const sa_ask_options *o, sa_error *err)
{
    const char *const modes[] = {o->text, o->prompts, o->tokens_in, o->tokenize, o->detokenize};
    size_t chosen = 0;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        chosen += modes[i] != NULL;
    }
    if (o->model == NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--model", "give the directory of a language model", "missing");
    }
    if (chosen != 1) {
        return sa_fail(err, SA_BAD_USAGE, "--text",
                       "give one of --text, --prompts, --tokens-in, --tokenize and --detokenize", "%s",
                       chosen == 0 ? "no question" : "more than one kind of question");
    }
    if (o->text == NULL && o->system != NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--system", "rows have \"system\"", "goes with --text only");
    }
    for (size_t i = 0; i < cli->arguments.use_count; i++) {
        bool image = strcmp(cli->arguments.uses[i].name, "image") == 0;
        if (image && o->text == NULL && o->tokens_in == NULL) {
            return sa_fail(err, SA_BAD_USAGE, "--image", "rows have \"image\"",
                           "goes with --text and --tokens-in only");
        }
    }
    return check_sampling(o, err);
}

static int run_command(sa_cli *cli, const sa_ask_options *options)
{
    sa_error err = {0};
    size_t failed = 0;
    sa_interrupt_install();
    sa_status status = check_options(cli, options, &err);
    if (status == SA_OK && (options->tokenize != NULL || options->detokenize != NULL)) {
        status = sa_ask_run_tokens(options, &err);
    } else if (status == SA_OK && options->prompts != NULL) {
        status = sa_ask_run_rows(cli, options, &failed, &err);
    } else if (status == SA_OK) {
        status = run_question(cli, options, &err);
    }
    return sa_cli_end_items(cli, status, &err, failed);
}

int sa_command_ask(int argc, char **argv)
{
    sa_ask_options o = {0};
    sa_limit_options_make(&o.limits);
    const sa_option table[] = {
        {"model", SA_OPTION_TEXT, &o.model, "DIR",
         "the language model: a Hugging Face directory of the LLaMA family or of LLaVA", NULL, 0, 0},
        {"text", SA_OPTION_TEXT, &o.text, "TEXT", "the question", NULL, 0, 0},
        {"image", SA_OPTION_LIST, NULL, "FILE",
         "a picture that goes with it, where the text has the template's image marker, or before it", NULL, 0,
         0},
        {"system", SA_OPTION_TEXT, &o.system, "TEXT", "the system message, in place of the template's", NULL,
         0, 0},
        {"template", SA_OPTION_TEXT, &o.template, "NAME|FILE",
         "how a conversation is written: plain, llava_v1, chatml, qwen_vl_chat, qwen2_vl, or a JSON file; "
         "without it what suits the model",
         NULL, 0, 0},
        {"prompts", SA_OPTION_TEXT, &o.prompts, "FILE",
         "many questions: rows {\"text\",\"image\"?: a path or a list of them,\"system\"?}, paths relative "
         "to the file; one JSON object a row comes out, in the same order",
         NULL, 0, 0},
        {"tokens-in", SA_OPTION_TEXT, &o.tokens_in, "FILE",
         "the question as a JSON list of token ids, -200 where a picture goes", NULL, 0, 0},
        {"tokenize", SA_OPTION_TEXT, &o.tokenize, "FILE",
         "print the token ids of each line; no weights needed", NULL, 0, 0},
        {"detokenize", SA_OPTION_TEXT, &o.detokenize, "FILE",
         "print the text of each line, a JSON list of token ids; no weights needed", NULL, 0, 0},
        {"max-tokens", SA_OPTION_INTEGER, &o.max_tokens, "N", "most tokens of an answer", "512", 1, 1 << 20},
        {"context", SA_OPTION_INTEGER, &o.context, "N",
         "most tokens of question and answer; 0: what the model was made for, 4096 at most", "0", 0, 1 << 20},
        {"batch", SA_OPTION_INTEGER, &o.batch, "N", "questions answered at a time with --prompts", "16", 1,
         1024},
        {"temperature", SA_OPTION_REAL, &o.temperature, "X", "0 takes the likeliest token", "0", 0, 100},
        {"top-k", SA_OPTION_INTEGER, &o.top_k, "N", "draw from the N likeliest tokens; 0: from all", "0", 0,
         INT32_MAX},
        {"top-p", SA_OPTION_REAL, &o.top_p, "X", "draw from the likeliest that make up X together", "1", 0,
         1},
        {"min-p", SA_OPTION_REAL, &o.min_p, "X",
         "draw from those at least X times as likely as the likeliest", "0", 0, 1},
        {"stop", SA_OPTION_LIST, NULL, "TEXT", "a text that ends the answer", NULL, 0, 0},
        {"fit", SA_OPTION_CHOICE, &o.fit, "auto|pad|crop",
         "how a picture becomes square; auto: as the model's files say", "auto", 0, 0},
        o.limits.row[0],
        o.limits.row[1],
        o.limits.row[2],
        o.limits.row[3],
    };
    const sa_syntax syntax = {
        .name = "ask",
        .summary = "Asks a language model, about pictures too if it sees.",
        .usage = "--model DIR (--text TEXT [--image FILE]... | --prompts FILE.jsonl) [OPTION]...",
        .example = "segagent ask --model llava-1.5-7b-hf --image dog.jpg --text \"What is the dog doing?\"",
        .options = table,
        .count = sizeof table / sizeof table[0],
    };
    sa_cli cli;
    int exit_code;
    return sa_cli_start(&cli, &syntax, argc, argv, &exit_code) ? run_command(&cli, &o) : exit_code;
}
