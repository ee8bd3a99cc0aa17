/*
 * What the models of a tokenizer share: memory, their errors, bytes in place of unknown characters, and which
 * of them encodes a part. Pairs and spans are bpe.c's, unigram is unigram.c's; words need no file of their
 * own.
 */
#include "runtime/text/model.h"

#include <stdlib.h>

void sa_model_free(sa_model *model)
{
    sa_vocabulary_free(&model->vocabulary);
    sa_pair_table_free(&model->merges);
    sa_trie_free(&model->trie);
    sa_trie_free(&model->kept);
    free(model->inner_prefix);
    free(model->end_suffix);
    free(model->ranks);
    free(model->scores);
    free(model->types);
    *model = (sa_model){0};
}

void sa_model_room_free(sa_model_room *room)
{
    free(room->symbols);
    free(room->heap);
    free(room->best);
    sa_pair_table_free(&room->splits);
    sa_text_free(&room->text);
    *room = (sa_model_room){0};
}

sa_status sa_model_no_room(const sa_model *model, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, model->file, "split the text", "no memory for encoding a text");
}

sa_status sa_model_no_unknown(const sa_model *model, sa_error *err)
{
    return sa_fail(
        err, SA_BAD_INPUT, model->file, "add it to the file",
        "the text has characters that the vocabulary lacks, and there is no token for unknown ones");
}

/*
 * By the leading byte alone: the text has been repaired by now, or its model takes any bytes, and then a byte
 * that leads nothing counts as one character, as it does in SentencePiece.
 */
size_t sa_character_size(const char *at, size_t left)
{
    static const unsigned char sizes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    size_t size = sizes[(unsigned char)*at >> 4];
    return size < left ? size : left;
}

/* All bytes of a character or none: half of one by bytes and half unknown could not be decoded. */
bool sa_model_append_bytes(const sa_model *model, const char *text, size_t size, sa_tokens *out)
{
    for (size_t i = 0; i < size; i++) {
        if (!model->byte_fallback || model->byte_ids[(unsigned char)text[i]] < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < size; i++) {
        sa_tokens_append(out, model->byte_ids[(unsigned char)text[i]]);
    }
    return true;
}

/* The whole part is one word: nothing is cut up any further. */
static sa_status encode_word(const sa_model *model, const char *part, size_t size, sa_tokens *out,
                             sa_error *err)
{
    int32_t id = sa_vocabulary_find(&model->vocabulary, part, size);
    id = id >= 0 ? id : model->unknown;
    if (id < 0) {
        return sa_model_no_unknown(model, err);
    }
    sa_tokens_append(out, id);
    return SA_OK;
}

sa_status sa_model_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                          sa_tokens *out, sa_error *err)
{
    if (size > INT32_MAX) { /* places in lists are 32 bits */
        return sa_model_no_room(model, err);
    }
    switch (model->kind) {
    case SA_MODEL_WORDS: return encode_word(model, part, size, out, err);
    case SA_MODEL_UNIGRAM: return sa_unigram_encode(model, part, size, room, out, err);
    case SA_MODEL_PAIRS:
    case SA_MODEL_SPANS: break;
    }
    if (model->whole_first) { /* ignore_merges of Llama 3: a word that is there as a whole is never built */
        int32_t id = sa_vocabulary_find(&model->vocabulary, part, size);
        bool usable = id >= 0 && (model->kind == SA_MODEL_PAIRS || model->ranks[id] != UINT32_MAX);
        if (usable) {
            sa_tokens_append(out, id);
            return SA_OK;
        }
    }
    return sa_bpe_encode(model, part, size, room, out, err);
}
