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

/* The environment: getenv, or what a test has instead of it. */
typedef char *(*sa_shard_variables)(const char *name);

/*
 * "i/n" with 0 <= i < n; NULL is the whole; "slurm" the part of this task of a Slurm job array, whose tasks
 * are the parts in the order of their numbers. The numbers may begin anywhere and go in steps (3-9:3), but
 * must have no other gaps (1,4,9): a task is told how many there are, not which. Two tasks of an array never
 * get the same part, and all parts are there unless a task was refused. SA_BAD_USAGE otherwise.
 */
sa_status sa_shard_parse(const char *text, sa_shard_variables variables, sa_shard *shard, sa_error *err);

/*
 * The rows of a part are [*first, *end): one piece, so that the parts joined in order are in the order of the
 * input. Their sizes differ by one at most; with more parts than rows some are empty.
 */
void sa_shard_range(sa_shard shard, size_t rows, size_t *first, size_t *end);

#endif
