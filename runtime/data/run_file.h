/* run.json: what ran, in which state it is, and whether another run is the same. */
#ifndef SA_DATA_RUN_FILE_H
#define SA_DATA_RUN_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/data/shard.h"

/* Reads DIRECTORY/run.json. *run is NULL, and that is fine, if there is none; the caller calls json_decref.
 */
sa_status sa_run_read(const char *directory, json_t **run, sa_error *err);
/*
 * Replaces it, whole or not at all: `run` with "status" and, where they are not NULL, "times" and "counters"
 * instead of those that it may have.
 */
sa_status sa_run_write(const char *directory, const json_t *run, const char *status, const json_t *times,
                       const json_t *counters, sa_error *err);

/* "running", "done", "partial"; "" if it has none. */
const char *sa_run_status(const json_t *run);
/* A copy of `run` with "rows" and "shard" as they are in run.json; NULL: no memory. */
json_t *sa_run_with_shard(const json_t *run, size_t rows, sa_shard shard);
/* The reverse; SA_BAD_INPUT if they are not there, or not possible. */
sa_status sa_run_get_shard(const json_t *run, const char *name, size_t *rows, sa_shard *shard, sa_error *err);

/*
 * True if `now` goes on with `before`: everything equal but "status", "times", "counters", "device",
 * "merged", the input's "path", and "shard" if `any_shard`. Otherwise `differences` says how they differ, as
 * "key: old -> new, ...", the first few of them.
 */
bool sa_run_same(const json_t *before, const json_t *now, bool any_shard, char *differences, size_t size);

#endif
