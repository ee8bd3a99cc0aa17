/* A whole tokenizer.json: its model and added tokens; read_steps.c has the rest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/tokenizer_parts.h"

static const char USE_KNOWN[] = "use a tokenizer of the standard kind";
static const char CORRECT[] = "correct the file";

static sa_status bad(const sa_tokenizer *t, sa_error *err, const char *what)
{
    return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "%s", what);
}

static sa_status put_piece(sa_tokenizer *t, const char *piece, size_t size, json_int_t id, sa_error *err)
{
    size_t unused;
    if (id < 0 || id >= SA_VOCABULARY_MOST) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "piece \"%s\" has the id %lld, not 0 to %d",
                       piece, (long long)id, SA_VOCABULARY_MOST - 1);
    }
    if (sa_vocabulary_piece(&t->model.vocabulary, id, &unused) != NULL) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "two pieces have the id %lld, one is \"%s\"",
                       (long long)id, piece);
    }
    return sa_vocabulary_put(&t->model.vocabulary, (uint32_t)id, piece, size) ? SA_OK
                                                                              : sa_tokenizer_no_room(t, err);
}

/* {"piece": id, ...} */
static sa_status read_vocabulary(sa_tokenizer *t, const json_t *object, sa_error *err)
{
    const char *piece;
    json_t *id;
    if (!json_is_object(object)) {
        return bad(t, err, "the model has no \"vocab\" that is an object");
    }
    json_object_foreach((json_t *)object, piece, id) {
        if (!json_is_integer(id)) {
            return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "the id of piece \"%s\" is no integer",
                           piece);
        }
        SA_TRY(put_piece(t, piece, strlen(piece), json_integer_value(id), err));
    }
    return SA_OK;
}

/* -- Unknown tokens and flags -- */

static sa_status read_unknown(sa_tokenizer *t, const json_t *model, sa_error *err)
{
    const char *name = NULL;
    SA_TRY(sa_json_get_string(model, t->file, "unk_token", false, &name, err));
    t->model.unknown_named = name != NULL;
    if (name != NULL) {
        t->model.unknown = sa_vocabulary_find(&t->model.vocabulary, name, strlen(name));
    }
    return SA_OK;
}

static sa_status read_flag(const sa_tokenizer *t, const json_t *model, const char *key, bool *out,
                           sa_error *err)
{
    const json_t *value = json_object_get(model, key);
    if (value == NULL || json_is_null(value)) {
        return SA_OK;
    }
    if (!json_is_boolean(value)) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "key \"%s\" should be true or false", key);
    }
    *out = json_is_true(value);
    return SA_OK;
}

/* -- BPE -- */

/* "a b" or ["a", "b"] as two stretches of text. */
static bool get_halves(const json_t *merge, const char *halves[2], size_t sizes[2])
{
    if (json_is_string(merge)) {
        halves[0] = json_string_value(merge);
        const char *blank = strchr(halves[0], ' ');
        if (blank == NULL || strchr(blank + 1, ' ') != NULL) {
            return false;
        }
        sizes[0] = (size_t)(blank - halves[0]);
        halves[1] = blank + 1;
    } else {
        halves[0] = json_string_value(json_array_get(merge, 0));
        halves[1] = json_string_value(json_array_get(merge, 1));
        if (json_array_size(merge) != 2 || halves[0] == NULL || halves[1] == NULL) {
            return false;
        }
        sizes[0] = strlen(halves[0]);
    }
    sizes[1] = strlen(halves[1]);
    return true;
}

/*
 * The rank of a merge is its place in the list. What comes out is the piece that the two halves spell,
 * without the mark that the second carries.
 */
static sa_status put_merge(sa_tokenizer *t, uint32_t rank, const char *halves[2], const size_t sizes[2],
                           sa_text *joined, sa_error *err)
{
    sa_model *model = &t->model;
    size_t skipped = model->inner_prefix != NULL ? strlen(model->inner_prefix) : 0;
    skipped = skipped < sizes[1] ? skipped : sizes[1];
    sa_text_clear(joined);
    sa_text_append(joined, halves[0], sizes[0]);
    sa_text_append(joined, halves[1] + skipped, sizes[1] - skipped);
    if (joined->failed) {
        return sa_tokenizer_no_room(t, err);
    }
    int32_t left = sa_vocabulary_find(&model->vocabulary, halves[0], sizes[0]);
    int32_t right = sa_vocabulary_find(&model->vocabulary, halves[1], sizes[1]);
    int32_t both = sa_vocabulary_find(&model->vocabulary, joined->bytes, joined->size);
    if (left < 0 || right < 0 || both < 0) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "merge %u: \"%.*s\" is not in the vocabulary",
                       rank + 1, 200,
                       left < 0    ? halves[0]
                       : right < 0 ? halves[1]
                                   : joined->bytes);
    }
    if (!sa_pair_table_put(&model->merges, (uint32_t)left, (uint32_t)right, rank, (uint32_t)both)) {
        return sa_tokenizer_no_room(t, err);
    }
    return SA_OK;
}

