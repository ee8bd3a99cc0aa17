/* One run in several parts: which rows of the input belong to which. */
#ifndef SA_DATA_SHARD_H
#define SA_DATA_SHARD_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

/* Part `index` of `count`, from 0; all zeros is the whole. */
typedef struct {
    size_t index, count;
} sa_shard;

/* "i/n" with 0 <= i < n; SA_BAD_USAGE otherwise. NULL is the whole. */
sa_status sa_shard_parse(const char *text, sa_shard *shard, sa_error *err);

/*
 * The rows of a part are [*first, *end): one piece, so that the parts joined in order are in the order of the
 * input. Their sizes differ by one at most; with more parts than rows some are empty.
 */
void sa_shard_range(sa_shard shard, size_t rows, size_t *first, size_t *end);

#endif
