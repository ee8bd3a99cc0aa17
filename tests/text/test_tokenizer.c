/* Tokenizers: what is refused and why, flags, special ids, streams, long texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/text/tokenizer.h"
#include "tests/check.h"

/* -- Refused files -- */

static void check_refusal(sa_status status, const sa_error *err, const char *part)
{
    assert_int_equal(status, SA_BAD_INPUT);
    assert_string_equal(err->file, "file");
    assert_true(err->hint[0] != '\0');
    if (strstr(err->reason, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err->reason);
    }
}

static void refuse_json(const char *json, const char *part)
{
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    check_refusal(sa_tokenizer_parse_json(&t, "file", json, strlen(json), &err), &err, part);
    assert_null(t);
}

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}"

static void test_refuses_models(void **state)
{
    (void)state;
    refuse_json("[]", "no JSON object");
    refuse_json("{}", "no \"model\"");
    refuse_json("{\"model\":{\"type\":\"WordPiece\"}}", "\"WordPiece\" is not supported");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "merges");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", "vocab");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "two pieces");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "the id -1");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999},\"merges\":[]}}", "99999999");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"0\"},\"merges\":[]}}", "no integer");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", "merge 1");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", "\"aa\" is not");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]}}", "merge 1");
    refuse_json("{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{},\"merges\":[]}}", "dropout");
    refuse_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", "entry 0");
    refuse_json("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}", "unk_id");
    refuse_json("{" MODEL ",\"added_tokens\":{}}", "no list");
    refuse_json("{" MODEL ",\"added_tokens\":[{\"id\":3}]}", "content");
}

static void test_refuses_steps(void **state)
{
    (void)state;
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Nmt\"}}", "normalizer \"Nmt\" is not supported");
    refuse_json("{" MODEL ",\"normalizer\":{}}", "no \"type\"");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":1}}", "normalizers");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}}",
                "base64");
    refuse_json("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAAAAAA\"}}",
                "trie");
    refuse_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}",
                "pre_tokenizer \"UnicodeScripts\"");
    refuse_json("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}}",
                "one character");
    refuse_json("{" MODEL ",\"decoder\":{\"type\":\"CTC\"}}", "decoder \"CTC\"");
    refuse_json("{" MODEL ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":"
                "\"ByteFallback\"}]}}",
                "behind Fuse");
    refuse_json("{" MODEL ",\"post_processor\":{\"type\":\"Other\"}}", "post_processor \"Other\"");
    refuse_json("{" MODEL
                ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
                "\"id\":\"x\"}}],\"special_tokens\":{}}}",
                "the ids of \"x\"");
}

#define SPLIT(pattern)                                                                                       \
    "{" MODEL                                                                                                \
    ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"" pattern     \
    "\"}}}"

static void test_refuses_patterns(void **state)
{
    (void)state;
    refuse_json(SPLIT("("), "pattern \"(\"");
    refuse_json(SPLIT("[a[b]]"), "class inside a class");
    refuse_json(SPLIT("[a&&b]"), "class inside a class");
    refuse_json(SPLIT("\\\\h"), "escape");
    refuse_json(SPLIT("a\\\\"), "backslash");
    refuse_json(SPLIT("\\\\p{Nonsense}"), "pattern");
    refuse_json(SPLIT("\\\\pL"), "without {}");
}

static void refuse_sentencepiece(const char *bytes, size_t size, const char *part)
{
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    check_refusal(sa_tokenizer_parse_sentencepiece(&t, "file", bytes, size, &err), &err, part);
}