static sa_status read_merges(sa_tokenizer *t, const json_t *list, sa_error *err)
{
    sa_text joined = {0};
    sa_status status = SA_OK;
    uint32_t rank = 0;
    if (!json_is_array(list) || json_array_size(list) > SA_VOCABULARY_MOST) {
        return bad(t, err, "the model has no sensible list \"merges\"");
    }
    for (size_t i = 0; i < json_array_size(list) && status == SA_OK; i++) {
        const json_t *merge = json_array_get(list, i);
        const char *halves[2] = {NULL, NULL};
        size_t sizes[2] = {0, 0};
        if (json_is_string(merge) && strncmp(json_string_value(merge), "#version", 8) == 0) {
            continue; /* the first line of a merges.txt */
        }
        if (get_halves(merge, halves, sizes)) {
            status = put_merge(t, rank++, halves, sizes, &joined, err);
        } else {
            status = sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "merge %zu is not two pieces", i + 1);
        }
    }
    sa_text_free(&joined);
    return status;
}

/* A text that pieces carry, NULL if it is absent or empty. */
static sa_status read_affix(const sa_tokenizer *t, const json_t *model, const char *key, char **out,
                            sa_error *err)
{
    const char *text = NULL;
    SA_TRY(sa_json_get_string(model, t->file, key, false, &text, err));
    if (text == NULL || text[0] == '\0') {
        return SA_OK;
    }
    *out = strdup(text);
    return *out != NULL ? SA_OK : sa_tokenizer_no_room(t, err);
}

static sa_status read_bpe(sa_tokenizer *t, const json_t *model, sa_error *err)
{
    double dropout = 0.0;
    SA_TRY(sa_json_get_real(model, t->file, "dropout", false, &dropout, err));
    if (dropout != 0.0) {
        return sa_fail(err, SA_BAD_INPUT, t->file, "set it to null", "dropout %g: results would be random",
                       dropout);
    }
    t->model.kind = SA_MODEL_PAIRS;
    SA_TRY(read_vocabulary(t, json_object_get(model, "vocab"), err));
    SA_TRY(read_unknown(t, model, err));
    SA_TRY(read_flag(t, model, "fuse_unk", &t->model.fuse_unknown, err));
    SA_TRY(read_flag(t, model, "byte_fallback", &t->model.byte_fallback, err));
    SA_TRY(read_flag(t, model, "ignore_merges", &t->model.whole_first, err));
    SA_TRY(read_affix(t, model, "continuing_subword_prefix", &t->model.inner_prefix, err));
    SA_TRY(read_affix(t, model, "end_of_word_suffix", &t->model.end_suffix, err));
    sa_tokenizer_find_bytes(t);
    return read_merges(t, json_object_get(model, "merges"), err);
}

/* -- Word level and unigram -- */

static sa_status read_words(sa_tokenizer *t, const json_t *model, sa_error *err)
{
    t->model.kind = SA_MODEL_WORDS;
    SA_TRY(read_vocabulary(t, json_object_get(model, "vocab"), err));
    return read_unknown(t, model, err);
}

/*
 * The number as the library tokenizers reads it: its JSON reader takes the digits as one integer and divides
 * by a power of ten, which is off by a last bit for one number in eight. Scores that tie decide by that bit.
 */
static double score_as_read(double value)
{
    char text[32];
    uint64_t digits = 0; /* at most 17 */
    int exponent = 0;
    bool behind_point = false;
    sa_json_format_f64(text, sizeof text, value); /* the digits that the file had, if a program wrote it */
    const char *c = text + (text[0] == '-');
    for (; *c != '\0' && *c != 'e'; c++) {
        if (*c == '.') {
            behind_point = true;
        } else {
            digits = digits * 10 + (uint64_t)(*c - '0');
            exponent -= behind_point;
        }
    }
    exponent += *c == 'e' ? atoi(c + 1) : 0;
    double result = (double)digits;
    for (; exponent < -308; exponent += 308) { /* 1e308 is the largest power */
        result /= 1e308;
    }
    char power[16];
    snprintf(power, sizeof power, "1e%d", abs(exponent));
    double factor = strtod(power, NULL);
    result = exponent < 0 ? result / factor : result * factor;
    return text[0] == '-' ? -result : result;
}

