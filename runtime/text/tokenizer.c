/*
 * Where the parts come together: which file of a directory is read and by whom, and the way of a text through
 * added tokens, normalisers, pre-tokenizers and model.
 */
#include "runtime/text/tokenizer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/text/tokenizer_parts.h"

/* -- Making and freeing -- */

sa_tokenizer *sa_tokenizer_new(const char *file)
{
    sa_tokenizer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->file = strdup(file);
    t->model.file = t->file;
    t->model.unknown = -1;
    t->special = (sa_tokenizer_ids){.bos = -1, .pad = -1, .unknown = -1};
    for (int i = 0; i < 256; i++) {
        t->model.byte_ids[i] = -1;
    }
    if (t->file == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

static void free_decoder(sa_decoder *step)
{
    sa_normalizer_free(&step->replace);
    free(step->text);
}

void sa_tokenizer_close(sa_tokenizer *t)
{
    if (t == NULL) {
        return;
    }
    sa_model_free(&t->model);
    sa_added_tokens_free(&t->added);
    for (size_t i = 0; i < t->normalizer_count; i++) {
        sa_normalizer_free(&t->normalizers[i]);
    }
    for (size_t i = 0; i < t->splitter_count; i++) {
        sa_splitter_free(&t->splitters[i]);
    }
    for (size_t i = 0; i < t->decoder_count; i++) {
        free_decoder(&t->decoders[i]);
    }
    sa_tokens_free(&t->prefix);
    sa_tokens_free(&t->suffix);
    free(t->unknown_surface);
    free(t->file);
    free(t);
}

sa_status sa_tokenizer_no_room(const sa_tokenizer *tokenizer, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, tokenizer->file, NULL, "no memory for a tokenizer or its text");
}

/* Bounds that no real file comes near; they keep every array of steps a plain one. */
static sa_status too_many(const sa_tokenizer *t, const char *what, size_t most, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, t->file, "use a tokenizer of the standard kind",
                   "more than %zu steps of the %s", most, what);
}

sa_status sa_tokenizer_add_normalizer(sa_tokenizer *t, sa_normalizer step, sa_error *err)
{
    if (t->normalizer_count == SA_NORMALIZE_MOST) {
        sa_normalizer_free(&step);
        return too_many(t, "normalizer", SA_NORMALIZE_MOST, err);
    }
    t->normalizers[t->normalizer_count++] = step;
    return SA_OK;
}

sa_status sa_tokenizer_add_splitter(sa_tokenizer *t, sa_splitter step, sa_error *err)
{
    if (t->splitter_count == SA_SPLIT_MOST) {
        sa_splitter_free(&step);
        return too_many(t, "pre_tokenizer", SA_SPLIT_MOST, err);
    }
    t->splitters[t->splitter_count++] = step;
    return SA_OK;
}

sa_status sa_tokenizer_add_decoder(sa_tokenizer *t, sa_decoder step, sa_error *err)
{
    if (t->decoder_count == SA_DECODE_MOST) {
        free_decoder(&step);
        return too_many(t, "decoder", SA_DECODE_MOST, err);
    }
    t->decoders[t->decoder_count++] = step;
    return SA_OK;
}

sa_status sa_tokenizer_add_token(sa_tokenizer *t, sa_added_token token, const char *content, sa_error *err)
{
    token.content = strdup(content);
    token.shown = NULL;
    if (token.content == NULL || !sa_added_tokens_put(&t->added, token)) {
        return sa_tokenizer_no_room(t, err);
    }
    return SA_OK;
}

void sa_tokenizer_find_bytes(sa_tokenizer *t)
{
    for (int i = 0; i < 256; i++) {
        char piece[8];
        snprintf(piece, sizeof piece, "<0x%02X>", (unsigned)i);
        t->model.byte_ids[i] = sa_vocabulary_find(&t->model.vocabulary, piece, 6);
    }
}

/* `content` as the normaliser leaves it, which is what is looked for in normalised text. */
static sa_status find_shown(sa_tokenizer *t, sa_added_token *token, sa_error *err)
{
    sa_text text = {0};
    sa_text other = {0};
    sa_text_append(&text, token->content, strlen(token->content));
    sa_status status = SA_OK;
    if (token->normalized && !t->takes_bytes) {
        status = sa_normalize(t->normalizers, t->normalizer_count, &text, &other, err);
    }
    free(token->shown);
    token->shown = NULL;
    if (status == SA_OK && !text.failed && !other.failed) {
        token->shown = strdup(text.bytes);
    }
    if (status == SA_OK && token->shown == NULL) {
        status = sa_tokenizer_no_room(t, err);
    }
    sa_text_free(&text);
    sa_text_free(&other);
    return status;
}

