/* What stands beside a tokenizer: which tokens are special, and what goes around a text. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/text/tokenizer_parts.h"

enum { MOST_CONFIG_BYTES = 64 << 20 };

static const char CORRECT[] = "correct the file";

/* DIRECTORY/NAME if it is there; an empty object if not. */
static sa_status read_file(const char *directory, const char *name, char *path, size_t size, json_t **object,
                           sa_error *err)
{
    *object = NULL;
    SA_TRY(sa_file_join(path, size, directory, name, err));
    if (!sa_file_exists(path)) {
        *object = json_object();
        return *object != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, path, NULL, "no memory");
    }
    SA_TRY(sa_json_read(path, MOST_CONFIG_BYTES, object, err));
    if (!json_is_object(*object)) {
        json_decref(*object);
        *object = NULL;
        return sa_fail(err, SA_BAD_INPUT, path, CORRECT, "is no JSON object");
    }
    return SA_OK;
}

/* A token is a string or {"content": string, ...}. */
static const char *content_of(const json_t *value)
{
    return json_is_object(value) ? json_string_value(json_object_get(value, "content"))
                                 : json_string_value(value);
}

/* -- Added tokens -- */

/*
 * Gives an id to a content: one that the tokenizer has already must be the same. `properties` is NULL or an
 * object with the flags of an added token.
 */
static sa_status add(sa_tokenizer *t, const char *path, const char *content, int64_t id, bool special,
                     const json_t *properties, sa_error *err)
{
    size_t size = 0;
    const char *piece = sa_tokenizer_piece(t, id, &size);
    if (id < 0 || id >= SA_VOCABULARY_MOST) {
        return sa_fail(err, SA_BAD_INPUT, path, CORRECT, "token \"%s\" has no sensible id", content);
    }
    if (piece != NULL && (strlen(content) != size || memcmp(piece, content, size) != 0)) {
        return sa_fail(err, SA_BAD_INPUT, path, "use files of the same model",
                       "token \"%s\" has the id %lld, which is another piece in %s", content, (long long)id,
                       t->file);
    }
    const sa_added_token *known = sa_added_tokens_find(&t->added, id);
    if (known != NULL && (properties == NULL || known->special)) {
        return SA_OK;
    }
    sa_added_token token = {
        .id = (int32_t)id,
        .special = special,
        .normalized = json_is_true(json_object_get(properties, "normalized")),
        .single_word = json_is_true(json_object_get(properties, "single_word")),
        .left_strip = json_is_true(json_object_get(properties, "lstrip")),
        .right_strip = json_is_true(json_object_get(properties, "rstrip")),
    };
    return content[0] == '\0' ? SA_OK : sa_tokenizer_add_token(t, token, content, err);
}

/* {"32000": {"content": "<image>", ...}, ...} */
static sa_status add_decoder_tokens(sa_tokenizer *t, const char *path, const json_t *table, sa_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)table, key, value) {
        char *end = NULL;
        long id = strtol(key, &end, 10);
        const char *content = content_of(value);
        if (end == key || *end != '\0' || content == NULL || id < 0 || id >= SA_VOCABULARY_MOST) {
            return sa_fail(err, SA_BAD_INPUT, path, CORRECT, "added_tokens_decoder: \"%s\" is no token", key);
        }
        bool special = json_is_true(json_object_get(value, "special"));
        SA_TRY(add(t, path, content, id, special, value, err));
    }
    return SA_OK;
}

/* added_tokens.json: {"<image>": 32000, ...} */
static sa_status add_listed_tokens(sa_tokenizer *t, const char *path, const json_t *table, sa_error *err)
{
    const char *content;
    json_t *value;
    json_object_foreach((json_t *)table, content, value) {
        int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        SA_TRY(add(t, path, content, id, false, NULL, err));
    }
    return SA_OK;
}

/* The id of a named special token, which becomes an added token if it was a plain piece; -1 if it is none. */
static sa_status special_id(sa_tokenizer *t, const char *path, const json_t *value, int32_t *id,
                            sa_error *err)
{
    const char *content = content_of(value);
    if (content == NULL || content[0] == '\0') {
        return SA_OK;
    }
    int32_t found = sa_tokenizer_find(t, content, strlen(content));
    if (found < 0) {
        return sa_fail(err, SA_BAD_INPUT, path, "use files of the same model",
                       "special token \"%s\" is not in the vocabulary", content);
    }
    *id = found;
    if (sa_tokenizer_is_special(t, found)) {
        return SA_OK;
    }
    sa_added_token token = {.id = found, .special = true};
    return sa_tokenizer_add_token(t, token, content, err);
}

/* -- Special ids -- */

static void add_eos(sa_tokenizer *t, int64_t id)
{
    sa_tokenizer_ids *special = &t->special;
    for (size_t i = 0; i < special->eos_count; i++) {
        if (special->eos[i] == id) {
            return;
        }
    }
    if (special->eos_count < SA_TOKENIZER_MOST_EOS && id >= 0 && (size_t)id < sa_tokenizer_size(t)) {
        special->eos[special->eos_count++] = (int32_t)id;
    }
}

