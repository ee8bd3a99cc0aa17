/* Runs for the tests of output directories: rows that follow from their number, and what must come of them.
 */
#ifndef SA_TESTS_DATA_OUTPUT_RIG_H
#define SA_TESTS_DATA_OUTPUT_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/data/output.h"

enum { RIG_MOST_ROW = 40000 };

/* run.json's part; the caller calls json_decref. */
json_t *rig_run(const char *steps);
sa_status rig_open(sa_output **output, const char *directory, size_t rows, sa_shard shard, int sync_ms,
                   sa_error *err);
/* The same, and fails the test if it cannot be opened. */
sa_output *rig_open_good(const char *directory, size_t rows, sa_shard shard, int sync_ms);

/* Every seventh row goes to quarantine. The size of row `row` is up to `most` bytes, mostly much less. */
sa_status rig_put(sa_output *output, size_t row, size_t most, sa_error *err);
/* Puts what is not done yet in an order that follows from the seed, and finishes. */
sa_status rig_put_all(sa_output *output, size_t most, uint64_t seed, sa_error *err);
/* The files of a whole run of rows [first, end). */
void rig_check_files(const char *directory, size_t first, size_t end, size_t most);

/* Numbers that follow from the seed. */
uint32_t rig_random(uint64_t seed, uint64_t index);

#endif