sa_status sa_tokenizer_finish(sa_tokenizer *t, sa_error *err)
{
    for (size_t i = 0; i < t->added.count; i++) {
        SA_TRY(find_shown(t, &t->added.tokens[i], err));
    }
    return sa_added_tokens_finish(&t->added) ? SA_OK : sa_tokenizer_no_room(t, err);
}

/* -- Opening -- */

/* One way of opening a directory: the file that decides, and what reads it. */
typedef sa_status (*file_reader)(sa_tokenizer *t, const char *directory, sa_error *err);

enum { MOST_FILE_BYTES = 256 << 20 };

static sa_status open_json(sa_tokenizer *t, const char *directory, sa_error *err)
{
    (void)directory;
    json_t *root = NULL;
    SA_TRY(sa_json_read(t->file, MOST_FILE_BYTES, &root, err));
    sa_status status = sa_tokenizer_read_json(t, root, err);
    json_decref(root);
    return status;
}

static sa_status open_tiktoken(sa_tokenizer *t, const char *directory, sa_error *err)
{
    (void)directory;
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(t->file, MOST_FILE_BYTES, &bytes, &size, err));
    sa_status status = sa_tokenizer_read_tiktoken(t, (const char *)bytes, size, err);
    free(bytes);
    return status;
}

static sa_status open_sentencepiece(sa_tokenizer *t, const char *directory, sa_error *err)
{
    (void)directory;
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(t->file, MOST_FILE_BYTES, &bytes, &size, err));
    sa_status status = sa_tokenizer_read_sentencepiece(t, bytes, size, err);
    free(bytes);
    return status;
}

static sa_status open_merges(sa_tokenizer *t, const char *directory, sa_error *err)
{
    char path[512];
    char *family = NULL;
    json_t *vocabulary = NULL;
    unsigned char *merges = NULL;
    size_t size = 0;
    SA_TRY(sa_file_join(path, sizeof path, directory, "merges.txt", err));
    SA_TRY(sa_tokenizer_read_family(directory, &family, err));
    sa_status status = sa_json_read(t->file, MOST_FILE_BYTES, &vocabulary, err);
    if (status == SA_OK) {
        status = sa_file_read(path, MOST_FILE_BYTES, &merges, &size, err);
    }
    if (status == SA_OK) {
        status = sa_tokenizer_read_merges(t, family, vocabulary, (const char *)merges, size, err);
    }
    free(merges);
    json_decref(vocabulary);
    free(family);
    return status;
}

/* The name of the first *.tiktoken in the directory by the alphabet, "" if there is none. */
static void find_tiktoken(const char *directory, char *name, size_t size)
{
    static const char ending[] = ".tiktoken";
    name[0] = '\0';
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        size_t length = strlen(entry->d_name);
        if (length >= sizeof ending && length < size &&
            strcmp(entry->d_name + length - (sizeof ending - 1), ending) == 0 &&
            (name[0] == '\0' || strcmp(entry->d_name, name) < 0)) {
            memcpy(name, entry->d_name, length + 1);
        }
    }
    closedir(listing);
}

/*
 * A directory may hold several, of which one was made from another: tokenizer.json is the most exact, since
 * it says every step; then the original's own file; vocab.json with merges.txt last, which leaves steps to
 * the model's family.
 */
/* Finds the file that decides: its path, and its reader; NULL if there is none. */
static sa_status find_file(const char *directory, char *path, size_t size, file_reader *reader, sa_error *err)
{
    char tiktoken[256];
    find_tiktoken(directory, tiktoken, sizeof tiktoken);
    const struct {
        const char *name;
        file_reader reader;
    } files[] = {{"tokenizer.json", open_json},
                 {tiktoken, open_tiktoken},
                 {"tokenizer.model", open_sentencepiece},
                 {"vocab.json", open_merges}};
    *reader = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i].name[0] == '\0') {
            continue;
        }
        SA_TRY(sa_file_join(path, size, directory, files[i].name, err));
        if (sa_file_exists(path)) {
            *reader = files[i].reader;
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_INPUT, directory, "name a model's directory",
                   "has no tokenizer.json, *.tiktoken, tokenizer.model or vocab.json");
}

/* Closes what could not be finished. */
static sa_status hand_over(sa_tokenizer *t, sa_status status, sa_tokenizer **out)
{
    if (status == SA_OK) {
        *out = t;
    } else {
        sa_tokenizer_close(t);
    }
    return status;
}

