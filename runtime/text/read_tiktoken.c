/* tiktoken files, lines "base64 rank", and vocab.json with merges.txt: files that do not say how to cut a
 * text up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/ending.h"
#include "runtime/text/base64.h"
#include "runtime/text/tokenizer_parts.h"

static const char DAMAGED[] = "the file is damaged; get it again";

/* -- What the files leave unsaid -- */

#define QWEN_WORDS                                                                                           \
    "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}|"                       \
    " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\""
#define SPLIT_BY(words) "{\"type\":\"Split\",\"pattern\":{\"Regex\":" words "},\"behavior\":\"Isolated\"}"

/* The bytes are the decoder's business: a JSON cannot name a step for it. */
static const char QWEN_TIKTOKEN[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":" SPLIT_BY(QWEN_WORDS) "}";
static const char QWEN2_MERGES[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT_BY(
        QWEN_WORDS) ",{\"type\":"
                    "\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}}";
static const char GPT2_MERGES[] =
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":"
    "\"ByteLevel\"}}";

/* Qwen-VL's special tokens follow its ranks (MODEL_SPECS 4.5). */
static sa_status add_qwen_tokens(sa_tokenizer *t, int32_t first, sa_error *err)
{
    static const char *const before[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    static const char *const behind[] = {"<ref>",   "</ref>", "<box>",  "</box>",  "<quad>",
                                         "</quad>", "<img>",  "</img>", "<imgpad>"};
    enum { EXTRA = 205, BEFORE = 3, BEHIND = 9 };
    for (int32_t i = 0; i < BEFORE + EXTRA + BEHIND; i++) {
        char extra[32];
        snprintf(extra, sizeof extra, "<|extra_%d|>", (int)i - BEFORE);
        const char *content = i < BEFORE           ? before[i]
                              : i < BEFORE + EXTRA ? extra
                                                   : behind[i - BEFORE - EXTRA];
        /* looked for in the text after NFC, which leaves them as they are */
        sa_added_token token = {.id = first + i, .special = true, .normalized = true};
        SA_TRY(sa_tokenizer_add_token(t, token, content, err));
    }
    t->special.pad = first;
    t->special.eos[0] = first;
    t->special.eos_count = 1;
    return SA_OK;
}

/* -- tiktoken -- */

static sa_status fail_line(const sa_tokenizer *t, size_t line, const char *what, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, t->file, DAMAGED, "line %zu %s", line, what);
}

/* The number in text[0, size), -1 if there is none or it is too large for an id. */
static int64_t parse_rank(const char *text, size_t size)
{
    int64_t rank = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || rank >= SA_VOCABULARY_MOST) {
            return -1;
        }
        rank = rank * 10 + (text[i] - '0');
    }
    return size > 0 && rank < SA_VOCABULARY_MOST ? rank : -1;
}

static sa_status read_line(sa_tokenizer *t, size_t number, const char *line, size_t size, sa_text *piece,
                           sa_error *err)
{
    const char *blank = memchr(line, ' ', size);
    size_t digits = blank != NULL ? (size_t)(blank - line) : 0;
    int64_t rank = blank != NULL ? parse_rank(blank + 1, size - digits - 1) : -1;
    size_t bytes = 0;
    size_t unused;
    sa_text_clear(piece);
    sa_text_append(piece, line, digits); /* decoding in place: each byte is written behind those read */
    if (piece->failed) {
        return sa_tokenizer_no_room(t, err);
    }
    if (rank < 0 || !sa_base64_decode(piece->bytes, digits, (unsigned char *)piece->bytes, &bytes) ||
        bytes == 0) {
        return fail_line(t, number, "is not base64, a blank and a rank", err);
    }
    if (sa_vocabulary_piece(&t->model.vocabulary, rank, &unused) != NULL ||
        sa_vocabulary_find(&t->model.vocabulary, piece->bytes, bytes) >= 0) {
        return fail_line(t, number, "repeats a piece or a rank", err);
    }
    return sa_vocabulary_put(&t->model.vocabulary, (uint32_t)rank, piece->bytes, bytes)
               ? SA_OK
               : sa_tokenizer_no_room(t, err);
}

/* Empty lines are passed over; the last needs no newline. */
static sa_status read_lines(sa_tokenizer *t, const char *bytes, size_t size, sa_error *err)
{
    sa_text piece = {0};
    sa_status status = SA_OK;
    size_t number = 1;
    for (size_t begin = 0; begin < size && status == SA_OK; number++) {
        const char *newline = memchr(bytes + begin, '\n', size - begin);
        size_t end = newline != NULL ? (size_t)(newline - bytes) : size;
        size_t last = end > begin && bytes[end - 1] == '\r' ? end - 1 : end;
        if (last > begin) {
            status = read_line(t, number, bytes + begin, last - begin, &piece, err);
        }
        begin = end + 1;
    }
    sa_text_free(&piece);
    return status;
}