static void test_refuses_sentencepiece(void **state)
{
    (void)state;
    refuse_sentencepiece("", 0, "no unknown piece");
    refuse_sentencepiece("\x0a\x7f", 2, "cut off");
    refuse_sentencepiece("{\"a\":1}", 7, "SentencePiece");
    refuse_sentencepiece("\x0a\x00", 2, "piece 0");
    refuse_sentencepiece("\x0a\x03\x0a\x01\xff", 5, "piece 0");
    refuse_sentencepiece("\x0a\x03\x0a\x01\x61\x0a\x03\x0a\x01\x61", 10, "twice");
    refuse_sentencepiece("\x0a\x05\x0a\x01\x61\x18\x02\x0a\x05\x0a\x01\x62\x18\x02", 14, "two unknown");
    refuse_sentencepiece("\x0a\x05\x0a\x01\x61\x18\x09", 7, "piece 0");
    refuse_sentencepiece("\x12\x02\x18\x03", 4, "model_type 3");
    refuse_sentencepiece("\x0a\x05\x0a\x01\x61\x18\x02\x12\x03\x98\x02\x01", 12, "byte pieces");
    refuse_sentencepiece("\x1a\x04\x12\x02\x61\x62", 6, "charsmap");
    refuse_sentencepiece("\x2a\x03\x12\x01\x61", 5, "denormalizer");
}

static void test_refuses_tiktoken(void **state)
{
    (void)state;
    static const char *const files[][2] = {{"IQ==", "line 1"},
                                           {"IQ== x", "line 1"},
                                           {"IQ== 0\n\nI?== 1", "line 3"},
                                           {"IQ== 0\nIQ== 1", "repeats"},
                                           {"IQ== 0\nIg== 0", "repeats"},
                                           {"IQ== 0\n", "0x00"},
                                           {" 0", "line 1"},
                                           {"IQ== 99999999999999999999", "line 1"}};
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        sa_status status =
            sa_tokenizer_parse_tiktoken(&t, "qwen.tiktoken", files[i][0], strlen(files[i][0]), &err);
        assert_int_equal(status, SA_BAD_INPUT);
        assert_non_null(strstr(err.reason, files[i][1]));
    }
    assert_int_equal(sa_tokenizer_parse_tiktoken(&t, "other.tiktoken", "", 0, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "qwen.tiktoken"));
    const char *vocabulary = "{\"a\":0}";
    assert_int_equal(sa_tokenizer_parse_merges(&t, "v", "MyTokenizer", vocabulary, 7, "", 0, &err),
                     SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "MyTokenizer"));
    assert_int_equal(sa_tokenizer_parse_merges(&t, "v", "GPT2Tokenizer", vocabulary, 7, "a\xff", 2, &err),
                     SA_BAD_INPUT);
}

/* -- Directories -- */

static char *make_directory(void)
{
    static const char pattern[] = "/tmp/segagent-text-XXXXXX";
    char *directory = strdup(pattern);
    assert_non_null(mkdtemp(directory));
    return directory;
}

static void put_file(const char *directory, const char *name, const char *text)
{
    char path[256];
    sa_error err;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
}

static void drop_directory(char *directory)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "added_tokens.json",
                                        "generation_config.json", "special_tokens_map.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(directory), 0);
    free(directory);
}

