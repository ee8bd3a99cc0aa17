/* normalizer, pre_tokenizer, decoder and post_processor of a tokenizer.json. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/base64.h"
#include "runtime/text/tokenizer_parts.h"

static const char USE_KNOWN[] = "use a tokenizer whose steps this program knows (README, Limits)";
static const char CORRECT[] = "correct the file";

static const char GPT2_PATTERN[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* -- Members -- */

static sa_status get_string(const sa_tokenizer *t, const json_t *object, const char *key, const char **out,
                            sa_error *err)
{
    return sa_json_get_string(object, t->file, key, true, out, err);
}

static sa_status get_flag(const sa_tokenizer *t, const json_t *object, const char *key, bool *out,
                          sa_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value == NULL || json_is_null(value)) {
        return SA_OK;
    }
    if (!json_is_boolean(value)) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "key \"%s\" should be true or false", key);
    }
    *out = json_is_true(value);
    return SA_OK;
}

/* {"String": "..."} or {"Regex": "..."} */
static sa_status get_pattern(const sa_tokenizer *t, const json_t *object, sa_pattern **pattern, sa_error *err)
{
    const json_t *value = json_object_get(object, "pattern");
    const char *regex = json_string_value(json_object_get(value, "Regex"));
    const char *text = json_string_value(json_object_get(value, "String"));
    if (regex != NULL) {
        return sa_pattern_compile(pattern, regex, t->file, err);
    }
    if (text != NULL) {
        return sa_pattern_compile_text(pattern, text, t->file, err);
    }
    return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "a step has no \"pattern\" with a String or a Regex");
}

/* A copy of a string that must be one character. */
static sa_status get_character(const sa_tokenizer *t, const json_t *object, const char *key, char **out,
                               sa_error *err)
{
    const char *text = NULL;
    SA_TRY(get_string(t, object, key, &text, err));
    size_t size = strlen(text);
    if (size == 0 || sa_utf8_length((const unsigned char *)text, size) != size) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "key \"%s\" should be one character", key);
    }
    *out = strdup(text);
    return *out != NULL ? SA_OK : sa_tokenizer_no_room(t, err);
}

static sa_status fail_unknown(const sa_tokenizer *t, const char *what, const char *type, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, t->file, USE_KNOWN, "%s \"%s\" is not supported", what, type);
}

/* One kind of step: reads `object` into the tokenizer. */
typedef sa_status (*step_reader)(sa_tokenizer *t, const json_t *object, const char *type, sa_error *err);

/* A step, or a Sequence of them under `list_key`; null is none. */
static sa_status read_sequence(sa_tokenizer *t, const json_t *object, const char *what, const char *list_key,
                               step_reader reader, sa_error *err)
{
    if (object == NULL || json_is_null(object)) {
        return SA_OK;
    }
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type == NULL) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "a %s has no \"type\"", what);
    }
    if (strcmp(type, "Sequence") != 0) {
        return reader(t, object, type, err);
    }
    const json_t *list = json_object_get(object, list_key);
    if (!json_is_array(list)) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "a Sequence has no list \"%s\"", list_key);
    }
    for (size_t i = 0; i < json_array_size(list); i++) { /* as deep as JSON may be nested */
        SA_TRY(read_sequence(t, json_array_get(list, i), what, list_key, reader, err));
    }
    return SA_OK;
}

/* -- Normalizer -- */

static sa_status read_replace(const sa_tokenizer *t, const json_t *object, sa_normalizer *step, sa_error *err)
{
    const char *content = NULL;
    step->kind = SA_NORMALIZE_REPLACE;
    SA_TRY(get_string(t, object, "content", &content, err));
    SA_TRY(get_pattern(t, object, &step->pattern, err));
    step->text = strdup(content);
    return step->text != NULL ? SA_OK : sa_tokenizer_no_room(t, err);
}

