/*
 * The directories of the parts of one run (--shard i/n) joined to one, as an unbroken run would have written
 * it. Parts of one run but for the shard: their run.json must say so. A part may be there more than once (it
 * was started again elsewhere): rows of the same id must have the same bytes.
 */
#ifndef SA_DATA_MERGE_H
#define SA_DATA_MERGE_H

#include <stddef.h>

#include "runtime/base/status.h"

typedef struct {
    size_t rows;        /* of the whole input */
    size_t results;     /* written to results.jsonl */
    size_t quarantined; /* written to quarantine.jsonl */
    size_t duplicates;  /* rows that were there already */
    size_t missing;     /* rows that no part has finished, or that wait for an earlier one there */
    char lacks[512];    /* which parts they belong to: "shard 1/4: 3 rows"; "" if none */
} sa_merge_report;

/*
 * Parts that were interrupted are first brought into order, as by a run that goes on in them. `output` is
 * made, and must hold no run yet. With rows missing it is written all the same, its run.json with "status"
 * "partial" instead of "done".
 *   SA_BAD_USAGE  the parts belong to different runs, or are being written right now; `output` is in use
 *   SA_BAD_INPUT  a part is no run; rows of one id differ
 */
sa_status sa_merge(const char *const *directories, size_t count, const char *output, sa_merge_report *report,
                   sa_error *err);

#endif
