/*
 * Byte-pair encoding: of all neighbours that can be merged, the ones of the lowest rank are, the leftmost
 * first, until none are left. A heap holds the candidates; each merge adds at most two, so that the time is n
 * log n for n symbols.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/text/model.h"

/* What all steps of one part work on. */
typedef struct {
    const sa_model *model;
    const char *part;
    size_t size;
    sa_model_room *room;
} encoding;

/*
 * -- The heap: the lowest rank on top, of equal ones the leftmost --
 *
 * Four children each: half the levels of a binary one, and the four lie side by side.
 */

enum { CHILDREN = 4 };

static bool goes_before(const sa_merge *a, const sa_merge *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static bool push(sa_model_room *room, sa_merge merge)
{
    sa_merge *heap = sa_grow(room->heap, &room->heap_room, room->heap_count + 1, sizeof *heap);
    if (heap == NULL) {
        return false;
    }
    room->heap = heap;
    size_t at = room->heap_count++;
    while (at > 0 && goes_before(&merge, &heap[(at - 1) / CHILDREN])) {
        heap[at] = heap[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    heap[at] = merge;
    return true;
}

/* The child of `at` that goes first, or `count` if there is none. */
static size_t first_child(const sa_merge *heap, size_t count, size_t at)
{
    size_t begin = CHILDREN * at + 1;
    size_t end = begin + CHILDREN < count ? begin + CHILDREN : count;
    size_t first = begin < count ? begin : count;
    for (size_t i = begin + 1; i < end; i++) {
        first = goes_before(&heap[i], &heap[first]) ? i : first;
    }
    return first;
}

static sa_merge pop(sa_model_room *room)
{
    sa_merge *heap = room->heap;
    sa_merge top = heap[0];
    sa_merge last = heap[--room->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = first_child(heap, room->heap_count, at);
        if (child == room->heap_count || !goes_before(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* -- Symbols to begin with -- */

static bool add_symbol(const encoding *e, size_t begin, size_t size, int32_t id, bool frozen)
{
    sa_model_room *room = e->room;
    sa_symbol *symbols = sa_grow(room->symbols, &room->symbol_room, room->symbol_count + 1, sizeof *symbols);
    if (symbols == NULL) {
        return false;
    }
    room->symbols = symbols;
    int32_t at = (int32_t)room->symbol_count++;
    symbols[at] =
        (sa_symbol){.begin = begin, .size = size, .id = id, .before = at - 1, .after = -1, .frozen = frozen};
    if (at > 0) {
        symbols[at - 1].after = at;
    }
    return true;
}

/* tiktoken: every byte. SentencePiece: every character, and each user-defined symbol whole. */
static bool add_spans(const encoding *e)
{
    const sa_model *model = e->model;
    for (size_t i = 0; i < e->size;) {
        uint32_t value = 0;
        size_t left = e->size - i;
        size_t kept = model->by_bytes ? 0 : sa_trie_longest(&model->kept, e->part + i, left, &value);
        size_t size = model->by_bytes ? 1 : kept > 0 ? kept : sa_character_size(e->part + i, left);
        if (!add_symbol(e, i, size, sa_vocabulary_find(&model->vocabulary, e->part + i, size), kept > 0)) {
            return false;
        }
        i += size;
    }
    return true;
}

/* The piece for a character, with the marks that it carries by its place in the part. */
static int32_t find_character(const encoding *e, size_t begin, size_t size)
{
    const sa_model *model = e->model;
    const char *prefix = begin > 0 ? model->inner_prefix : NULL;
    const char *suffix = begin + size == e->size ? model->end_suffix : NULL;
    if (prefix == NULL && suffix == NULL) {
        return sa_vocabulary_find(&model->vocabulary, e->part + begin, size);
    }
    sa_text *text = &e->room->text;
    sa_text_clear(text);
    sa_text_append(text, prefix != NULL ? prefix : "", prefix != NULL ? strlen(prefix) : 0);
    sa_text_append(text, e->part + begin, size);
    sa_text_append(text, suffix != NULL ? suffix : "", suffix != NULL ? strlen(suffix) : 0);
    return text->failed ? -1 : sa_vocabulary_find(&model->vocabulary, text->bytes, text->size);
}

/* Byte pieces for a character; true in *done if the vocabulary has them all. */
static bool add_byte_symbols(const encoding *e, size_t begin, size_t size, bool *done)
{
    const sa_model *model = e->model;
    *done = model->byte_fallback;
    for (size_t i = begin; i < begin + size && *done; i++) {
        *done = model->byte_ids[(unsigned char)e->part[i]] >= 0;
    }
    for (size_t i = begin; i < begin + size && *done; i++) {
        if (!add_symbol(e, i, 1, model->byte_ids[(unsigned char)e->part[i]], false)) {
            return false;
        }
    }
    return true;
}

/*
 * Hugging Face: every character that is a piece, byte pieces for others, or the unknown token, which waits
 * (*unknown_size bytes of it) until a character that is a piece comes: bytes do not send it off, so that it
 * may end up behind them.
 */
static sa_status add_characters(const encoding *e, sa_error *err)
{
    const sa_model *model = e->model;
    size_t unknown_size = 0;
    bool room = true;
    for (size_t i = 0; i < e->size && room;) {
        size_t size = sa_character_size(e->part + i, e->size - i);
        int32_t id = find_character(e, i, size);
        bool done = false;
        if (id >= 0) {
            room = unknown_size == 0 || add_symbol(e, i, unknown_size, model->unknown, false);
            room = room && add_symbol(e, i, size, id, false);
            unknown_size = 0;
        } else if (!add_byte_symbols(e, i, size, &done)) {
            room = false;
        } else if (!done && model->unknown_named) {
            if (model->unknown < 0) {
                return sa_model_no_unknown(model, err);
            }
            if (unknown_size > 0 && !model->fuse_unknown) {
                room = add_symbol(e, i, unknown_size, model->unknown, false);
                unknown_size = 0;
            }
            unknown_size += size;
        }
        i += size;
    }
    room = room && (unknown_size == 0 || add_symbol(e, e->size, unknown_size, model->unknown, false));
    return room && !e->room->text.failed ? SA_OK : sa_model_no_room(model, err);
}

/* -- Merging -- */

/* What the two become and how early; false if they cannot be merged. */
static bool find_merge(const encoding *e, const sa_symbol *left, const sa_symbol *right, sa_merge *merge)
{
    const sa_model *model = e->model;
    if (model->kind == SA_MODEL_PAIRS) {
        const sa_pair *pair = sa_pair_table_find(&model->merges, (uint32_t)left->id, (uint32_t)right->id);
        if (pair == NULL) {
            return false;
        }
        merge->rank = pair->first;
        merge->id = (int32_t)pair->second;
        return true;
    }
    if (left->frozen || right->frozen) {
        return false;
    }
    int32_t id = sa_vocabulary_find(&model->vocabulary, e->part + left->begin, left->size + right->size);
    if (id < 0 || model->ranks[id] == UINT32_MAX) {
        return false;
    }
    merge->rank = model->ranks[id];
    merge->id = id;
    return true;
}

/* SentencePiece merges into unused pieces and takes them apart in the end, by the way they came together. */
static bool remember_split(const encoding *e, int32_t id, size_t left_size)
{
    const sa_model *model = e->model;
    if (model->types == NULL || model->types[id] != SA_PIECE_UNUSED) {
        return true;
    }
    return sa_pair_table_put(&e->room->splits, (uint32_t)id, 0, (uint32_t)left_size, 0);
}

/* Puts the pair on the heap if it can be merged; -1 for "there is no neighbour". */
static bool add_candidate(const encoding *e, int32_t left, int32_t right)
{
    if (left < 0 || right < 0) {
        return true;
    }
    const sa_symbol *a = &e->room->symbols[left];
    const sa_symbol *b = &e->room->symbols[right];
    sa_merge merge = {.left = left, .right = right, .size = a->size + b->size};
    if (!find_merge(e, a, b, &merge)) {
        return true;
    }
    return remember_split(e, merge.id, a->size) && push(e->room, merge);
}

/*
 * Every pair of neighbours is looked at once in the beginning and again when a merge makes it new, so that no
 * candidate is missed; those that a merge has made stale are told by their size when they come up.
 */
static bool merge_all(const encoding *e)
{
    sa_model_room *room = e->room;
    for (size_t i = 1; i < room->symbol_count; i++) {
        if (!add_candidate(e, (int32_t)i - 1, (int32_t)i)) {
            return false;
        }
    }
    while (room->heap_count > 0) {
        sa_merge merge = pop(room);
        sa_symbol *left = &room->symbols[merge.left];
        sa_symbol *right = &room->symbols[merge.right];
        if (left->size == 0 || right->size == 0 || left->size + right->size != merge.size) {
            continue; /* one of them has been merged since */
        }
        left->size = merge.size;
        left->id = merge.id;
        left->after = right->after;
        right->size = 0;
        if (left->after >= 0) {
            room->symbols[left->after].before = merge.left;
        }
        if (!add_candidate(e, left->before, merge.left) || !add_candidate(e, merge.left, left->after)) {
            return false;
        }
    }
    return true;
}

/* -- Ids -- */

/* SentencePiece: an unknown stretch is bytes, or one unknown token however long it is. */
static void append_piece(const encoding *e, size_t begin, size_t size, bool *after_unknown, sa_tokens *out)
{
    const sa_model *model = e->model;
    int32_t id = sa_vocabulary_find(&model->vocabulary, e->part + begin, size);
    bool unknown = id < 0 || model->types[id] == SA_PIECE_UNKNOWN;
    if (!unknown) {
        sa_tokens_append(out, id);
    } else if (!sa_model_append_bytes(model, e->part + begin, size, out) && !*after_unknown) {
        sa_tokens_append(out, model->unknown);
    }
    *after_unknown = unknown;
}

/* Takes unused pieces apart until nothing unused is left: a stack of stretches, the leftmost on top. */
static bool append_segmented(const encoding *e, const sa_symbol *symbol, bool *after_unknown, sa_tokens *out)
{
    sa_model_room *room = e->room;
    size_t ends[64]; /* of the stretches that wait, nested to the right */
    size_t depth = 0;
    size_t begin = symbol->begin;
    size_t end = begin + symbol->size;
    for (;;) {
        int32_t id = sa_vocabulary_find(&e->model->vocabulary, e->part + begin, end - begin);
        const sa_pair *split = NULL;
        if (id >= 0 && e->model->types[id] == SA_PIECE_UNUSED) {
            split = sa_pair_table_find(&room->splits, (uint32_t)id, 0);
        }
        if (split != NULL) {
            if (depth == sizeof ends / sizeof *ends) {
                return false;
            }
            ends[depth++] = end;
            end = begin + split->first;
            continue;
        }
        append_piece(e, begin, end - begin, after_unknown, out);
        if (depth == 0) {
            return true;
        }
        begin = end;
        end = ends[--depth];
    }
}

/* What is left of the list, from its first symbol, which never goes away. */
static sa_status append_ids(const encoding *e, sa_tokens *out, sa_error *err)
{
    bool after_unknown = false;
    const sa_symbol *symbols = e->room->symbols;
    for (int32_t at = e->room->symbol_count > 0 ? 0 : -1; at >= 0; at = symbols[at].after) {
        if (!e->model->sentencepiece) {
            SA_ASSERT(symbols[at].id >= 0);
            sa_tokens_append(out, symbols[at].id);
        } else if (!append_segmented(e, &symbols[at], &after_unknown, out)) {
            return sa_fail(err, SA_BAD_INPUT, e->model->file, "the file is damaged",
                           "its unused pieces are nested too deeply");
        }
    }
    return SA_OK;
}

sa_status sa_bpe_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                        sa_tokens *out, sa_error *err)
{
    encoding e = {.model = model, .part = part, .size = size, .room = room};
    room->symbol_count = 0;
    room->heap_count = 0;
    sa_pair_table_free(&room->splits);
    if (model->kind == SA_MODEL_PAIRS) {
        SA_TRY(add_characters(&e, err));
    } else if (!add_spans(&e)) {
        return sa_model_no_room(model, err);
    }
    if (!merge_all(&e)) {
        return sa_model_no_room(model, err);
    }
    return append_ids(&e, out, err);
}