static sa_status read_charsmap(const sa_tokenizer *t, const json_t *object, sa_normalizer *step,
                               sa_error *err)
{
    const char *text = NULL;
    SA_TRY(get_string(t, object, "precompiled_charsmap", &text, err));
    size_t room = strlen(text);
    unsigned char *blob = malloc(room + 1);
    if (blob == NULL) {
        return sa_tokenizer_no_room(t, err);
    }
    size_t size = 0;
    sa_status status = SA_OK;
    if (!sa_base64_decode(text, room, blob, &size)) {
        status = sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "precompiled_charsmap is not base64");
    } else {
        status = sa_charsmap_read(&step->map, blob, size, t->file, err);
    }
    free(blob);
    return status;
}

static sa_status fill_normalizer(const sa_tokenizer *t, const json_t *object, const char *type,
                                 sa_normalizer *step, sa_error *err)
{
    switch (step->kind) {
    case SA_NORMALIZE_STRIP:
        step->left = step->right = true;
        SA_TRY(get_flag(t, object, "strip_left", &step->left, err));
        return get_flag(t, object, "strip_right", &step->right, err);
    case SA_NORMALIZE_PREPEND: {
        const char *text = NULL;
        SA_TRY(get_string(t, object, "prepend", &text, err));
        step->text = strdup(text);
        return step->text != NULL ? SA_OK : sa_tokenizer_no_room(t, err);
    }
    case SA_NORMALIZE_REPLACE: return read_replace(t, object, step, err);
    case SA_NORMALIZE_CHARSMAP: return read_charsmap(t, object, step, err);
    case SA_NORMALIZE_SENTENCEPIECE: return fail_unknown(t, "normalizer", type, err);
    default: return SA_OK;
    }
}

static sa_status read_normalizer(sa_tokenizer *t, const json_t *object, const char *type, sa_error *err)
{
    static const struct {
        const char *type;
        sa_normalizer_kind kind;
    } kinds[] = {
        {"NFC", SA_NORMALIZE_NFC},
        {"NFD", SA_NORMALIZE_NFD},
        {"NFKC", SA_NORMALIZE_NFKC},
        {"NFKD", SA_NORMALIZE_NFKD},
        {"Lowercase", SA_NORMALIZE_LOWERCASE},
        {"StripAccents", SA_NORMALIZE_STRIP_ACCENTS},
        {"Strip", SA_NORMALIZE_STRIP},
        {"Prepend", SA_NORMALIZE_PREPEND},
        {"Replace", SA_NORMALIZE_REPLACE},
        {"ByteLevel", SA_NORMALIZE_BYTES},
        {"Precompiled", SA_NORMALIZE_CHARSMAP},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            sa_normalizer step = {.kind = kinds[i].kind, .old_unicode = true};
            sa_status status = fill_normalizer(t, object, type, &step, err);
            if (status != SA_OK) {
                sa_normalizer_free(&step);
                return status;
            }
            return sa_tokenizer_add_normalizer(t, step, err);
        }
    }
    return fail_unknown(t, "normalizer", type, err);
}

/* -- Pre-tokenizer -- */

static sa_status add_pattern(sa_tokenizer *t, const char *expression, sa_match_behavior behavior, bool invert,
                             sa_error *err)
{
    sa_splitter step = {.kind = SA_SPLIT_PATTERN, .behavior = behavior, .invert = invert};
    SA_TRY(sa_pattern_compile(&step.pattern, expression, t->file, err));
    return sa_tokenizer_add_splitter(t, step, err);
}

static sa_status add_text_pattern(sa_tokenizer *t, const char *text, sa_match_behavior behavior,
                                  sa_error *err)
{
    sa_splitter step = {.kind = SA_SPLIT_PATTERN, .behavior = behavior};
    SA_TRY(sa_pattern_compile_text(&step.pattern, text, t->file, err));
    return sa_tokenizer_add_splitter(t, step, err);
}

static sa_status get_behavior(const sa_tokenizer *t, const json_t *object, sa_match_behavior *out,
                              sa_error *err)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                        "Contiguous"};
    const char *name = names[SA_MATCH_ISOLATED];
    SA_TRY(sa_json_get_string(object, t->file, "behavior", false, &name, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (sa_match_behavior)i;
            return SA_OK;
        }
    }
    return fail_unknown(t, "behavior", name, err);
}