static const char WITH_ENDS[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"<s>\":3,"
                                "\"</s>\":4},\"merges\":[\"a b\"]},"
                                "\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true}]}";

static void refuse_directory(const char *name, const char *text, const char *part)
{
    char *directory = make_directory();
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    put_file(directory, "tokenizer.json", WITH_ENDS);
    put_file(directory, name, text);
    assert_int_equal(sa_tokenizer_open(&t, directory, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.file, name));
    if (strstr(err.reason, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.reason);
    }
    drop_directory(directory);
}

static void test_refuses_directories(void **state)
{
    (void)state;
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    assert_int_equal(sa_tokenizer_open(&t, "tests/text", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "tokenizer.model"));
    assert_int_equal(sa_tokenizer_open(&t, "tests/no_such_folder", &err), SA_BAD_INPUT);
    refuse_directory("tokenizer_config.json", "[]", "no JSON object");
    refuse_directory("tokenizer_config.json", "{\"bos_token\":\"<bos>\"}", "\"<bos>\" is not in");
    refuse_directory("tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}",
                     "\"x\"");
    refuse_directory("tokenizer_config.json", "{\"added_tokens_decoder\":{\"2\":{\"content\":\"y\"}}}",
                     "another piece");
    refuse_directory("added_tokens.json", "{\"<x>\":-1}", "sensible id");
}

static void test_special_ids(void **state)
{
    (void)state;
    char *directory = make_directory();
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    put_file(directory, "tokenizer.json", WITH_ENDS);
    put_file(directory, "added_tokens.json", "{\"<image>\":7}");
    put_file(directory, "tokenizer_config.json",
             "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"</"
             "s>\",\"add_bos_token\":true,\"add_eos_token\":"
             "true,\"model_max_length\":1000000000000000019884624838656}");
    put_file(directory, "generation_config.json", "{\"eos_token_id\":[2,4,7,99],\"pad_token_id\":7}");
    assert_int_equal(sa_tokenizer_open(&t, directory, &err), SA_OK);
    const sa_tokenizer_ids *ids = sa_tokenizer_special(t);
    assert_int_equal(ids->bos, 3);
    assert_int_equal(ids->pad, 7);
    assert_int_equal(ids->unknown, -1);
    assert_int_equal(ids->eos_count, 3); /* 99 does not exist */
    assert_int_equal(ids->eos[0], 4);
    assert_int_equal(ids->eos[1], 2);
    assert_int_equal(ids->eos[2], 7);
    assert_int_equal(sa_tokenizer_size(t), 8);
    assert_true(sa_tokenizer_is_special(t, 4) && !sa_tokenizer_is_special(t, 7));
    assert_int_equal(sa_tokenizer_find(t, "<image>", 7), 7);
    size_t size = 0;
    assert_null(sa_tokenizer_piece(t, 5, &size));
    assert_string_equal(sa_tokenizer_piece(t, 7, &size), "<image>");
    sa_tokens got = {0};
    assert_int_equal(sa_tokenizer_encode(t, "ab<image>", 9, SA_ENCODE_ADD_SPECIAL, &got, &err), SA_OK);
    assert_int_equal(got.count, 4);
    assert_int_equal(got.ids[0], 3);
    assert_int_equal(got.ids[2], 7);
    assert_int_equal(got.ids[3], 4);
    sa_tokens_free(&got);
    sa_tokenizer_close(t);
    drop_directory(directory);
}

/* -- Encoding and decoding -- */

static sa_tokenizer *open_golden(const char *kind)
{
    char path[128];
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    snprintf(path, sizeof path, "tests/golden/text/%s", kind);
    assert_int_equal(sa_tokenizer_open(&t, path, &err), SA_OK);
    return t;
}

/* Failing leaves what was there: here the vocabulary has no id for an unknown word. */
static void test_failure_keeps_ids(void **state)
{
    (void)state;
    const char *json = "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0},\"unk_token\":\"[UNK]\"},"
                       "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}}";
    sa_tokenizer *t = NULL;
    sa_error err = {0};
    sa_tokens ids = {0};
    assert_int_equal(sa_tokenizer_parse_json(&t, "file", json, strlen(json), &err), SA_OK);
    assert_int_equal(sa_tokenizer_encode(t, "a a", 3, 0, &ids, &err), SA_OK);
    check_refusal(sa_tokenizer_encode(t, "a b", 3, 0, &ids, &err), &err, "lacks");
    assert_int_equal(ids.count, 2);
    sa_tokens_free(&ids);
    sa_tokenizer_close(t);
}

static void test_ids_that_do_not_exist(void **state)
{
    (void)state;
    static const int32_t ids[] = {-1, 100000000, INT32_MAX, INT32_MIN};
    static const char *const kinds[] = {"gpt2", "llama_v4", "sp_llama", "qwen_tiktoken"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        sa_tokenizer *t = open_golden(kinds[i]);
        sa_text text = {0};
        sa_error err = {0};
        assert_int_equal(sa_tokenizer_decode(t, ids, 4, false, &text, &err), SA_OK);
        assert_string_equal(text.bytes, "");
        sa_text_free(&text);
        sa_tokenizer_close(t);
    }
}

/* NFC where utf8proc's own goes wrong: U+11A7 is no last part of a syllable, U+11A8 is one. */
static void test_composes_hangul(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"\xe1\x84\x83\xe1\x85\xa1\xe1\x86\xa7", "\xeb\x8b\xa4\xe1\x86\xa7"},
        {"\xe1\x84\x83\xe1\x85\xa1\xe1\x86\xa8", "\xeb\x8b\xa5"},
        {"\xe1\x86\xa7\xcc\x81\x65\xcc\x81", "\xe1\x86\xa7\xcc\x81\xc3\xa9"},
    };
    sa_tokenizer *t = open_golden("qwen2");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sa_tokens ids = {0};
        sa_text back = {0};
        sa_error err = {0};
        assert_int_equal(sa_tokenizer_encode(t, texts[i][0], strlen(texts[i][0]), 0, &ids, &err), SA_OK);
        assert_int_equal(sa_tokenizer_decode(t, ids.ids, ids.count, false, &back, &err), SA_OK);
        assert_string_equal(back.bytes, texts[i][1]);
        sa_tokens_free(&ids);
        sa_text_free(&back);
    }
    sa_tokenizer_close(t);
}

