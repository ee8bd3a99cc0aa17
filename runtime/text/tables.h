/*
 * The look-up tables of a tokenizer: pairs of numbers, pieces of text (the vocabulary), and prefixes (a
 * trie). All are filled once, while a file is read, and only read afterwards.
 */
#ifndef SA_TEXT_TABLES_H
#define SA_TEXT_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/buffer.h"

/* (left, right) -> (first, second). All zeros is an empty one. */
typedef struct {
    uint32_t left, right, first, second;
    bool used;
} sa_pair;

typedef struct {
    sa_pair *slots;
    size_t count, room; /* room: 0 or a power of two */
} sa_pair_table;

/* A pair that is there already gets the new values. False: no memory. */
bool sa_pair_table_put(sa_pair_table *table, uint32_t left, uint32_t right, uint32_t first, uint32_t second);
/* Changes of *pair's values are fine until the next put; NULL if it is not there. */
sa_pair *sa_pair_table_find(const sa_pair_table *table, uint32_t left, uint32_t right);
void sa_pair_table_free(sa_pair_table *table);

/* Pieces by id and ids by piece. Ids need not be dense, but none is as large as SA_VOCABULARY_MOST. */
enum { SA_VOCABULARY_MOST = 1 << 24 };

typedef struct {
    uint32_t begin, size;
    bool known; /* there is a piece of this id */
} sa_piece;

typedef struct {
    sa_text text; /* all pieces, one after another */
    sa_piece *pieces;
    size_t count, room; /* ids are below count */
    uint64_t *slots;    /* by hash of the piece: 32 bits of it above id + 1; 0 is free */
    size_t slot_count, filled;
    size_t longest; /* bytes of the longest piece */
} sa_vocabulary;

/*
 * The id is a new one; a piece that is there already is found under its new id from now on. False: no memory,
 * or the id or all pieces together are too large.
 */
bool sa_vocabulary_put(sa_vocabulary *vocabulary, uint32_t id, const char *piece, size_t size);
/* -1 if there is no such piece; an empty one is never found. */
int32_t sa_vocabulary_find(const sa_vocabulary *vocabulary, const char *piece, size_t size);
/* NULL if there is no such id. */
const char *sa_vocabulary_piece(const sa_vocabulary *vocabulary, int64_t id, size_t *size);
void sa_vocabulary_free(sa_vocabulary *vocabulary);

/* Texts, each with a number, by their beginnings. Node 0 is the root. */
typedef struct {
    sa_pair_table next; /* (node, byte) -> (next node, value + 1 of the text that ends there, or 0) */
    uint32_t nodes;
    bool starts[256]; /* some text begins with this byte: most characters are told apart here */
} sa_trie;

bool sa_trie_put(sa_trie *trie, const char *text, size_t size, uint32_t value);
/*
 * One byte further from *node: false if no text goes on that way. *value = that of the text that ends here,
 * or -1.
 */
bool sa_trie_step(const sa_trie *trie, uint32_t *node, unsigned char byte, int64_t *value);
/* The longest text at the beginning of bytes[0, size): its length and *value; 0 if there is none. */
size_t sa_trie_longest(const sa_trie *trie, const char *bytes, size_t size, uint32_t *value);
void sa_trie_free(sa_trie *trie);

#endif
