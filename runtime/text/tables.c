/* Hash tables with open addressing, at most half full; nothing is ever taken out of them. */
#include "runtime/text/tables.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/status.h"

/* -- Pairs -- */

/* Mixes all bits into all (the finaliser of MurmurHash3, public domain). */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
}

/* The slot of the pair, or the free one where it would go. The table has a free slot. */
static sa_pair *slot_of(const sa_pair_table *table, uint32_t left, uint32_t right)
{
    size_t mask = table->room - 1;
    size_t at = mix((uint64_t)left << 32 | right) & mask;
    while (table->slots[at].used && (table->slots[at].left != left || table->slots[at].right != right)) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

/* Half full at most: a search meets a free slot after a few tries, and one is always there. */
static bool widen_pairs(sa_pair_table *table)
{
    sa_pair_table wider = {.count = table->count, .room = table->room == 0 ? 64 : table->room * 2};
    wider.slots = calloc(wider.room, sizeof *wider.slots);
    if (wider.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->room; i++) {
        if (table->slots[i].used) {
            *slot_of(&wider, table->slots[i].left, table->slots[i].right) = table->slots[i];
        }
    }
    free(table->slots);
    *table = wider;
    return true;
}

bool sa_pair_table_put(sa_pair_table *table, uint32_t left, uint32_t right, uint32_t first, uint32_t second)
{
    if (table->count >= table->room / 2 && !widen_pairs(table)) {
        return false;
    }
    sa_pair *slot = slot_of(table, left, right);
    table->count += !slot->used;
    *slot = (sa_pair){.left = left, .right = right, .first = first, .second = second, .used = true};
    return true;
}

sa_pair *sa_pair_table_find(const sa_pair_table *table, uint32_t left, uint32_t right)
{
    if (table->room == 0) {
        return NULL;
    }
    sa_pair *slot = slot_of(table, left, right);
    return slot->used ? slot : NULL;
}

void sa_pair_table_free(sa_pair_table *table)
{
    free(table->slots);
    *table = (sa_pair_table){0};
}

/* -- Vocabulary -- */

/* Eight bytes at a time: most pieces are one word or two. */
static uint64_t hash_text(const char *text, size_t size)
{
    uint64_t hash = mix(size);
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = mix(hash ^ word);
    }
    uint64_t word = 0;
    memcpy(&word, text, size);
    return mix(hash ^ word);
}

/*
 * The slot of the piece, or the free one where it would go. The hash in a slot tells nearly all other pieces
 * apart without a look at them, which would cost a trip to memory.
 */
static uint64_t *slot_of_piece(const sa_vocabulary *v, uint64_t hash, const char *text, size_t size)
{
    size_t mask = v->slot_count - 1;
    size_t at = hash & mask;
    for (; v->slots[at] != 0; at = (at + 1) & mask) {
        if (v->slots[at] >> 32 != hash >> 32) {
            continue;
        }
        const sa_piece *piece = &v->pieces[(uint32_t)v->slots[at] - 1];
        if (piece->size == size && memcmp(v->text.bytes + piece->begin, text, size) == 0) {
            break;
        }
    }
    return &v->slots[at];
}

static bool widen_slots(sa_vocabulary *v)
{
    uint64_t *old = v->slots;
    size_t old_count = v->slot_count;
    size_t wider = old_count == 0 ? 64 : old_count * 2;
    uint64_t *slots = calloc(wider, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    v->slots = slots;
    v->slot_count = wider;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != 0) {
            const sa_piece *piece = &v->pieces[(uint32_t)old[i] - 1];
            const char *text = v->text.bytes + piece->begin;
            *slot_of_piece(v, hash_text(text, piece->size), text, piece->size) = old[i];
        }
    }
    free(old);
    return true;
}

