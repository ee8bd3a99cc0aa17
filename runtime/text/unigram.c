/*
 * The unigram model: of all ways to cut a text into pieces, the one with the largest sum of scores (Viterbi).
 * For each place in the text the best piece that ends there is kept; time is n times the longest piece.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/model.h"

/* Where two ways tie the first wins, so rounding matters: Hugging Face sums in f64, SentencePiece in f32. */
static double sum_of(const sa_model *model, double a, double b)
{
    return model->sentencepiece ? (double)(float)(a + b) : a + b;
}

static void offer(sa_best *best, double score, size_t begin, int32_t id)
{
    if (best->begin < 0 || score > best->score) {
        *best = (sa_best){.score = score, .begin = (int64_t)begin, .id = id};
    }
}

/* User-defined symbols have a score that grows with their length, so that they always win. */
static double score_of(const sa_model *model, int32_t id, size_t size)
{
    if (model->sentencepiece && model->types[id] == SA_PIECE_USER_DEFINED) {
        return (double)((float)size * (float)model->scores[id]) - 0.1;
    }
    return model->scores[id];
}

/* Offers each piece that begins at `begin`; true if one is as long as the character there. */
static bool offer_pieces(const sa_model *model, const char *part, size_t size, size_t begin, size_t character,
                         sa_best *best)
{
    uint32_t node = 0;
    int64_t id = -1;
    bool single = false;
    for (size_t i = begin; i < size && sa_trie_step(&model->trie, &node, (unsigned char)part[i], &id); i++) {
        if (id >= 0) {
            size_t length = i + 1 - begin;
            double score = sum_of(model, score_of(model, (int32_t)id, length), best[begin].score);
            offer(&best[i + 1], score, begin, (int32_t)id);
            single = single || length == character;
        }
    }
    return single;
}

/* Turns best[] into the pieces of the best way, in order: their ends, linked forward through `begin`. */
static size_t link_forward(sa_best *best, size_t size)
{
    size_t end = size;
    int64_t next = -1;
    while (end > 0) {
        size_t begin = (size_t)best[end].begin;
        best[end].begin = next; /* now: where the piece after this one ends */
        next = (int64_t)end;
        end = begin;
    }
    return (size_t)next;
}

/* The ids of a stretch that is no piece. */
static sa_status append_unknown(const sa_model *model, const char *text, size_t size, sa_tokens *out,
                                sa_error *err)
{
    if (sa_model_append_bytes(model, text, size, out)) {
        return SA_OK;
    }
    if (model->unknown < 0) {
        return sa_model_no_unknown(model, err);
    }
    sa_tokens_append(out, model->unknown);
    return SA_OK;
}

/*
 * Unknown stretches that follow each other are one. Hugging Face then looks the whole stretch up, and may
 * find a piece.
 */
static sa_status append_ids(const sa_model *model, const char *part, const sa_best *best, size_t first,
                            sa_tokens *out, sa_error *err)
{
    size_t begin = 0;
    for (int64_t end = (int64_t)first; end >= 0;) {
        int32_t id = best[end].id;
        int64_t next = best[end].begin;
        while (id == model->unknown && next >= 0 && best[next].id == model->unknown) {
            end = next;
            next = best[end].begin;
        }
        size_t size = (size_t)end - begin;
        if (id == model->unknown && !model->sentencepiece) {
            int32_t found = sa_vocabulary_find(&model->vocabulary, part + begin, size);
            id = found >= 0 ? found : id;
        }
        if (id == model->unknown) {
            SA_TRY(append_unknown(model, part + begin, size, out, err));
        } else {
            sa_tokens_append(out, id);
        }
        begin = (size_t)end;
        end = next;
    }
    return SA_OK;
}

/*
 * Forward over the text, each piece offered to the place where it ends; every character can be crossed, if by
 * the unknown token, so that there is always a way to the end.
 */
sa_status sa_unigram_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                            sa_tokens *out, sa_error *err)
{
    sa_best *best = sa_grow(room->best, &room->best_room, size + 1, sizeof *best);
    if (best == NULL) {
        return sa_model_no_room(model, err);
    }
    room->best = best;
    for (size_t i = 0; i <= size; i++) {
        best[i] = (sa_best){.begin = -1};
    }
    for (size_t i = 0; i < size;) {
        size_t character = sa_character_size(part + i, size - i);
        if (!offer_pieces(model, part, size, i, character, best)) {
            if (model->unknown < 0) {
                return sa_model_no_unknown(model, err);
            }
            double score = sum_of(model, model->unknown_score, best[i].score);
            offer(&best[i + character], score, i, model->unknown);
        }
        i += character;
    }
    return append_ids(model, part, best, link_forward(best, size), out, err);
}
