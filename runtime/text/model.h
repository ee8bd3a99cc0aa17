/*
 * Models: how a part of a text becomes ids.
 *
 *   text -> normalize -> split -> [model] -> ids
 */
#ifndef SA_TEXT_MODEL_H
#define SA_TEXT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"
#include "runtime/text/tables.h"

typedef enum {
    SA_MODEL_PAIRS,   /* BPE by a list of merges: Hugging Face */
    SA_MODEL_SPANS,   /* BPE by the rank of what comes out: tiktoken, SentencePiece */
    SA_MODEL_WORDS,   /* a part is a word of the vocabulary or unknown */
    SA_MODEL_UNIGRAM, /* the most likely sequence of pieces */
} sa_model_kind;

typedef struct {
    sa_model_kind kind;
    sa_vocabulary vocabulary;
    const char *file; /* for errors; belongs to the tokenizer */

    int32_t unknown;    /* the id of what is unknown, -1: none */
    bool unknown_named; /* the file names a piece for it; if `unknown` is -1 that piece does not exist */
    bool fuse_unknown;  /* several unknown characters in a row are one */
    bool by_bytes;      /* SA_MODEL_SPANS: a text is bytes to begin with (tiktoken), not characters */
    bool sentencepiece; /* a tokenizer.model, whose rules differ in details */
    bool whole_first;   /* a part that is a piece is taken as it is, whatever the merges say */

    int32_t byte_ids[256]; /* SentencePiece's <0x00> ...; -1 where there is none */
    bool byte_fallback;    /* unknown characters become those */

    /* SA_MODEL_PAIRS: (left id, right id) -> (rank, new id), and what pieces inside and at the end of a part
     * carry. */
    sa_pair_table merges;
    char *inner_prefix, *end_suffix; /* NULL or owned */

    /* SA_MODEL_SPANS: by id, the lower the earlier; UINT32_MAX: nothing merges into it. */
    uint32_t *ranks;

    /* SA_MODEL_UNIGRAM */
    double *scores; /* by id */
    double unknown_score;
    sa_trie trie; /* of the pieces that may be used */

    /* SentencePiece */
    sa_trie kept;         /* user-defined symbols, never cut or merged */
    unsigned char *types; /* by id, an sa_piece_type */
} sa_model;

/* As the file numbers them. */
typedef enum {
    SA_PIECE_NORMAL = 1,
    SA_PIECE_UNKNOWN,
    SA_PIECE_CONTROL,
    SA_PIECE_USER_DEFINED,
    SA_PIECE_UNUSED,
    SA_PIECE_BYTE
} sa_piece_type;

void sa_model_free(sa_model *model);

/* One symbol of BPE, a link in a list. */
typedef struct {
    uint32_t begin, size; /* its bytes in the part; size 0: merged into another */
    int32_t id;           /* -1 if it is no piece */
    int32_t before, after;
    bool frozen;
} sa_symbol;

/* Two neighbours that can be merged. */
typedef struct {
    uint32_t rank;
    int32_t left, right;
    int32_t id;    /* what they become */
    uint32_t size; /* of both together: tells whether they are still what they were */
} sa_merge;

typedef struct {
    double score;
    int64_t begin; /* of the piece that ends here, -1: nothing does */
    int32_t id;
} sa_best;

/* Room to work in; all zeros to begin with. */
typedef struct {
    sa_symbol *symbols;
    size_t symbol_count, symbol_room;
    sa_merge *heap;
    size_t heap_count, heap_room;
    sa_pair_table splits; /* an unused piece -> how long its left half was */
    sa_best *best;
    size_t best_room;
    sa_text text;
} sa_model_room;

void sa_model_room_free(sa_model_room *room);

/* Appends the ids of one part, which is not empty. */
sa_status sa_model_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                          sa_tokens *out, sa_error *err);

/* The two that sa_model_encode is made of, each in a file of its own. */
sa_status sa_bpe_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                        sa_tokens *out, sa_error *err);
sa_status sa_unigram_encode(const sa_model *model, const char *part, size_t size, sa_model_room *room,
                            sa_tokens *out, sa_error *err);

/* Of what they share: the ids of an unknown stretch of text by the byte, false if there are none for it. */
bool sa_model_append_bytes(const sa_model *model, const char *text, size_t size, sa_tokens *out);
sa_status sa_model_no_room(const sa_model *model, sa_error *err);
sa_status sa_model_no_unknown(const sa_model *model, sa_error *err);
/* SentencePiece's and Rust's idea of how long the character at `at` is: by its first byte alone. */
size_t sa_character_size(const char *at, size_t left);

#endif