static bool widen_ids(sa_vocabulary *v, uint32_t id)
{
    if (id < v->count) {
        return true;
    }
    sa_piece *pieces = sa_grow(v->pieces, &v->room, (size_t)id + 1, sizeof *pieces);
    if (pieces == NULL) {
        return false;
    }
    v->pieces = pieces;
    memset(pieces + v->count, 0, (id + 1 - v->count) * sizeof *pieces);
    v->count = (size_t)id + 1;
    return true;
}

/* Of two ids with the same piece the later one is found; both have their text. */
bool sa_vocabulary_put(sa_vocabulary *v, uint32_t id, const char *piece, size_t size)
{
    if (id >= SA_VOCABULARY_MOST || size > UINT32_MAX - v->text.size || !widen_ids(v, id) ||
        (v->filled >= v->slot_count / 2 && !widen_slots(v))) {
        return false;
    }
    SA_ASSERT(!v->pieces[id].known);
    uint32_t begin = (uint32_t)v->text.size;
    sa_text_append(&v->text, piece, size);
    if (v->text.failed) {
        return false;
    }
    v->pieces[id] = (sa_piece){.begin = begin, .size = (uint32_t)size, .known = true};
    v->longest = size > v->longest ? size : v->longest;
    if (size > 0) {
        uint64_t hash = hash_text(piece, size);
        uint64_t *slot = slot_of_piece(v, hash, piece, size);
        v->filled += *slot == 0;
        *slot = hash >> 32 << 32 | (id + 1);
    }
    return true;
}

int32_t sa_vocabulary_find(const sa_vocabulary *v, const char *piece, size_t size)
{
    if (size == 0 || size > v->longest || v->slot_count == 0) {
        return -1;
    }
    return (int32_t)(uint32_t)*slot_of_piece(v, hash_text(piece, size), piece, size) - 1;
}

const char *sa_vocabulary_piece(const sa_vocabulary *v, int64_t id, size_t *size)
{
    if (id < 0 || (uint64_t)id >= v->count || !v->pieces[id].known) {
        return NULL;
    }
    *size = v->pieces[id].size;
    return v->text.bytes + v->pieces[id].begin;
}

void sa_vocabulary_free(sa_vocabulary *v)
{
    sa_text_free(&v->text);
    free(v->pieces);
    free(v->slots);
    *v = (sa_vocabulary){0};
}

/* -- Trie -- */

bool sa_trie_put(sa_trie *trie, const char *text, size_t size, uint32_t value)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        sa_pair *step = sa_pair_table_find(&trie->next, node, byte);
        if (step == NULL) {
            if (trie->nodes == UINT32_MAX || !sa_pair_table_put(&trie->next, node, byte, ++trie->nodes, 0)) {
                return false;
            }
            step = sa_pair_table_find(&trie->next, node, byte);
        }
        if (i + 1 == size) {
            step->second = value + 1;
        }
        node = step->first;
    }
    if (size > 0) {
        trie->starts[(unsigned char)text[0]] = true;
    }
    return true;
}

/* From the root by a table of first bytes: at most places of a text no token begins. */
bool sa_trie_step(const sa_trie *trie, uint32_t *node, unsigned char byte, int64_t *value)
{
    if (*node == 0 && !trie->starts[byte]) {
        return false;
    }
    const sa_pair *step = sa_pair_table_find(&trie->next, *node, byte);
    if (step == NULL) {
        return false;
    }
    *node = step->first;
    *value = (int64_t)step->second - 1;
    return true;
}

size_t sa_trie_longest(const sa_trie *trie, const char *bytes, size_t size, uint32_t *value)
{
    size_t longest = 0;
    uint32_t node = 0;
    int64_t found = -1;
    for (size_t i = 0; i < size && sa_trie_step(trie, &node, (unsigned char)bytes[i], &found); i++) {
        if (found >= 0) {
            longest = i + 1;
            *value = (uint32_t)found;
        }
    }
    return longest;
}

void sa_trie_free(sa_trie *trie)
{
    sa_pair_table_free(&trie->next);
    *trie = (sa_trie){0};
}
