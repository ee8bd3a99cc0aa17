/*
 * Beginnings of prompts whose keys and values are kept: a tree over KV pages. What a second prompt has in
 * common with an earlier one (the system's text, a picture, all of it) is not computed again.
 *
 *   find: a new sequence becomes the longest beginning that is there -> [ append, forward the rest ]
 *        -> keep: what the sequence holds by now is part of the tree -> give_back: the oldest leaves go
 *
 * A node is a page: up to SA_KV_PAGE tokens behind those of its parent. It holds the page (kv.h), so that the
 * page outlives its sequence, and whoever appends in the middle of it copies it first. Nodes that are not
 * full have no children. Two nodes of one parent never hold the same tokens, nor one the beginning of the
 * other's.
 *
 * Tokens are told apart by keys that the caller makes: the same key at the same place, behind the same keys,
 * has to mean the same keys and values. All memory is taken at open. Metadata alone, as kv.h.
 */
#ifndef SA_ENGINE_PREFIX_H
#define SA_ENGINE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/kv.h"

typedef struct sa_prefix sa_prefix;

/* Over the pages of `kv`, which has `pages` of them and outlives it. */
sa_status sa_prefix_open(sa_prefix **prefix, sa_kv *kv, size_t pages, sa_error *err);
/* Gives all pages back. */
void sa_prefix_close(sa_prefix *prefix);

/* How many of keys[count] are there. */
size_t sa_prefix_length(sa_prefix *prefix, const uint64_t *keys, size_t count);
/* The same; the empty `sequence` becomes these tokens, which count as used just now. */
size_t sa_prefix_find(sa_prefix *prefix, const uint64_t *keys, size_t count, sa_kv_sequence sequence);
/* Keeps the first `count` tokens of a sequence, whose keys are these. */
void sa_prefix_keep(sa_prefix *prefix, const uint64_t *keys, size_t count, sa_kv_sequence sequence);

/*
 * Gives pages back, those first that have not been used for the longest time, until `pages` are free in the
 * book. False: there are fewer, and all that are left in the tree stand in sequences, too.
 */
bool sa_prefix_give_back(sa_prefix *prefix, size_t pages);
/* Gives up all of it, pages that stand in sequences, too: whoever holds one alone may write behind it again.
 */
void sa_prefix_clear(sa_prefix *prefix);

typedef struct {
    size_t nodes;      /* pages in the tree now */
    size_t given_back; /* pages, so far */
} sa_prefix_counts;
sa_prefix_counts sa_prefix_get_counts(const sa_prefix *prefix);

/* Asserts every invariant of the tree. */
void sa_prefix_check(const sa_prefix *prefix);

#endif