static sa_status read_split(sa_tokenizer *t, const json_t *object, sa_error *err)
{
    sa_splitter step = {.kind = SA_SPLIT_PATTERN};
    SA_TRY(get_behavior(t, object, &step.behavior, err));
    SA_TRY(get_flag(t, object, "invert", &step.invert, err));
    SA_TRY(get_pattern(t, object, &step.pattern, err));
    return sa_tokenizer_add_splitter(t, step, err);
}

/* Up to three steps of ours: a blank in front, GPT-2's words, bytes as letters. */
static sa_status read_byte_level(sa_tokenizer *t, const json_t *object, sa_error *err)
{
    bool add_prefix = true;
    bool use_regex = true;
    SA_TRY(get_flag(t, object, "add_prefix_space", &add_prefix, err));
    SA_TRY(get_flag(t, object, "use_regex", &use_regex, err));
    if (add_prefix) {
        SA_TRY(sa_tokenizer_add_splitter(t, (sa_splitter){.kind = SA_SPLIT_PREFIX_BLANK}, err));
    }
    if (use_regex) {
        SA_TRY(add_pattern(t, GPT2_PATTERN, SA_MATCH_ISOLATED, false, err));
    }
    return sa_tokenizer_add_splitter(t, (sa_splitter){.kind = SA_SPLIT_BYTES}, err);
}

static sa_status get_prepend(const sa_tokenizer *t, const json_t *object, sa_prepend *out, sa_error *err)
{
    static const char *const names[] = {"never", "first", "always"};
    const char *name = names[SA_PREPEND_ALWAYS];
    bool add_prefix = true; /* how older files say it */
    SA_TRY(sa_json_get_string(object, t->file, "prepend_scheme", false, &name, err));
    SA_TRY(get_flag(t, object, "add_prefix_space", &add_prefix, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = add_prefix ? (sa_prepend)i : SA_PREPEND_NEVER;
            return SA_OK;
        }
    }
    return fail_unknown(t, "prepend_scheme", name, err);
}

static sa_status read_metaspace(sa_tokenizer *t, const json_t *object, sa_error *err)
{
    sa_splitter step = {.kind = SA_SPLIT_METASPACE};
    bool cut = true;
    SA_TRY(get_prepend(t, object, &step.prepend, err));
    SA_TRY(get_flag(t, object, "split", &cut, err));
    SA_TRY(get_character(t, object, "replacement", &step.text, err));
    SA_TRY(sa_tokenizer_add_splitter(t, step, err));
    return cut ? add_text_pattern(t, step.text, SA_MATCH_WITH_NEXT, err) : SA_OK;
}

static sa_status read_splitter(sa_tokenizer *t, const json_t *object, const char *type, sa_error *err)
{
    sa_match_behavior behavior = SA_MATCH_ISOLATED;
    if (strcmp(type, "ByteLevel") == 0) {
        return read_byte_level(t, object, err);
    }
    if (strcmp(type, "Split") == 0) {
        return read_split(t, object, err);
    }
    if (strcmp(type, "Metaspace") == 0) {
        return read_metaspace(t, object, err);
    }
    if (strcmp(type, "Whitespace") == 0) { /* Rust's \w has the joiners as well */
        return add_pattern(t, "[\\w\\x{200c}\\x{200d}]+|[^\\w\\x{200c}\\x{200d}\\s]+", SA_MATCH_REMOVED, true,
                           err);
    }
    if (strcmp(type, "WhitespaceSplit") == 0) {
        return add_pattern(t, "\\s", SA_MATCH_REMOVED, false, err);
    }
    if (strcmp(type, "Digits") == 0) {
        bool single = false;
        SA_TRY(get_flag(t, object, "individual_digits", &single, err));
        return add_pattern(t, "\\p{N}", single ? SA_MATCH_ISOLATED : SA_MATCH_CONTIGUOUS, false, err);
    }
    if (strcmp(type, "Punctuation") == 0) {
        SA_TRY(get_behavior(t, object, &behavior, err));
        return add_pattern(t, "[!-\\/:-@\\[-`{-~\\p{P}]", behavior, false, err);
    }
    if (strcmp(type, "CharDelimiterSplit") == 0) {
        const char *delimiter = NULL;
        SA_TRY(get_string(t, object, "delimiter", &delimiter, err));
        return add_text_pattern(t, delimiter, SA_MATCH_REMOVED, err);
    }
    return fail_unknown(t, "pre_tokenizer", type, err);
}