/* bos_token, eos_token, ...: of tokenizer_config.json and of special_tokens_map.json. */
static sa_status read_named(sa_tokenizer *t, const char *path, const json_t *object, sa_error *err)
{
    int32_t eos = -1;
    SA_TRY(special_id(t, path, json_object_get(object, "bos_token"), &t->special.bos, err));
    SA_TRY(special_id(t, path, json_object_get(object, "eos_token"), &eos, err));
    SA_TRY(special_id(t, path, json_object_get(object, "pad_token"), &t->special.pad, err));
    SA_TRY(special_id(t, path, json_object_get(object, "unk_token"), &t->special.unknown, err));
    if (eos >= 0) {
        t->special.eos_count = 0; /* the tokenizer's own stands first */
        add_eos(t, eos);
    }
    const json_t *more = json_object_get(object, "additional_special_tokens");
    for (size_t i = 0; i < json_array_size(more); i++) {
        int32_t unused = -1;
        SA_TRY(special_id(t, path, json_array_get(more, i), &unused, err));
    }
    return SA_OK;
}

static void take_id(const sa_tokenizer *t, const json_t *value, int32_t *id)
{
    if (*id < 0 && json_is_integer(value) && json_integer_value(value) >= 0 &&
        (size_t)json_integer_value(value) < sa_tokenizer_size(t)) {
        *id = (int32_t)json_integer_value(value);
    }
}

/* generation_config.json, config.json: numbers, and for the end of a text perhaps several. */
static void read_numbers(sa_tokenizer *t, const json_t *object)
{
    const json_t *eos = json_object_get(object, "eos_token_id");
    take_id(t, json_object_get(object, "bos_token_id"), &t->special.bos);
    take_id(t, json_object_get(object, "pad_token_id"), &t->special.pad);
    if (json_is_integer(eos)) {
        add_eos(t, json_integer_value(eos));
    }
    for (size_t i = 0; i < json_array_size(eos); i++) {
        const json_t *id = json_array_get(eos, i);
        add_eos(t, json_is_integer(id) ? json_integer_value(id) : -1);
    }
}

/*
 * add_bos_token and add_eos_token say what goes around a text, whatever the tokenizer's file says. A
 * tokenizer.model says nothing, and then <s> is what LLaMA expects.
 */
static sa_status set_around(sa_tokenizer *t, const json_t *config, sa_error *err)
{
    const json_t *bos = json_object_get(config, "add_bos_token");
    const json_t *eos = json_object_get(config, "add_eos_token");
    bool named = json_is_boolean(bos) || json_is_boolean(eos);
    if (!named && !t->model.sentencepiece) {
        return SA_OK;
    }
    t->prefix.count = 0;
    t->suffix.count = 0;
    bool add_bos = json_is_boolean(bos) ? json_is_true(bos) : t->model.sentencepiece;
    if (add_bos && t->special.bos >= 0) {
        sa_tokens_append(&t->prefix, t->special.bos);
    }
    if (json_is_true(eos) && t->special.eos_count > 0) {
        sa_tokens_append(&t->suffix, t->special.eos[0]);
    }
    return t->prefix.failed || t->suffix.failed ? sa_tokenizer_no_room(t, err) : SA_OK;
}

static sa_status read_tokenizer_config(sa_tokenizer *t, const char *directory, sa_error *err)
{
    char path[512];
    json_t *config = NULL;
    SA_TRY(read_file(directory, "tokenizer_config.json", path, sizeof path, &config, err));
    sa_status status = add_decoder_tokens(t, path, json_object_get(config, "added_tokens_decoder"), err);
    if (status == SA_OK) {
        status = read_named(t, path, config, err);
    }
    if (status == SA_OK) {
        status = set_around(t, config, err);
    }
    json_decref(config);
    return status;
}

typedef sa_status (*part_reader)(sa_tokenizer *t, const char *path, const json_t *object, sa_error *err);

static sa_status read_part(sa_tokenizer *t, const char *directory, const char *name, part_reader reader,
                           sa_error *err)
{
    char path[512];
    json_t *object = NULL;
    SA_TRY(read_file(directory, name, path, sizeof path, &object, err));
    sa_status status = reader(t, path, object, err);
    json_decref(object);
    return status;
}

static sa_status read_generation(sa_tokenizer *t, const char *path, const json_t *object, sa_error *err)
{
    (void)path;
    (void)err;
    read_numbers(t, object);
    return SA_OK;
}

sa_status sa_tokenizer_read_configs(sa_tokenizer *t, const char *directory, sa_error *err)
{
    SA_TRY(read_part(t, directory, "added_tokens.json", add_listed_tokens, err));
    SA_TRY(read_part(t, directory, "special_tokens_map.json", read_named, err));
    SA_TRY(read_tokenizer_config(t, directory, err));
    SA_TRY(read_part(t, directory, "generation_config.json", read_generation, err));
    return read_part(t, directory, "config.json", read_generation, err);
}

sa_status sa_tokenizer_read_family(const char *directory, char **family, sa_error *err)
{
    static const struct {
        const char *type, *family;
    } types[] = {{"qwen2", "Qwen2Tokenizer"},
                 {"qwen2_vl", "Qwen2Tokenizer"},
                 {"qwen2_5_vl", "Qwen2Tokenizer"},
                 {"gpt2", "GPT2Tokenizer"}};
    char path[512];
    json_t *config = NULL;
    SA_TRY(read_file(directory, "tokenizer_config.json", path, sizeof path, &config, err));
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    *family = name != NULL ? strdup(name) : NULL;
    json_decref(config);
    if (*family != NULL) {
        return SA_OK;
    }
    SA_TRY(read_file(directory, "config.json", path, sizeof path, &config, err));
    name = json_string_value(json_object_get(config, "model_type"));
    const char *found = name != NULL ? name : "";
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        found = name != NULL && strcmp(types[i].type, name) == 0 ? types[i].family : found;
    }
    *family = strdup(found);
    json_decref(config);
    return *family != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, path, NULL, "no memory");
}
