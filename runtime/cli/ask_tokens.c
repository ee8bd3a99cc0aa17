/* segagent ask --tokenize and --detokenize: a line out for each line in; only the tokenizer is opened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/ask.h"

static const size_t FILE_LIMIT = (size_t)1 << 30;

/* One line, its number for errors. */
typedef struct {
    const char *file;
    size_t number;
    const char *text;
    size_t size;
} line;

/* No special tokens: neither the tokenizer's own around it, nor what looks like one. */
static sa_status print_ids(const sa_tokenizer *tokenizer, const line *l, sa_error *err)
{
    sa_tokens tokens = {0};
    sa_status status = sa_tokenizer_encode(tokenizer, l->text, l->size, 0, &tokens, err);
    if (status == SA_OK) {
        sa_json_writer w = sa_json_writer_on(stdout);
        sa_json_begin_array(&w);
        for (size_t i = 0; i < tokens.count; i++) {
            sa_json_int(&w, tokens.ids[i]);
        }
        sa_json_end_array(&w);
        sa_json_end_line(&w);
    }
    sa_tokens_free(&tokens);
    return status;
}

static sa_status parse_ids(const line *l, sa_tokens *out, sa_error *err)
{
    char name[600];
    json_t *list;
    snprintf(name, sizeof name, "%.500s:%zu", l->file, l->number);
    SA_TRY(sa_json_parse(name, l->text, l->size, &list, err));
    bool good = json_is_array(list);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        good = json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= INT32_MAX;
        if (good) {
            sa_tokens_append(out, (int32_t)json_integer_value(id));
        }
    }
    json_decref(list);
    if (out->failed) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for its tokens");
    }
    return good ? SA_OK
                : sa_fail(err, SA_BAD_INPUT, name, "write a JSON list of token ids",
                          "the line is no list of token ids");
}

static sa_status print_text(const sa_tokenizer *tokenizer, const line *l, sa_error *err)
{
    sa_tokens tokens = {0};
    sa_text text = {0};
    sa_status status = parse_ids(l, &tokens, err);
    if (status == SA_OK) {
        status = sa_tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &text, err);
    }
    if (status == SA_OK) {
        fwrite(text.bytes != NULL ? text.bytes : "", 1, text.size, stdout);
        putchar('\n');
    }
    sa_text_free(&text);
    sa_tokens_free(&tokens);
    return status;
}

/* Blank lines count, too: each has its line of output. */
static sa_status print_lines(const sa_tokenizer *tokenizer, const char *file, const char *text, size_t size,
                             bool to_ids, sa_error *err)
{
    size_t number = 1;
    for (size_t at = 0; at < size; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        const line l = {file, number, text + at, end != NULL ? (size_t)(end - text) - at : size - at};
        SA_TRY(to_ids ? print_ids(tokenizer, &l, err) : print_text(tokenizer, &l, err));
        SA_TRY(sa_interrupt_check(err));
        at += l.size + 1;
    }
    return SA_OK;
}

sa_status sa_ask_run_tokens(const sa_ask_options *options, sa_error *err)
{
    bool to_ids = options->tokenize != NULL;
    const char *file = to_ids ? options->tokenize : options->detokenize;
    sa_tokenizer *tokenizer = NULL;
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_tokenizer_open(&tokenizer, options->model, err));
    sa_status status = sa_file_read(file, FILE_LIMIT, &bytes, &size, err);
    if (status == SA_OK) {
        status = print_lines(tokenizer, file, (const char *)bytes, size, to_ids, err);
        free(bytes);
    }
    sa_tokenizer_close(tokenizer);
    return status;
}