/* A character of three bytes in three tokens comes out with the last; a wrong byte comes out at once. */
static void test_stream_joins_bytes(void **state)
{
    (void)state;
    sa_tokenizer *t = open_golden("qwen_tiktoken");
    static const char *const bytes[] = {"\xe4", "\xb8", "\xad", "\xe4", "a"};
    static const char *const want[] = {"", "", "\xe4\xb8\xad", "", "\xef\xbf\xbd\x61"};
    sa_detokenizer *stream = NULL;
    sa_error err = {0};
    assert_int_equal(sa_detokenizer_open(&stream, t, false, &err), SA_OK);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        sa_text piece = {0};
        int32_t id = sa_tokenizer_find(t, bytes[i], 1);
        assert_true(id >= 0);
        assert_int_equal(sa_detokenizer_push(stream, id, &piece, &err), SA_OK);
        assert_string_equal(piece.size > 0 ? piece.bytes : "", want[i]);
        sa_text_free(&piece);
    }
    sa_detokenizer_close(stream);
    sa_tokenizer_close(t);
}

/*
 * A long run of one word, of blanks, of marks that combine, of bytes that are no text: what takes quadratic
 * time runs into the test's timeout. Decoding gives the text back where nothing is normalised away.
 */
static void check_long(const char *kind, const char *unit, bool comes_back)
{
    enum { SIZE = 1 << 18 };
    sa_tokenizer *t = open_golden(kind);
    size_t length = strlen(unit);
    char *text = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = unit[i % length];
    }
    size_t size = SIZE / length * length;
    sa_tokens ids = {0};
    sa_text back = {0};
    sa_error err = {0};
    assert_int_equal(sa_tokenizer_encode(t, text, size, 0, &ids, &err), SA_OK);
    assert_int_equal(sa_tokenizer_decode(t, ids.ids, ids.count, false, &back, &err), SA_OK);
    if (comes_back) {
        assert_int_equal(back.size, size);
        assert_memory_equal(back.bytes, text, size);
    }
    sa_tokens_free(&ids);
    sa_text_free(&back);
    sa_tokenizer_close(t);
    free(text);
}

static void test_long_texts(void **state)
{
    (void)state;
    static const char *const kinds[] = {"qwen2", "llama_v4", "sp_llama", "qwen_tiktoken"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        check_long(kinds[i], "abcabcaab", true);
        check_long(kinds[i], "\xe4\xb8\xad", true);
        check_long(kinds[i], " ", i != 1); /* the first blank is the one that is put in front */
        check_long(kinds[i], "\xcc\x81\xcc\x96", i == 2);
        check_long(kinds[i], "\xff", false);
    }
    check_long("unigram", "abc", true);
    check_long("sp_unigram", "abc", true);
    check_long("word_level", "a b", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_models),        cmocka_unit_test(test_refuses_steps),
        cmocka_unit_test(test_refuses_patterns),      cmocka_unit_test(test_refuses_sentencepiece),
        cmocka_unit_test(test_refuses_tiktoken),      cmocka_unit_test(test_refuses_directories),
        cmocka_unit_test(test_special_ids),           cmocka_unit_test(test_failure_keeps_ids),
        cmocka_unit_test(test_ids_that_do_not_exist), cmocka_unit_test(test_composes_hangul),
        cmocka_unit_test(test_stream_joins_bytes),    cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