/* -- Decoder -- */

static sa_status fill_strip(const sa_tokenizer *t, const json_t *object, sa_decoder *step, sa_error *err)
{
    enum { MOST = 1000 };
    int64_t start = 0;
    int64_t stop = 0;
    SA_TRY(sa_json_get_int(object, t->file, "start", true, 0, MOST, &start, err));
    SA_TRY(sa_json_get_int(object, t->file, "stop", true, 0, MOST, &stop, err));
    step->start = (size_t)start;
    step->stop = (size_t)stop;
    return get_character(t, object, "content", &step->text, err);
}

/* What may follow: behind FUSE the front of the whole can be stripped, behind LETTERS there is nothing left
 * to do. */
static sa_status check_order(const sa_tokenizer *t, const sa_decoder *step, const char *type, sa_error *err)
{
    bool fused = false;
    for (size_t i = 0; i < t->decoder_count; i++) {
        sa_decode_kind kind = t->decoders[i].kind;
        fused = fused || kind == SA_DECODE_FUSE;
        if (kind == SA_DECODE_LETTERS && step->kind != SA_DECODE_FUSE) {
            return fail_unknown(t, "decoder behind ByteLevel:", type, err);
        }
        if (kind == step->kind && (kind == SA_DECODE_BYTE_FALLBACK || (fused && kind == SA_DECODE_STRIP))) {
            return fail_unknown(t, "second decoder", type, err);
        }
    }
    bool front = step->kind == SA_DECODE_STRIP && step->stop == 0;
    if (fused && step->kind != SA_DECODE_FUSE && !front) {
        return fail_unknown(t, "decoder behind Fuse:", type, err);
    }
    return SA_OK;
}

static sa_status fill_decoder(const sa_tokenizer *t, const json_t *object, const char *type, sa_decoder *step,
                              sa_error *err)
{
    if (strcmp(type, "Replace") == 0) {
        step->kind = SA_DECODE_REPLACE;
        return read_replace(t, object, &step->replace, err);
    }
    if (strcmp(type, "Strip") == 0) {
        step->kind = SA_DECODE_STRIP;
        return fill_strip(t, object, step, err);
    }
    if (strcmp(type, "Metaspace") == 0) {
        sa_prepend prepend = SA_PREPEND_NEVER;
        step->kind = SA_DECODE_METASPACE;
        SA_TRY(get_prepend(t, object, &prepend, err));
        step->prepended = prepend != SA_PREPEND_NEVER;
        return get_character(t, object, "replacement", &step->text, err);
    }
    if (strcmp(type, "ByteFallback") == 0) {
        step->kind = SA_DECODE_BYTE_FALLBACK;
    } else if (strcmp(type, "Fuse") == 0) {
        step->kind = SA_DECODE_FUSE;
    } else if (strcmp(type, "ByteLevel") == 0) {
        step->kind = SA_DECODE_LETTERS;
    } else {
        return fail_unknown(t, "decoder", type, err);
    }
    return SA_OK;
}

static sa_status read_decoder(sa_tokenizer *t, const json_t *object, const char *type, sa_error *err)
{
    sa_decoder step = {.kind = SA_DECODE_FUSE};
    sa_status status = fill_decoder(t, object, type, &step, err);
    if (status == SA_OK) {
        status = check_order(t, &step, type, err);
    }
    if (status != SA_OK) {
        sa_normalizer_free(&step.replace);
        free(step.text);
        return status;
    }
    return sa_tokenizer_add_decoder(t, step, err);
}

/* -- Post-processor: what stands before and behind a text -- */

static sa_status read_id(const sa_tokenizer *t, const json_t *value, int32_t *id, sa_error *err)
{
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < 0 || number >= SA_VOCABULARY_MOST) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT, "the post_processor names a token without an id");
    }
    *id = (int32_t)number;
    return SA_OK;
}