sa_status sa_tokenizer_open(sa_tokenizer **tokenizer, const char *directory, sa_error *err)
{
    char path[512];
    file_reader reader = NULL;
    SA_TRY(find_file(directory, path, sizeof path, &reader, err));
    sa_tokenizer *t = sa_tokenizer_new(path);
    if (t == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a tokenizer");
    }
    sa_status status = reader(t, directory, err);
    if (status == SA_OK) {
        status = sa_tokenizer_read_configs(t, directory, err);
    }
    if (status == SA_OK) {
        status = sa_tokenizer_finish(t, err);
    }
    return hand_over(t, status, tokenizer);
}

sa_status sa_tokenizer_parse_json(sa_tokenizer **tokenizer, const char *name, const void *bytes, size_t size,
                                  sa_error *err)
{
    json_t *root = NULL;
    SA_TRY(sa_json_parse(name, bytes, size, &root, err));
    sa_tokenizer *t = sa_tokenizer_new(name);
    SA_ASSERT(t != NULL);
    sa_status status = sa_tokenizer_read_json(t, root, err);
    json_decref(root);
    return hand_over(t, status == SA_OK ? sa_tokenizer_finish(t, err) : status, tokenizer);
}

sa_status sa_tokenizer_parse_tiktoken(sa_tokenizer **tokenizer, const char *name, const void *bytes,
                                      size_t size, sa_error *err)
{
    sa_tokenizer *t = sa_tokenizer_new(name);
    SA_ASSERT(t != NULL);
    sa_status status = sa_tokenizer_read_tiktoken(t, bytes, size, err);
    return hand_over(t, status == SA_OK ? sa_tokenizer_finish(t, err) : status, tokenizer);
}

sa_status sa_tokenizer_parse_sentencepiece(sa_tokenizer **tokenizer, const char *name, const void *bytes,
                                           size_t size, sa_error *err)
{
    sa_tokenizer *t = sa_tokenizer_new(name);
    SA_ASSERT(t != NULL);
    sa_status status = sa_tokenizer_read_sentencepiece(t, bytes, size, err);
    return hand_over(t, status == SA_OK ? sa_tokenizer_finish(t, err) : status, tokenizer);
}

sa_status sa_tokenizer_parse_merges(sa_tokenizer **tokenizer, const char *name, const char *family,
                                    const void *vocabulary, size_t vocabulary_size, const void *merges,
                                    size_t merges_size, sa_error *err)
{
    json_t *root = NULL;
    SA_TRY(sa_json_parse(name, vocabulary, vocabulary_size, &root, err));
    sa_tokenizer *t = sa_tokenizer_new(name);
    SA_ASSERT(t != NULL);
    sa_status status = sa_tokenizer_read_merges(t, family, root, merges, merges_size, err);
    json_decref(root);
    return hand_over(t, status == SA_OK ? sa_tokenizer_finish(t, err) : status, tokenizer);
}

/* -- Asking -- */

const sa_tokenizer_ids *sa_tokenizer_special(const sa_tokenizer *tokenizer)
{
    return &tokenizer->special;
}

/* Ids may have holes, and added tokens often stand behind one: what counts is the largest. */
size_t sa_tokenizer_size(const sa_tokenizer *tokenizer)
{
    size_t size = tokenizer->model.vocabulary.count;
    for (size_t i = 0; i < tokenizer->added.count; i++) {
        size_t id = (size_t)tokenizer->added.tokens[i].id;
        size = id + 1 > size ? id + 1 : size;
    }
    return size;
}

const char *sa_tokenizer_piece(const sa_tokenizer *tokenizer, int64_t id, size_t *size)
{
    const sa_added_token *token = sa_added_tokens_find(&tokenizer->added, id);
    if (token != NULL) {
        *size = strlen(token->content);
        return token->content;
    }
    return sa_vocabulary_piece(&tokenizer->model.vocabulary, id, size);
}

/* Added tokens first: one may repeat a piece of the vocabulary under another id, and is the one that is
 * found. */
int32_t sa_tokenizer_find(const sa_tokenizer *tokenizer, const char *piece, size_t size)
{
    for (size_t i = 0; i < tokenizer->added.count; i++) {
        const sa_added_token *token = &tokenizer->added.tokens[i];
        if (strlen(token->content) == size && memcmp(token->content, piece, size) == 0) {
            return token->id;
        }
    }
    return sa_vocabulary_find(&tokenizer->model.vocabulary, piece, size);
}

