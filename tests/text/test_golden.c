/* Tokenizers of every kind give what the libraries give: tests/golden/text, made by make_text.py. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/text/tokenizer.h"
#include "tests/check.h"

static const char GOLDEN[] = "tests/golden/text";

static sa_text from_hex(const char *hex)
{
    sa_text text = {0};
    sa_text_append(&text, "", 0);
    for (; hex[0] != '\0'; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};
        char byte = (char)strtoul(pair, NULL, 16);
        sa_text_append(&text, &byte, 1);
    }
    return text;
}

static sa_tokens from_json(const json_t *list)
{
    sa_tokens tokens = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        sa_tokens_append(&tokens, (int32_t)json_integer_value(json_array_get(list, i)));
    }
    return tokens;
}

static void print_tokens(const char *label, const sa_tokens *tokens)
{
    print_error("%s:", label);
    for (size_t i = 0; i < tokens->count; i++) {
        print_error(" %d", (int)tokens->ids[i]);
    }
    print_error("\n");
}

static bool check_encode(const sa_tokenizer *t, const char *kind, const json_t *row)
{
    sa_text text = from_hex(json_string_value(json_array_get(row, 0)));
    unsigned flags = (unsigned)json_integer_value(json_array_get(row, 1));
    sa_tokens want = from_json(json_array_get(row, 2));
    sa_tokens got = {0};
    sa_error err;
    assert_int_equal(sa_tokenizer_encode(t, text.bytes, text.size, flags, &got, &err), SA_OK);
    bool same = got.count == want.count &&
                (got.count == 0 || memcmp(got.ids, want.ids, got.count * sizeof *got.ids) == 0);
    if (!same) {
        print_error("%s: encoding \"%s\", flags %u\n", kind, text.bytes, flags);
        print_tokens("want", &want);
        print_tokens("got", &got);
    }
    sa_text_free(&text);
    sa_tokens_free(&want);
    sa_tokens_free(&got);
    return same;
}

/* What a stream gives, id by id; every piece of it must be whole UTF-8, so that a repair changes nothing. */
static void decode_stream(const sa_tokenizer *t, const sa_tokens *ids, bool skip, sa_text *out)
{
    sa_detokenizer *stream = NULL;
    sa_error err;
    assert_int_equal(sa_detokenizer_open(&stream, t, skip, &err), SA_OK);
    for (size_t i = 0; i <= ids->count; i++) {
        sa_text piece = {0};
        sa_text repaired = {0};
        assert_int_equal(i < ids->count ? sa_detokenizer_push(stream, ids->ids[i], &piece, &err)
                                        : sa_detokenizer_finish(stream, &piece, &err),
                         SA_OK);
        sa_text_append_repaired(&repaired, piece.bytes, piece.size);
        assert_int_equal(repaired.size, piece.size);
        assert_true(piece.size == 0 || memcmp(repaired.bytes, piece.bytes, piece.size) == 0);
        sa_text_append(out, piece.bytes, piece.size);
        sa_text_free(&piece);
        sa_text_free(&repaired);
    }
    sa_detokenizer_close(stream);
}

static bool check_decode(const sa_tokenizer *t, const char *kind, const json_t *row)
{
    sa_tokens ids = from_json(json_array_get(row, 0));
    bool skip = json_integer_value(json_array_get(row, 1)) != 0;
    sa_text want = from_hex(json_string_value(json_array_get(row, 2)));
    sa_text got = {0};
    sa_text streamed = {0};
    sa_error err;
    assert_int_equal(sa_tokenizer_decode(t, ids.ids, ids.count, skip, &got, &err), SA_OK);
    decode_stream(t, &ids, skip, &streamed);
    bool same = got.size == want.size && memcmp(got.bytes, want.bytes, want.size) == 0 &&
                streamed.size == want.size && memcmp(streamed.bytes, want.bytes, want.size) == 0;
    if (!same) {
        print_tokens(kind, &ids);
        print_error("want \"%s\"\ngot \"%s\"\nstreamed \"%s\"\n", want.bytes, got.bytes, streamed.bytes);
    }
    sa_tokens_free(&ids);
    sa_text_free(&want);
    sa_text_free(&got);
    sa_text_free(&streamed);
    return same;
}

typedef bool (*row_check)(const sa_tokenizer *t, const char *kind, const json_t *row);

static size_t count_failures(const sa_tokenizer *t, const char *kind, const json_t *rows, row_check check)
{
    size_t failures = 0;
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        failures += !check(t, kind, json_array_get(rows, i));
    }
    return failures;
}

static size_t check_kind(const char *kind)
{
    char directory[256];
    char path[300];
    json_t *cases = NULL;
    sa_tokenizer *t = NULL;
    sa_error err;
    snprintf(directory, sizeof directory, "%s/%s", GOLDEN, kind);
    snprintf(path, sizeof path, "%s/cases.json", directory);
    assert_int_equal(sa_json_read(path, 1 << 20, &cases, &err), SA_OK);
    if (sa_tokenizer_open(&t, directory, &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    size_t failures = count_failures(t, kind, json_object_get(cases, "encode"), check_encode) +
                      count_failures(t, kind, json_object_get(cases, "decode"), check_decode);
    sa_tokenizer_close(t);
    json_decref(cases);
    return failures;
}

static void test_kinds(void **state)
{
    (void)state;
    size_t kinds = 0;
    size_t failures = 0;
    DIR *listing = opendir(GOLDEN);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (entry->d_name[0] != '.') {
            kinds++;
            failures += check_kind(entry->d_name);
        }
    }
    closedir(listing);
    assert_int_equal(failures, 0);
    assert_true(kinds >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