/* Ranks are ids; every byte needs one, so that no text is without. */
static sa_status set_ranks(sa_tokenizer *t, sa_error *err)
{
    sa_model *model = &t->model;
    model->ranks = malloc((model->vocabulary.count + 1) * sizeof *model->ranks);
    if (model->ranks == NULL) {
        return sa_tokenizer_no_room(t, err);
    }
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        model->ranks[i] = (uint32_t)i;
    }
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        if (sa_vocabulary_find(&model->vocabulary, &byte, 1) < 0) {
            return sa_fail(err, SA_BAD_INPUT, t->file, DAMAGED, "has no rank for the byte 0x%02x",
                           (unsigned)i);
        }
    }
    return SA_OK;
}

sa_status sa_tokenizer_read_tiktoken(sa_tokenizer *t, const char *bytes, size_t size, sa_error *err)
{
    if (!sa_ends_with(t->file, "qwen.tiktoken")) {
        return sa_fail(err, SA_BAD_INPUT, t->file, "use the tokenizer.json of the same model",
                       "only qwen.tiktoken is known: a tiktoken file does not say how it cuts words");
    }
    t->model.kind = SA_MODEL_SPANS;
    t->model.by_bytes = true;
    t->model.whole_first = true;
    SA_TRY(read_lines(t, bytes, size, err));
    SA_TRY(set_ranks(t, err));
    SA_TRY(sa_tokenizer_add_decoder(t, (sa_decoder){.kind = SA_DECODE_BYTES}, err));
    SA_TRY(sa_tokenizer_set_steps(t, QWEN_TIKTOKEN, err));
    t->normalizers[0].old_unicode = false; /* Python's unicodedata did it */
    return add_qwen_tokens(t, (int32_t)t->model.vocabulary.count, err);
}

/* -- vocab.json and merges.txt -- */

static const char *steps_of_family(const char *family)
{
    static const struct {
        const char *name, *steps;
    } families[] = {{"Qwen2Tokenizer", QWEN2_MERGES},
                    {"Qwen2TokenizerFast", QWEN2_MERGES},
                    {"GPT2Tokenizer", GPT2_MERGES},
                    {"GPT2TokenizerFast", GPT2_MERGES}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(families[i].name, family) == 0) {
            return families[i].steps;
        }
    }
    return NULL;
}

/* The lines of a merges.txt as a JSON list. */
static json_t *lines_of(const char *bytes, size_t size)
{
    json_t *list = json_array();
    for (size_t begin = 0; begin < size && list != NULL;) {
        const char *newline = memchr(bytes + begin, '\n', size - begin);
        size_t end = newline != NULL ? (size_t)(newline - bytes) : size;
        size_t last = end > begin && bytes[end - 1] == '\r' ? end - 1 : end;
        if (last > begin && json_array_append_new(list, json_stringn(bytes + begin, last - begin)) != 0) {
            json_decref(list); /* not UTF-8, or no memory */
            list = NULL;
        }
        begin = end + 1;
    }
    return list;
}

sa_status sa_tokenizer_read_merges(sa_tokenizer *t, const char *family, json_t *vocabulary,
                                   const char *merges, size_t size, sa_error *err)
{
    const char *steps = steps_of_family(family);
    if (steps == NULL) {
        return sa_fail(err, SA_BAD_INPUT, t->file, "use the tokenizer.json of the same model",
                       "tokenizer_class \"%s\" is not known, only Qwen2Tokenizer and GPT2Tokenizer", family);
    }
    json_t *lines = lines_of(merges, size);
    if (lines == NULL) {
        return sa_fail(err, SA_BAD_INPUT, t->file, DAMAGED, "the merges.txt beside it is not UTF-8");
    }
    json_t *root =
        json_pack("{s:{s:s,s:O,s:o}}", "model", "type", "BPE", "vocab", vocabulary, "merges", lines);
    if (root == NULL) {
        json_decref(lines);
        return sa_tokenizer_no_room(t, err);
    }
    sa_status status = sa_tokenizer_read_json(t, root, err);
    json_decref(root);
    if (status != SA_OK) {
        return status;
    }
    t->decoder_count = 0; /* "none", which the JSON above amounts to */
    return sa_tokenizer_set_steps(t, steps, err);
}