bool sa_tokenizer_is_special(const sa_tokenizer *tokenizer, int64_t id)
{
    const sa_added_token *token = sa_added_tokens_find(&tokenizer->added, id);
    return token != NULL && token->special;
}

/* -- Encoding -- */

typedef struct {
    const sa_tokenizer *tokenizer;
    bool parse_special;
    sa_text text, other; /* a stretch while it is normalised */
    sa_split_room split;
    sa_model_room model;
    sa_tokens *out;
} encoder;

/* The end of sa_split: one part becomes ids. */
static sa_status take_part(void *context, const char *part, size_t size, sa_error *err)
{
    encoder *e = context;
    return sa_model_encode(&e->tokenizer->model, part, size, &e->model, e->out, err);
}

/* Normalised text between added tokens goes through the pre-tokenizers, and each part into the model. */
static sa_status split_stretch(encoder *e, const char *text, size_t size, bool at_origin, sa_error *err)
{
    const sa_tokenizer *t = e->tokenizer;
    return sa_split(t->splitters, t->splitter_count, text, size, at_origin, &e->split, take_part, e, err);
}

/*
 * A stretch of the text as it came, between tokens that are found in it as it came. In what the normaliser
 * makes of it the other kind of added tokens is looked for ("normalized" in the files): two searches, one in
 * the other.
 */
static sa_status encode_stretch(encoder *e, const char *text, size_t size, bool at_origin, sa_error *err)
{
    const sa_tokenizer *t = e->tokenizer;
    if (size == 0) {
        return SA_OK;
    }
    sa_text_clear(&e->text);
    sa_text_append(&e->text, text, size);
    SA_TRY(sa_normalize(t->normalizers, t->normalizer_count, &e->text, &e->other, err));
    if (e->text.failed || e->other.failed) {
        return sa_tokenizer_no_room(t, err);
    }
    const sa_added_token *token = NULL;
    sa_added_search search =
        sa_added_search_on(&t->added, &t->added.normalized, e->text.bytes, e->text.size, e->parse_special);
    while (sa_added_search_next(&search, &token)) {
        SA_TRY(split_stretch(e, e->text.bytes + search.begin, search.end - search.begin,
                             at_origin && search.begin == 0, err));
        if (token != NULL) {
            sa_tokens_append(e->out, token->id);
        }
    }
    return SA_OK;
}

/* The whole text: tokens that are looked for in it as it came, and the stretches between them. */
static sa_status encode_text(encoder *e, const char *text, size_t size, sa_error *err)
{
    const sa_tokenizer *t = e->tokenizer;
    const sa_added_token *token = NULL;
    sa_added_search search = sa_added_search_on(&t->added, &t->added.raw, text, size, e->parse_special);
    while (sa_added_search_next(&search, &token)) {
        SA_TRY(encode_stretch(e, text + search.begin, search.end - search.begin, search.begin == 0, err));
        if (token != NULL) {
            sa_tokens_append(e->out, token->id);
        }
    }
    return SA_OK;
}

static void append_all(sa_tokens *out, const sa_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++) {
        sa_tokens_append(out, tokens->ids[i]);
    }
}

sa_status sa_tokenizer_encode(const sa_tokenizer *tokenizer, const char *text, size_t size, unsigned flags,
                              sa_tokens *out, sa_error *err)
{
    encoder e = {.tokenizer = tokenizer, .parse_special = (flags & SA_ENCODE_PARSE_SPECIAL) != 0, .out = out};
    size_t before = out->count;
    sa_text sound = {0};
    if (!tokenizer->takes_bytes) { /* the original's strings cannot hold anything but UTF-8 */
        sa_text_append_repaired(&sound, text, size);
        text = sound.bytes;
        size = sound.size;
    }
    bool add_special = (flags & SA_ENCODE_ADD_SPECIAL) != 0;
    if (add_special) {
        append_all(out, &tokenizer->prefix);
    }
    sa_status status = sound.failed ? sa_tokenizer_no_room(tokenizer, err) : encode_text(&e, text, size, err);
    if (add_special) {
        append_all(out, &tokenizer->suffix);
    }
    if (status == SA_OK && out->failed) {
        status = sa_tokenizer_no_room(tokenizer, err);
    }
    if (status != SA_OK) { /* half a text would look like a whole one */
        out->count = before;
    }
    sa_text_free(&sound);
    sa_text_free(&e.text);
    sa_text_free(&e.other);
    sa_split_room_free(&e.split);
    sa_model_room_free(&e.model);
    return status;
}