static sa_status append_special(const sa_tokenizer *t, const json_t *table, const json_t *piece,
                                sa_tokens *out, sa_error *err)
{
    const char *name = json_string_value(json_object_get(piece, "id"));
    const json_t *ids = name != NULL ? json_object_get(json_object_get(table, name), "ids") : NULL;
    if (!json_is_array(ids)) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT,
                       "the post_processor's special_tokens lack the ids of \"%s\"",
                       name != NULL ? name : "a token");
    }
    for (size_t i = 0; i < json_array_size(ids); i++) {
        int32_t id = 0;
        SA_TRY(read_id(t, json_array_get(ids, i), &id, err));
        sa_tokens_append(out, id);
    }
    return SA_OK;
}

/* Puts `front` before what the tokens hold. */
static void prepend_tokens(sa_tokens *tokens, sa_tokens *front)
{
    for (size_t i = 0; i < tokens->count; i++) {
        sa_tokens_append(front, tokens->ids[i]);
    }
    sa_tokens_free(tokens);
    *tokens = *front;
    *front = (sa_tokens){0};
}

/* What stands before the text and behind it; for a pair of texts, which we never have, there is another list.
 */
static sa_status read_template(sa_tokenizer *t, const json_t *object, sa_tokens *front, sa_error *err)
{
    const json_t *single = json_object_get(object, "single");
    const json_t *table = json_object_get(object, "special_tokens");
    size_t texts = 0;
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *special = json_object_get(json_array_get(single, i), "SpecialToken");
        const json_t *sequence = json_object_get(json_array_get(single, i), "Sequence");
        if (special != NULL) {
            SA_TRY(append_special(t, table, special, texts == 0 ? front : &t->suffix, err));
        } else if (sequence != NULL) {
            texts++;
        }
    }
    if (texts != 1) {
        return sa_fail(err, SA_BAD_INPUT, t->file, CORRECT,
                       "the post_processor's template has the text %zu times, not once", texts);
    }
    return SA_OK;
}

/* ["</s>", 2] */
static sa_status read_named_id(const sa_tokenizer *t, const json_t *object, const char *key, sa_tokens *out,
                               sa_error *err)
{
    int32_t id = 0;
    SA_TRY(read_id(t, json_array_get(json_object_get(object, key), 1), &id, err));
    sa_tokens_append(out, id);
    return SA_OK;
}

static sa_status read_processor(sa_tokenizer *t, const json_t *object, const char *type, sa_error *err)
{
    sa_tokens front = {0};
    sa_status status = SA_OK;
    if (strcmp(type, "TemplateProcessing") == 0) {
        status = read_template(t, object, &front, err);
    } else if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0) {
        status = read_named_id(t, object, "cls", &front, err);
        status = status == SA_OK ? read_named_id(t, object, "sep", &t->suffix, err) : status;
    } else if (strcmp(type, "ByteLevel") != 0) { /* which changes places of tokens in the text, no tokens */
        status = fail_unknown(t, "post_processor", type, err);
    }
    prepend_tokens(&t->prefix, &front);
    if (status == SA_OK && (t->prefix.failed || t->suffix.failed)) {
        status = sa_tokenizer_no_room(t, err);
    }
    return status;
}

/* -- All of them -- */

sa_status sa_tokenizer_read_steps(sa_tokenizer *t, const json_t *root, sa_error *err)
{
    SA_TRY(read_sequence(t, json_object_get(root, "normalizer"), "normalizer", "normalizers", read_normalizer,
                         err));
    SA_TRY(read_sequence(t, json_object_get(root, "pre_tokenizer"), "pre_tokenizer", "pretokenizers",
                         read_splitter, err));
    SA_TRY(read_sequence(t, json_object_get(root, "decoder"), "decoder", "decoders", read_decoder, err));
    SA_TRY(read_sequence(t, json_object_get(root, "post_processor"), "post_processor", "processors",
                         read_processor, err));
    if (t->decoder_count == 0) {
        return sa_tokenizer_add_decoder(t, (sa_decoder){.kind = SA_DECODE_JOIN}, err);
    }
    return SA_OK;
}

sa_status sa_tokenizer_set_steps(sa_tokenizer *t, const char *json, sa_error *err)
{
    json_t *root = NULL;
    SA_TRY(sa_json_parse(t->file, json, strlen(json), &root, err));
    sa_status status = sa_tokenizer_read_steps(t, root, err);
    json_decref(root);
    return status;
}
