/*
 * The tokenizer as a filter, for weights_tools/golden/compare_text.py: opens the directory that the argument
 * names, then answers each line of standard input with one line.
 *
 *   E FLAGS HEX      encode the bytes; answers the ids
 *   D SKIP ID...     decode; answers the text's bytes in hex
 *   S SKIP ID...     the same id by id, each piece in hex with a '|' behind it
 *   N                one more than the largest id
 *
 * What fails is answered by "error: " and the reason.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/text/tokenizer.h"

static void say_failure(const sa_error *err)
{
    char text[2048];
    printf("error: %s\n", sa_error_format(err, text, sizeof text));
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void encode(const sa_tokenizer *t, const char *line)
{
    char *hex = NULL;
    unsigned flags = (unsigned)strtoul(line, &hex, 10);
    hex += *hex == ' ';
    sa_text text = {0};
    sa_text_append(&text, "", 0);
    for (; hex[0] > ' ' && hex[1] > ' '; hex += 2) {
        char byte = (char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        sa_text_append(&text, &byte, 1);
    }
    sa_tokens ids = {0};
    sa_error err = {0};
    if (sa_tokenizer_encode(t, text.bytes, text.size, flags, &ids, &err) != SA_OK) {
        say_failure(&err);
    } else {
        for (size_t i = 0; i < ids.count; i++) {
            printf(i > 0 ? " %d" : "%d", (int)ids.ids[i]);
        }
        putchar('\n');
    }
    sa_tokens_free(&ids);
    sa_text_free(&text);
}

static void put_hex(const sa_text *text)
{
    for (size_t i = 0; i < text->size; i++) {
        printf("%02x", (unsigned char)text->bytes[i]);
    }
}

static sa_status decode_stream(const sa_tokenizer *t, const sa_tokens *ids, bool skip, sa_error *err)
{
    sa_detokenizer *stream = NULL;
    sa_text piece = {0};
    sa_status status = sa_detokenizer_open(&stream, t, skip, err);
    for (size_t i = 0; i <= ids->count && status == SA_OK; i++) {
        sa_text_clear(&piece);
        status = i < ids->count ? sa_detokenizer_push(stream, ids->ids[i], &piece, err)
                                : sa_detokenizer_finish(stream, &piece, err);
        put_hex(&piece);
        putchar('|');
    }
    sa_detokenizer_close(stream);
    sa_text_free(&piece);
    return status;
}

static void decode(const sa_tokenizer *t, const char *line, bool stream)
{
    char *at = NULL;
    bool skip = strtol(line, &at, 10) != 0;
    sa_tokens ids = {0};
    for (char *end = NULL;; at = end) {
        long id = strtol(at, &end, 10);
        if (end == at) {
            break;
        }
        sa_tokens_append(&ids, (int32_t)id);
    }
    sa_text text = {0};
    sa_error err = {0};
    sa_status status = stream ? decode_stream(t, &ids, skip, &err)
                              : sa_tokenizer_decode(t, ids.ids, ids.count, skip, &text, &err);
    if (status != SA_OK) {
        say_failure(&err);
    } else {
        put_hex(&text);
        putchar('\n');
    }
    sa_text_free(&text);
    sa_tokens_free(&ids);
}

int main(int count, char **arguments)
{
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    if (count != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", arguments[0]);
        return 2;
    }
    if (sa_tokenizer_open(&t, arguments[1], &err) != SA_OK) {
        say_failure(&err);
        return sa_status_exit_code(err.status);
    }
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        if (line[0] == 'E') {
            encode(t, line + 1);
        } else if (line[0] == 'N') {
            printf("%zu\n", sa_tokenizer_size(t));
        } else {
            decode(t, line + 1, line[0] == 'S');
        }
        fflush(stdout);
    }
    free(line);
    sa_tokenizer_close(t);
    return 0;
}