/* [["piece", score], ...]; the id is the place. Of equal pieces the last counts. */
static sa_status read_scores(sa_tokenizer *t, const json_t *list, sa_error *err)
{
    size_t count = json_array_size(list);
    double least = INFINITY;
    t->model.scores = calloc(count + 1, sizeof *t->model.scores);
    if (t->model.scores == NULL) {
        return sa_tokenizer_no_room(t, err);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *piece = json_string_value(json_array_get(entry, 0));
        const json_t *score = json_array_get(entry, 1);
        if (piece == NULL || !json_is_number(score)) {
            return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT,
                           "entry %zu of \"vocab\" is no piece and score", i);
        }
        SA_TRY(put_piece(t, piece, strlen(piece), (json_int_t)i, err));
        if (!sa_trie_put(&t->model.trie, piece, strlen(piece), (uint32_t)i)) {
            return sa_tokenizer_no_room(t, err);
        }
        t->model.scores[i] = score_as_read(json_number_value(score));
        least = t->model.scores[i] < least ? t->model.scores[i] : least;
    }
    t->model.unknown_score = least - 10.0;
    return SA_OK;
}

static sa_status read_unigram(sa_tokenizer *t, const json_t *model, sa_error *err)
{
    const json_t *list = json_object_get(model, "vocab");
    int64_t unknown = -1;
    t->model.kind = SA_MODEL_UNIGRAM;
    if (!json_is_array(list)) {
        return bad(t, err, "the model has no list \"vocab\"");
    }
    SA_TRY(read_scores(t, list, err));
    SA_TRY(sa_json_get_int(model, t->file, "unk_id", false, 0, (int64_t)json_array_size(list) - 1, &unknown,
                           err));
    t->model.unknown = (int32_t)unknown;
    SA_TRY(read_flag(t, model, "byte_fallback", &t->model.byte_fallback, err));
    sa_tokenizer_find_bytes(t);
    return SA_OK;
}

static sa_status read_model(sa_tokenizer *t, const json_t *model, sa_error *err)
{
    const char *type = NULL;
    if (!json_is_object(model)) {
        return bad(t, err, "has no \"model\" that is an object");
    }
    SA_TRY(sa_json_get_string(model, t->file, "type", false, &type, err));
    if (type == NULL) { /* files of the first versions; only BPE can be told for sure */
        type = json_object_get(model, "merges") != NULL ? "BPE" : "of no type";
    }
    if (strcmp(type, "BPE") == 0) {
        return read_bpe(t, model, err);
    }
    if (strcmp(type, "WordLevel") == 0) {
        return read_words(t, model, err);
    }
    if (strcmp(type, "Unigram") == 0) {
        return read_unigram(t, model, err);
    }
    return sa_fail(err, SA_BAD_INPUT, t->file, USE_KNOWN,
                   "model \"%s\" is not supported, only BPE, Unigram and WordLevel", type);
}

/* -- Added tokens -- */

/* A token that the vocabulary has already keeps the id it has there, whatever this list says. */
static sa_status read_added(sa_tokenizer *t, const json_t *entry, sa_error *err)
{
    const char *content = NULL;
    int64_t id = 0;
    sa_added_token token = {.normalized = true};
    SA_TRY(sa_json_get_string(entry, t->file, "content", true, &content, err));
    SA_TRY(sa_json_get_int(entry, t->file, "id", true, 0, SA_VOCABULARY_MOST - 1, &id, err));
    SA_TRY(read_flag(t, entry, "special", &token.special, err));
    token.normalized = !token.special;
    SA_TRY(read_flag(t, entry, "normalized", &token.normalized, err));
    SA_TRY(read_flag(t, entry, "single_word", &token.single_word, err));
    SA_TRY(read_flag(t, entry, "lstrip", &token.left_strip, err));
    SA_TRY(read_flag(t, entry, "rstrip", &token.right_strip, err));
    if (content[0] == '\0') {
        return SA_OK;
    }
    int32_t known = sa_vocabulary_find(&t->model.vocabulary, content, strlen(content));
    token.id = known >= 0 ? known : (int32_t)id;
    return sa_tokenizer_add_token(t, token, content, err);
}

sa_status sa_tokenizer_read_json(sa_tokenizer *t, const json_t *root, sa_error *err)
{
    if (!json_is_object(root)) {
        return bad(t, err, "is no JSON object");
    }
    SA_TRY(read_model(t, json_object_get(root, "model"), err));
    SA_TRY(sa_tokenizer_read_steps(t, root, err));
    const json_t *added = json_object_get(root, "added_tokens");
    if (added != NULL && !json_is_null(added) && !json_is_array(added)) {
        return bad(t, err, "\"added_tokens\" is no list");
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        SA_TRY(read_added(t, json_array_get(added, i), err));
    }
    return SA_OK;
}
