/*
 * The directory that a run writes (INTERFACES.md, "Output directory"). Rows come in any order and stand in
 * the order of the input; a run that was killed goes on where it stopped, and its files end up with the same
 * bytes as those of an unbroken one.
 *
 *   finished row -> results.journal -> (once every earlier row is there) results.jsonl or quarantine.jsonl
 *
 * The journal is what counts: each row is appended to it first, whole, by one write() and with a checksum. It
 * begins with how far the two other files had come when it was begun, on disk for certain; opening cuts them
 * back to there and takes every later row from the journal again. So whatever state a kill or a power cut
 * leaves behind (a torn row, a row in one file and not in the other) comes out right. Once most of the
 * journal has been copied, a new one is begun, by rename. Rows that wait for an earlier one are on disk only;
 * in memory they are an offset each.
 *
 * fdatasync of the journal comes at the end of a batch: with the first row that is put `sync_ms` or more
 * after the last time, and at finish and close. That is safe, since a row that is not on disk yet is not lost
 * but done again after a power cut, with the same bytes; a killed process loses nothing at all.
 *
 * One caller at a time; a second process in the same directory is refused.
 */
#ifndef SA_DATA_OUTPUT_H
#define SA_DATA_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/data/shard.h"

typedef struct {
    const char *directory;
    /*
     * What stands in run.json: "version", "command", "config", "agent", "input", "seed", "device", ...
     * "status", "shard", "rows", "times" and "counters" are written here. A directory that holds another run,
     * all keys but "device" and "merged" compared, and of "input" all but its "path", is refused.
     */
    const json_t *run;
    size_t rows; /* of the whole input, those set aside among them */
    sa_shard shard;
    int sync_ms; /* 0: every row; negative: the default, 1000 */
} sa_output_options;

typedef struct sa_output sa_output;

/*
 * Makes the directory, or goes on in it. *output is NULL after a failure:
 *   SA_BAD_USAGE  another run is in there (the error says what differs), or is being written right now
 *   SA_BAD_INPUT  its files are not what a run leaves behind
 *   SA_IO         cannot be written, or is full
 */
sa_status sa_output_open(sa_output **output, const sa_output_options *options, sa_error *err);
/* Syncs what was put, and lets go of the directory; the run can be resumed. NULL is fine. */
void sa_output_close(sa_output *output);

/* Rows [*first, *end) of the input are to be done here. */
void sa_output_range(const sa_output *output, size_t *first, size_t *end);
/* Of a row in that range: it was put, now or by an earlier run. */
bool sa_output_is_done(const sa_output *output, size_t row);
/* How many of the range are, and how many of those are in quarantine. */
size_t sa_output_done(const sa_output *output);
size_t sa_output_quarantined(const sa_output *output);

/*
 * A row of results.jsonl: one JSON object without a newline in it, for a row that is not done yet. SA_IO: the
 * disk is full or gone; what was put before stays good, and sa_output_is_done says whether this row is, too.
 * SA_BAD_INPUT: the row is longer than 1 GiB; nothing was put, and it can go to quarantine instead.
 */
sa_status sa_output_put(sa_output *output, size_t row, const char *line, size_t size, sa_error *err);
/* The same for quarantine.jsonl: {"id", "file", "reason", "hint"}. */
sa_status sa_output_quarantine(sa_output *output, size_t row, const char *id, const sa_error *why,
                               sa_error *err);
/* Everything put so far is on disk when this returns: for a caller that is going to wait. */
sa_status sa_output_sync(sa_output *output, sa_error *err);

/*
 * All rows are done: run.json gets status "done", times and counters (objects, or NULL), and the journal
 * goes. Close comes after it.
 */
sa_status sa_output_finish(sa_output *output, const json_t *times, const json_t *counters, sa_error *err);

#endif
